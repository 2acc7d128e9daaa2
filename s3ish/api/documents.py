"""Families of operations that only get, put, delete and list one configuration document of a bucket.

Half of S3's operations are of this kind. A family is one declaration: ``bucket_document(...)`` where a bucket has one
document, ``numbered_document(...)`` where it has many by id. The documents stand in the bucket's record as they are
written to clients, so that what was put is what is got. What a document says is done elsewhere: ``of`` reads it, and
``effect`` says whether any code does.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

from s3ish.api.context import Context
from s3ish.api.operation import DOCUMENT_BYTES, Handler, Operation, operation
from s3ish.api.page_tokens import read_token, write_token
from s3ish.api.shapes import BucketRequest, DocumentDigest
from s3ish.api.subresources import type_of
from s3ish.auth.condition_keys import Tags
from s3ish.errors import (
    IdMismatch,
    InvalidArgument,
    MalformedContinuationToken,
    MethodNotAllowed,
    NoSuchConfiguration,
    S3Error,
)
from s3ish.model import Bucket
from s3ish.objects import buckets
from s3ish.objects.consequences import Row
from s3ish.wire.fields import body, document, element, elements, header, query, stream
from s3ish.wire.shape import read_document, shape, wire, write_document

T = TypeVar("T")
M = TypeVar("M")
Check = Callable[[T, Bucket], None]
"""Raises an S3 error if a document that is put cannot be meant for the bucket."""
Admit = Callable[[Context, Any], Awaitable[None]]
"""The same for a request, after the check: it may look at other buckets and headers, and fill in what is absent."""
Announce = Callable[[Context, Any], Sequence[Row]]
"""Returns the rows that the commit of a document writes as well."""


MAX_NUMBERED = 1000
"""How many configurations of one kind a bucket may have."""
_PAGE = 100
"""How many of them a page lists."""
_PARSED, _PARSED_CHARACTERS, _LONG_PARSED = 512, 32 * 1024, 8
"""How many documents a process keeps parsed, how long they may be, and how many it keeps of those that are longer."""
_MEANT = 32
"""How many meanings of documents a process keeps."""
_ID = re.compile("[A-Za-z0-9._-]{1,64}")


class Effect(Enum):
    """What comes of a document beside that it is returned: the words stand in ``docs/operations.md``."""

    ACTED_UPON = "acted upon"
    NONE = "stored and returned; has no effect on one machine"


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

    ``name`` is the document's name in the bucket's record, ``kind`` its shape, ``root`` its root element and ``kept``
    the field of it that is no part of the XML; ``effect`` says what comes of it.
    """

    def __init__(self, name: str, kind: type[T], root: str, effect: Effect, kept: str = "") -> None:
        self.name, self.kind, self.root, self.effect, self.kept = name, kind, root, effect, kept
        self.operations: tuple[Operation, ...] = ()

    def of(self, bucket: Bucket) -> T | None:
        """Return the document of a bucket; None if none was put. It is shared: the caller must not change it."""
        text = bucket.documents.get(self.name)
        if text is None:
            return None
        return cast("T", _parsed(self.kind, self.root, text, self.kept, self._said_beside(bucket)))

    def meant(self, bucket: Bucket, meaning: Callable[[T], M]) -> M | None:
        """Return what the document of a bucket means, None if none was put.

        That is worked out once for many requests: a thousand rules take longer than all else that a request asks.

        Args:
            meaning: works it out; one function, which depends on nothing else.
        """
        text = bucket.documents.get(self.name)
        return None if text is None else cast("M", _meant(self, meaning, text, self._said_beside(bucket)))

    def _said_beside(self, bucket: Bucket) -> str:
        return bucket.documents.get(_beside(self.name), "") if self.kept else ""

    def each(self, bucket: Bucket) -> list[T]:
        """Return the documents of a bucket, of a kind of which it may have many, by their ids; see ``of``."""
        return [
            cast("T", _parsed(self.kind, self.root, bucket.documents[_numbered(self.name, number)]))
            for number in _ids(bucket, self.name)
        ]

    def written(self, document: T) -> dict[str, str]:
        """Return what the bucket's record holds of a document, by name."""
        if isinstance(document, str):
            return {self.name: document}
        held = {self.name: _text_of(document, self.root)}
        return held | {_beside(self.name): getattr(document, self.kept)} if self.kept else held

    @property
    def removed(self) -> dict[str, str | None]:
        """What removes the document from the bucket's record."""
        return dict.fromkeys((self.name, _beside(self.name)) if self.kept else (self.name,))


def _beside(name: str) -> str:
    return f"{name}:kept"


def _text_of(document: Any, root: str) -> str:
    return write_document(document, root).decode("utf-8", "surrogatepass")


def _parsed(kind: Any, root: str, text: str, kept: str = "", beside: str = "") -> Any:
    if kind is str:
        return text
    read = _kept_parsed if len(text) <= _PARSED_CHARACTERS else _long_parsed
    return read(kind, root, text, kept, beside)


def _parse(kind: type, root: str, text: str, kept: str, beside: str) -> Any:
    found: Any = read_document(kind, text.encode("utf-8", "surrogatepass"), root)
    if kept:
        setattr(found, kept, beside)
    return found


_kept_parsed, _long_parsed = lru_cache(_PARSED)(_parse), lru_cache(_LONG_PARSED)(_parse)


@lru_cache(_MEANT)
def _meant(family: Documents[T], meaning: Callable[[T], M], text: str, beside: str) -> M:
    return meaning(cast("T", _parse(family.kind, family.root, text, family.kept, beside)))


def bucket_document(
    kind: type[T],
    query_key: str,
    names: str,
    *,
    action: str,
    effect: Effect,
    missing: type[S3Error] | Callable[[Bucket], T],
    check: Check[T] | None = None,
    admit: Admit | None = None,
    shown: Callable[[Context, T | None], T | None] | None = None,
    stored: Callable[[Context, T], T] | None = None,
    announce: Announce | None = None,
    headers: type = DocumentHeaders,
    read_headers: type = BucketRequest,
    kept: str = "",
    put_response: type | None = None,
    status: int = 200,
    body_bytes: int = DOCUMENT_BYTES,
    needs_digest: bool = False,
    delete_action: str = "",
    of_owner_alone: bool = False,
) -> Documents[T]:
    """Declare a document of which a bucket has one.

    Args:
        kind: its shape, which names its root element; ``str`` for a text that is not XML.
        query_key: what selects it in the query, which is its name in the bucket's record too.
        names: the names of its operations, in the order get, put, delete; the last may be absent.
        action: what the policy calls it: ``CORS`` for ``s3:GetBucketCORS``, with ``{}`` for the verb.
        effect: what comes of it.
        missing: the error when there is none, or what makes the document that stands for none.
        check, admit: raise an S3 error if a document that is put cannot be meant for the bucket.
        shown: returns what a read shows of a document, or of none: the settings of the server may add to it.
        stored: returns what is kept of a document that is put, if that is another one.
        announce: returns rows that the commit of the document writes as well.
        headers, read_headers: the shapes of the headers of the requests that put it and that read it.
        kept: a field of the kind that is a header of the answer and, under the same name, of the request that puts it.
        put_response: the shape of the answer to a put, if it has more than a status: the field that is kept.
        status: of the answer to a put.
        delete_action: of the deletion, where it is not that of the put, as it is for most documents.
        of_owner_alone: whether other accounts than the owner's may not even with a right.
    """
    get_name, put_name, *delete_name = names.split()
    family = Documents(query_key, kind, "" if kind is str else wire(kind).root, effect, kept)
    handlers = _handlers(family, cast("Any", missing), check, admit, announce, shown, stored, put_response)
    get, put, delete = _of_owner_alone(handlers, type_of("bucket", [query_key])) if of_owner_alone else handlers
    asked = _request(f"{put_name}Request", headers, kind, family.root)
    reads, writes = action.format("Get"), action.format("Put")
    family.operations = (
        _declare(get, get_name, "GET", query_key, reads, read_headers, TextResponse if kind is str else kind),
        _declare(
            put,
            put_name,
            "PUT",
            query_key,
            writes,
            asked,
            put_response,
            status=status,
            body_bytes=body_bytes,
            needs_digest=needs_digest,
        ),
        *(
            _declare(delete, name, "DELETE", query_key, delete_action or writes, BucketRequest, None, status=204)
            for name in delete_name
        ),
    )
    return family


def _handlers(
    family: Documents[T],
    missing: Any,
    check: Check[T] | None,
    admit: Admit | None,
    announce: Announce | None,
    shown: Any,
    stored: Any,
    put_response: Any,
) -> tuple[Handler, Handler, Handler]:
    """Return what gets, puts and deletes the document of a family."""

    async def get(context: Context, request: Any) -> Any:  # noqa: ARG001 - the form of every handler
        found: Any = family.of(context.target)
        found = shown(context, found) if shown else found
        if found is None and isinstance(missing, type):
            raise missing(BucketName=context.target.name)
        answer = missing(context.target) if found is None else found
        return TextResponse(text=answer.encode()) if isinstance(answer, str) else answer

    async def put(context: Context, request: Any) -> Any:
        given = request.document
        if check:
            check(given, context.target)
        if admit:
            await admit(context, request)
        given = stored(context, given) if stored else given
        if family.kept and getattr(request, family.kept) is not None:
            setattr(given, family.kept, getattr(request, family.kept))
        changes: Mapping[str, str | None] = family.written(given)
        if not isinstance(missing, type) and given == missing(context.target):
            changes = family.removed
        rows = announce(context, request) if announce else ()
        await buckets.set_documents(context.store, context.target.name, changes, rows=rows)
        return put_response(**{family.kept: getattr(given, family.kept)}) if put_response else None

    async def delete(context: Context, request: Any) -> None:  # noqa: ARG001 - the form of every handler
        await buckets.set_documents(context.store, context.target.name, family.removed)

    return get, put, delete


def _of_owner_alone(handlers: tuple[Handler, Handler, Handler], kind: str) -> tuple[Handler, Handler, Handler]:
    """Return handlers that other accounts than the owner's are refused, also those with the right."""

    def checked(handler: Handler, method: str) -> Handler:
        async def handle(context: Context, request: Any) -> Any:
            caller = context.principal
            if not caller.is_root and (caller.is_anonymous or caller.owner.id != context.target.owner.id):
                raise MethodNotAllowed(Method=method, ResourceType=kind)
            return await handler(context, request)

        return handle

    get, put, delete = handlers
    return checked(get, "GET"), checked(put, "PUT"), checked(delete, "DELETE")


def numbered_document(
    kind: type[T],
    query_key: str,
    *,
    action: str,
    effect: Effect,
    listed_root: str,
    check: Check[T] | None = None,
    admit: Admit | None = None,
    says: Callable[[T], Tags] | None = None,
    status: int = 200,
) -> Documents[T]:
    """Declare a document of which a bucket has many, each with an ``id``.

    Args:
        kind: its shape, with a field ``id``; its root element (``InventoryConfiguration``) names its operations.
        query_key: what selects it in the query.
        action: what the policy calls it, with ``{}`` for the verb.
        effect: what comes of it.
        listed_root: the root element of their list.
        check, admit: raise an S3 error if a document that is put cannot be meant for the bucket.
        says: returns what conditions may ask of a document that is put; see ``Permit.said``.
        status: of the answer to a put.
    """

    name = wire(kind).root
    answer = _list_response(f"List{name}sResponse", kind, name, listed_root)
    get, put, delete, listed = _numbered_handlers(kind, query_key, name, check, admit, answer)
    asked = _request(f"Put{name}Request", _NumberedHeaders, kind, name)
    reads, writes = action.format("Get"), action.format("Put")
    family = Documents(query_key, kind, name, effect)
    family.operations = (
        _declare(get, f"GetBucket{name}", "GET", f"{query_key}&id", reads, _NumberedRequest, kind),
        _declare(
            put,
            f"PutBucket{name}",
            "PUT",
            f"{query_key}&id",
            writes,
            asked,
            None,
            status=status,
            says=_of_document(says),
        ),
        _declare(
            delete, f"DeleteBucket{name}", "DELETE", f"{query_key}&id", writes, _NumberedRequest, None, status=204
        ),
        _declare(listed, f"ListBucket{name}s", "GET", query_key, reads, _ListRequest, answer),
    )
    return family


def _of_document(says: Callable[[T], Tags] | None) -> Callable[[Any], Tags] | None:
    return says and (lambda request: says(request.document))


def _numbered_handlers(
    kind: Any, query_key: str, name: str, check: Any, admit: Admit | None, answer: type
) -> tuple[Handler, Handler, Handler, Handler]:
    """Return what gets, puts, deletes and lists the documents of a family."""

    async def get(context: Context, request: Any) -> Any:
        text = context.target.documents.get(_numbered(query_key, request.id))
        if text is None:
            raise NoSuchConfiguration
        return _parsed(kind, name, text)

    async def put(context: Context, request: Any) -> None:
        given = request.document
        if given.id != request.id:
            raise IdMismatch
        if not _ID.fullmatch(given.id):
            raise InvalidArgument("The id is not valid.", ArgumentName="Id", ArgumentValue=given.id[:256])
        if check:
            check(given, context.target)
        if admit:
            await admit(context, request)
        key = _numbered(query_key, request.id)
        changes, limit = {key: _text_of(given, name)}, {_numbered(query_key, ""): MAX_NUMBERED}
        await buckets.set_documents(context.store, context.target.name, changes, limit)

    async def delete(context: Context, request: Any) -> None:
        key = _numbered(query_key, request.id)
        if key not in context.target.documents:
            raise NoSuchConfiguration
        await buckets.set_documents(context.store, context.target.name, {key: None})

    async def listed(context: Context, request: Any) -> Any:
        token = request.continuation_token
        try:
            after = read_token(query_key, token) if token else ""
        except InvalidArgument as error:
            raise MalformedContinuationToken from error
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
