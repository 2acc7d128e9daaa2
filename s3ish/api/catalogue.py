"""The catalogue: every S3 operation, built or not. The only list of operations there is."""

from types import ModuleType

from s3ish.api import (
    buckets,
    deleting,
    listing,
    multipart,
    object_attributes,
    reading,
    service,
    writing,
)
from s3ish.api.operation import Operation
from s3ish.api.unbuilt import unbuilt

_MODULES: tuple[ModuleType, ...] = (
    service,
    buckets,
    reading,
    writing,
    deleting,
    object_attributes,
    listing,
    multipart,
)


def catalogue() -> tuple[Operation, ...]:
    """Return all operations: those that the modules declare, then those that are not built yet."""
    built = [value for module in _MODULES for value in vars(module).values() if isinstance(value, Operation)]
    return (*built, *unbuilt())
