"""Families of operations that only get, put, delete and list one configuration document of a bucket.

Half of S3's operations are of this kind. A family is one declaration: ``bucket_document(...)`` where a bucket has one
document, ``numbered_document(...)`` where it has many by id. The documents stand in the bucket's record as they are
written to clients, so that what was put is what is got. What a document says is done elsewhere: ``of`` reads it.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

from s3ish.api.context import Context
from s3ish.api.operation import DOCUMENT_BYTES, Handler, Operation, operation
from s3ish.api.page_tokens import read_token, write_token
from s3ish.api.shapes import BucketRequest, DocumentDigest
from s3ish.errors import InvalidArgument, S3Error, TooManyConfigurations
from s3ish.model import Bucket
from s3ish.objects import buckets
from s3ish.wire.fields import body, document, element, elements, header, query, stream
from s3ish.wire.shape import read_document, shape, wire, write_document

T = TypeVar("T")

MAX_NUMBERED = 1000
"""How many configurations of one kind a bucket may have."""
_PAGE = 100
"""How many of them a page lists."""
_PARSED = 512
"""How many documents a process keeps parsed."""


@shape
class DocumentHeaders(BucketRequest, DocumentDigest):
    """What every request carries that puts a document."""


@shape
class TextResponse:
    """A document that is not XML."""

    content_type: str = header("content-type", default="application/json")
    text: bytes = stream()


class Documents(Generic[T]):
    """A family: its operations for the catalogue, and its document for those who act upon it.

    ``name`` is the document's name in the bucket's record, ``kind`` its shape and ``root`` its root element.
    """

    def __init__(self, name: str, kind: type[T], root: str, operations: Sequence[Operation]) -> None:
        self.name, self.kind, self.root = name, kind, root
        self.operations = tuple(operations)

    def of(self, bucket: Bucket) -> T | None:
        """Return the document of a bucket; None if none was put."""
        text = bucket.documents.get(self.name)
        return None if text is None else cast("T", _parsed(cast("Any", self.kind), self.root, text))


@lru_cache(_PARSED)
def _parsed(kind: type, root: str, text: str) -> Any:
    return text if kind is str else read_document(kind, text.encode(), root)


def bucket_document(
    kind: type[T],
    query_key: str,
    names: str,
    *,
    action: str,
    missing: type[S3Error] | Callable[[Bucket], T],
    check: Callable[[T, Bucket], None] | None = None,
    headers: type = DocumentHeaders,
    status: int = 200,
    body_bytes: int = DOCUMENT_BYTES,
    needs_digest: bool = False,
    delete_action: str = "",
) -> Documents[T]:
    """Declare a document of which a bucket has one.

    Args:
        kind: its shape, which names its root element; ``str`` for a text that is not XML.
        query_key: what selects it in the query, which is its name in the bucket's record too.
        names: the names of its operations, in the order get, put, delete; the last may be absent.
        action: what the policy calls it: ``CORS`` for ``s3:GetBucketCORS``, with ``{}`` for the verb.
        missing: the error when there is none, or what makes the document that stands for none.
        check: raises an S3 error if a document that is put cannot be meant for the bucket.
        headers: the shape of the headers of the request that puts it.
        status: of the answer to a put.
        delete_action: of the deletion, where it is not that of the put, as it is for most documents.
    """
    get_name, put_name, *delete_name = names.split()
    root = "" if kind is str else wire(kind).root
    family: Documents[T]

    async def get(context: Context, request: Any) -> Any:  # noqa: ARG001 - the form of every handler
        found = family.of(context.target)
        if found is None and isinstance(missing, type) and issubclass(missing, S3Error):
            raise missing(BucketName=context.target.name)
        shown = cast("Callable[[Bucket], T]", missing)(context.target) if found is None else found
        return TextResponse(text=shown.encode()) if isinstance(shown, str) else shown

    async def put(context: Context, request: Any) -> None:
        given = request.document
        if check:
            check(given, context.target)
        text = given if kind is str else write_document(given, root).decode("utf-8", "surrogatepass")
        await buckets.set_document(context.store, context.target.name, query_key, text)

    async def delete(context: Context, request: Any) -> None:  # noqa: ARG001 - the form of every handler
        await buckets.set_document(context.store, context.target.name, query_key, None)

    response = TextResponse if kind is str else kind
    asked = _request(f"{put_name}Request", headers, kind, root)
    operations = [
        _declare(get, get_name, "GET", query_key, action.format("Get"), BucketRequest, response),
        _declare(
            put,
            put_name,
            "PUT",
            query_key,
            action.format("Put"),
            asked,
            None,
            status=status,
            body_bytes=body_bytes,
            needs_digest=needs_digest,
        ),
    ]
    for name in delete_name:
        right = delete_action or action.format("Put")
        operations.append(_declare(delete, name, "DELETE", query_key, right, BucketRequest, None, status=204))
    family = Documents(query_key, kind, root, operations)
    return family


def numbered_document(
    kind: type[T],
    query_key: str,
    name: str,
    *,
    action: str,
    missing: type[S3Error],
    listed_root: str,
    check: Callable[[T, Bucket], None] | None = None,
) -> Documents[T]:
    """Declare a document of which a bucket has many, each with an ``id``.

    Args:
        kind: its shape, with a field ``id``.
        query_key: what selects it in the query.
        name: what its operations are called: ``InventoryConfiguration``, which is its root element too.
        action: what the policy calls it, with ``{}`` for the verb.
        missing: the error when there is none of an id.
        listed_root: the root element of their list.
        check: raises an S3 error if a document that is put cannot be meant for the bucket.
    """

    answer = _list_response(f"List{name}sResponse", kind, name, listed_root)
    get, put, delete, listed = _numbered_handlers(kind, query_key, name, missing, check, answer)
    asked = _request(f"Put{name}Request", _NumberedHeaders, kind, name)
    reads, writes = action.format("Get"), action.format("Put")
    return Documents(
        query_key,
        kind,
        name,
        [
            _declare(get, f"GetBucket{name}", "GET", f"{query_key}&id", reads, _NumberedRequest, kind),
            _declare(put, f"PutBucket{name}", "PUT", f"{query_key}&id", writes, asked, None),
            _declare(
                delete, f"DeleteBucket{name}", "DELETE", f"{query_key}&id", writes, _NumberedRequest, None, status=204
            ),
            _declare(listed, f"ListBucket{name}s", "GET", query_key, reads, _ListRequest, answer),
        ],
    )


def _numbered_handlers(
    kind: Any, query_key: str, name: str, missing: type[S3Error], check: Any, answer: type
) -> tuple[Handler, Handler, Handler, Handler]:
    """Return what gets, puts, deletes and lists the documents of a family."""

    async def get(context: Context, request: Any) -> Any:
        text = context.target.documents.get(_numbered(query_key, request.id))
        if text is None:
            raise missing
        return _parsed(kind, name, text)

    async def put(context: Context, request: Any) -> None:
        given = request.document
        if given.id != request.id:
            raise InvalidArgument("The id of the configuration is not that of the request.", ArgumentName="id")
        if check:
            check(given, context.target)
        key, limit = _numbered(query_key, request.id), MAX_NUMBERED
        if key not in context.target.documents and len(_ids(context.target, query_key)) >= limit:
            raise TooManyConfigurations
        await buckets.set_document(context.store, context.target.name, key, write_document(given, name).decode())

    async def delete(context: Context, request: Any) -> None:
        key = _numbered(query_key, request.id)
        if key not in context.target.documents:
            raise missing
        await buckets.set_document(context.store, context.target.name, key, None)

    async def listed(context: Context, request: Any) -> Any:
        token = request.continuation_token
        after = read_token(query_key, token) if token else ""
        ids = [number for number in _ids(context.target, query_key) if number > after]
        page = ids[:_PAGE]
        return answer(
            documents=[_parsed(kind, name, context.target.documents[_numbered(query_key, number)]) for number in page],
            is_truncated=len(ids) > _PAGE,
            continuation_token=token,
            next_token=write_token(query_key, page[-1]) if len(ids) > _PAGE else None,
        )

    return get, put, delete, listed


@shape
class _NumberedRequest(BucketRequest):
    """A request on one of many documents."""

    id: str = query("id", default="")


@shape
class _NumberedHeaders(_NumberedRequest, DocumentHeaders):
    """A request that puts one of many documents."""


@shape
class _ListRequest(BucketRequest):
    """A request for a page of documents."""

    continuation_token: str | None = query("continuation-token")


def _numbered(name: str, number: str) -> str:
    return f"{name}/{number}"


def _ids(bucket: Bucket, name: str) -> list[str]:
    """Return the ids of a bucket's documents of a kind, in order."""
    prefix = _numbered(name, "")
    return sorted(key.removeprefix(prefix) for key in bucket.documents if key.startswith(prefix))


def _request(name: str, headers: type, kind: type, root: str) -> type:
    """Return the shape of a request that puts a document."""
    field = document() if kind is str else body(root)
    space = {"__annotations__": {"document": kind}, "__doc__": "A request that puts a document.", "document": field}
    return cast("type", shape(type(name, (headers,), space)))


def _list_response(name: str, kind: type, member: str, root: str) -> type:
    """Return the shape of a page of documents."""
    space = {
        "__annotations__": {
            "documents": list[kind],  # type: ignore[valid-type]
            "is_truncated": bool,
            "continuation_token": str | None,
            "next_token": str | None,
        },
        "__doc__": "A page of documents.",
        "documents": elements(member),
        "is_truncated": element("IsTruncated", default=False),
        "continuation_token": element("ContinuationToken"),
        "next_token": element("NextContinuationToken"),
    }
    return cast("type", shape(root=root)(type(name, (), space)))


def _declare(
    handler: Any, name: str, method: str, query_key: str, action: str, request: type, response: type | None, **more: Any
) -> Operation:
    handler.__name__ = re.sub("(?<!^)(?=[A-Z])", "_", name).lower()
    handler.__annotations__ = {"request": request, "return": response}
    return operation(f"{method} /{{Bucket}}?{query_key}", action=action, **more)(handler)
