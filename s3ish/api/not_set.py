"""What reads of what cannot be set yet answer: honestly, that it is not set; S3 has a name or a document for that."""

from collections.abc import Callable

from s3ish.api.operation import Operation, Unset
from s3ish.errors import NoSuchBucket, NotImplemented, S3Error
from s3ish.model import Bucket, Version
from s3ish.objects import versions
from s3ish.objects.store import Store
from s3ish.wire.shape import Written
from s3ish.wire.xml import DECLARATION, NAMESPACE


def absent(error: type[S3Error]) -> Unset:
    """Answer with the error that S3 has for it."""

    async def answer(store: Store, bucket: Bucket, key: str, version_id: str | None) -> Written:  # noqa: ARG001
        raise error(BucketName=bucket.name)

    return answer


def empty(root: str, content: str = "") -> Unset:
    """Answer with a document, of a root element and its content, that says nothing."""

    async def answer(store: Store, bucket: Bucket, key: str, version_id: str | None) -> Written:  # noqa: ARG001
        return document_of(root, content)

    return answer


def of_object(answer_of: Callable[[Version], Written]) -> Unset:
    """Answer with what a version says; it may be asked for by its id, and must exist."""

    async def answer(store: Store, bucket: Bucket, key: str, version_id: str | None) -> Written:
        version = await versions.get(store, bucket.name, key, version_id)
        written = answer_of(version)
        if bucket.versioning:
            written.headers.append(("x-amz-version-id", version.id))
        return written

    return answer


def document_of(root: str, content: str) -> Written:
    """Return an XML document as an answer."""
    body = f'{DECLARATION}<{root} xmlns="{NAMESPACE}">{content}</{root}>'.encode()
    return Written(200, [("content-type", "application/xml")], body)


async def answer_not_built(
    store: Store, operation: Operation, bucket: Bucket | None, key: str, version_id: str | None
) -> Written:
    """Answer an operation that is not built.

    Raises:
        S3Error: S3's own for what is not set.
        NoSuchKey, NoSuchVersion, MethodNotAllowed: there is no such object.
        NotImplemented: the operation is no read of something that is not set.
    """
    if operation.unset is None:
        name = operation.name
        raise NotImplemented(
            f"{NotImplemented.text} {name} is not built: docs/operations.md says what is.", Operation=name
        )
    if bucket is None:
        raise NoSuchBucket
    return await operation.unset(store, bucket, key, version_id)
