"""The catalogue: every S3 operation, built or not. The only list of operations there is."""

from types import ModuleType

from s3ish.api import attributes as object_attributes
from s3ish.api import buckets, listing, multipart, service
from s3ish.api import delete as deleting
from s3ish.api import get as reading
from s3ish.api import put as writing
from s3ish.api.not_built import unbuilt
from s3ish.api.operation import Operation

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
