"""What S3 refuses of a query before it looks who asks and what there is.

Such a query is the same mistake for every caller and every bucket, so that its refusal says nothing of what exists.
"""

from collections.abc import Mapping

from s3ish.api.operation import Operation
from s3ish.errors import InvalidArgument
from s3ish.wire.shape import wire


def refuse_query(operation: Operation, query: Mapping[str, str]) -> None:
    """Refuse counts that are no numbers, what an operation says that it refuses, and a version that it does not act on.

    Raises:
        InvalidArgument: for the first of these, in this order.
    """
    if not operation.supported:
        return
    for name, read in wire(operation.request).counts.items():
        if name in query:
            read(query[name])
    if operation.refuses:
        operation.refuses(query)
    if "versionId" in query and not operation.reads_form:
        _check_version(operation, query["versionId"])


def _check_version(operation: Operation, version_id: str) -> None:
    if "versionId" not in operation.parameters:
        message = "This operation does not accept a version-id."
    elif not version_id:
        message = "Version id cannot be the empty string"
    else:
        return
    raise InvalidArgument(message, ArgumentName="versionId", ArgumentValue=version_id[:256])
