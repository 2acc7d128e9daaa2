"""The catalogue: every S3 operation, built or not. The only list of operations there is."""

from types import ModuleType

from s3ish.api import access, acl, attributes, buckets, copy, delete, get, listing, multipart, put, service, tagging
from s3ish.api.documents import Documents
from s3ish.api.not_built import not_built
from s3ish.api.operation import Operation

_MODULES: tuple[ModuleType, ...] = (
    service,
    buckets,
    get,
    put,
    copy,
    delete,
    attributes,
    listing,
    multipart,
    access,
    acl,
    tagging,
)


def catalogue() -> tuple[Operation, ...]:
    """Return all operations: those that the modules declare, then those that are not built yet."""
    built: list[Operation] = []
    for module in _MODULES:
        for value in vars(module).values():
            if isinstance(value, Operation):
                built.append(value)
            elif isinstance(value, Documents):
                built += value.operations
    return (*built, *not_built())
