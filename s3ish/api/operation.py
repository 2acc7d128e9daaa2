"""What an operation is: one declaration that routing, authorisation, parsing, metrics and docs all read.

``@operation`` takes the route in AWS's own notation and the action that a policy names, and returns an ``Operation``
value. The name is derived from the function's. An operation that is not built yet stands in the catalogue as
``unsupported`` and answers an honest 501.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from s3ish.auth.evaluator import Permit
from s3ish.errors import NotImplemented
from s3ish.wire.shape import wire

Level = Literal["service", "bucket", "object"]
Handler = Callable[[Any, Any], Awaitable[Any]]
Permits = Callable[[Any], Iterable[Permit]]
Says = Callable[[Any], tuple[tuple[str, str], ...]]
"""Returns what a body says, as headers; see ``Permit.said``."""
Refuses = Callable[[Mapping[str, str]], None]
"""Raises InvalidArgument for a query that the operation cannot take."""

DOCUMENT_BYTES = 256 * 1024
"""The longest XML body that an operation reads unless it says otherwise."""


class Operation(Struct, frozen=True, eq=False):
    """One S3 operation.

    ``query`` lists the query keys that select it, with the value where that matters; ``header`` a header that does;
    ``action`` is what a policy must allow, ``version_action`` the same for a request with a version id; ``permits``
    returns what else the typed request needs (the source of a copy), and where the action ``is_of_each_key`` that its
    body names, the handler asks for it key by key. One that writes, but no whole object, ``is_of_parts``. Where
    conditions on the action ask what the body says, ``says`` returns that of the typed request, and the action is
    decided on with it. ``refuses`` is asked of the query before anything else is looked at. ``status`` is that of a
    success, ``body_bytes`` the longest XML body, ``needs_digest`` whether the body must carry a checksum,
    ``reads_document`` whether the body is XML, ``reads_stream`` whether it is the object's data, and ``reads_form``
    whether it is a form that says who sends it, under which key and with which headers. One that is not ``supported``
    may say ``because`` of what it is never going to be.
    """

    name: str
    route: str
    method: str
    level: Level
    query: tuple[tuple[str, str | None], ...]
    header: str
    action: str
    version_action: str
    status: int
    body_bytes: int
    needs_digest: bool
    needs_bucket: bool
    request: type
    response: type | None
    handler: Handler
    supported: bool = True
    because: str = ""
    permits: Permits | None = None
    is_of_each_key: bool = False
    is_of_parts: bool = False
    says: Says | None = None
    refuses: Refuses | None = None
    reads_document: bool = False
    reads_stream: bool = False
    reads_form: bool = False

    @property
    def parameters(self) -> frozenset[str]:
        """The query keys that it reads."""
        return wire(self.request).names_at("query") if self.supported else frozenset()

    @property
    def creates(self) -> bool | None:
        """Whether it makes an object, or parts of one; None if it does neither.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
        """
        return not self.is_of_parts if self.action == "s3:PutObject" else None

    @property
    def checksum_is_of_object(self) -> bool:
        """Whether a checksum header speaks of the object that a document makes, not of the document."""
        return self.reads_document and "x-amz-checksum-sha256" in wire(self.request).names_at("header")


def operation(
    route: str,
    *,
    action: str,
    version_action: str = "",
    header: str = "",
    status: int = 200,
    body_bytes: int = DOCUMENT_BYTES,
    needs_digest: bool = False,
    needs_bucket: bool = True,
    permits: Permits | None = None,
    is_of_each_key: bool = False,
    is_of_parts: bool = False,
    says: Says | None = None,
    refuses: Refuses | None = None,
    reads_form: bool = False,
) -> Callable[[Handler], Operation]:
    """Declare an operation; see ``Operation`` for the meaning of the arguments."""

    def declare(handler: Handler) -> Operation:
        hints = handler.__annotations__
        method, level, query = _split(route)
        return Operation(
            name="".join(word.capitalize() for word in handler.__name__.split("_")),
            route=route,
            method=method,
            level=level,
            query=query,
            header=header,
            action=action,
            version_action=version_action or action,
            status=status,
            body_bytes=body_bytes,
            needs_digest=needs_digest,
            needs_bucket=needs_bucket and level != "service",
            request=hints["request"],
            response=hints["return"],
            handler=handler,
            permits=permits,
            is_of_each_key=is_of_each_key,
            is_of_parts=is_of_parts,
            says=says,
            refuses=refuses,
            reads_document=bool(wire(hints["request"]).body_field or wire(hints["request"]).document_field),
            reads_stream=bool(wire(hints["request"]).stream_field),
            reads_form=reads_form,
        )

    return declare


def unsupported(name: str, route: str, *, header: str = "", because: str = "") -> Operation:
    """Declare an operation that is not built; it answers 501 NotImplemented.

    Args:
        header: which every request for it has, where method and path do not tell it from others.
        because: why it is not going to be built, for ``docs/operations.md``.
    """
    method, level, query = _split(route)
    return Operation(
        name=name,
        route=route,
        method=method,
        level=level,
        query=query,
        header=header,
        action=f"s3:{name}",
        version_action=f"s3:{name}",
        status=501,
        body_bytes=0,
        needs_digest=False,
        needs_bucket=False,
        request=object,
        response=None,
        handler=_refuse,
        supported=False,
        because=because,
    )


def refuse_not_built(operation: Operation) -> NotImplemented:
    """Return what an operation answers that is not built."""
    told = operation.because or "docs/operations.md says what is"
    return NotImplemented(f"{NotImplemented.text}. {operation.name} is not built: {told}.", Operation=operation.name)


async def _refuse(context: Any, request: Any) -> None:  # noqa: ARG001 - the form of every handler
    raise NotImplemented


def _split(route: str) -> tuple[str, Level, tuple[tuple[str, str | None], ...]]:
    method, target = route.split(" ")
    path, _, query = target.partition("?")
    level: Level = "object" if "{Key+}" in path else "bucket" if "{Bucket}" in path else "service"
    pairs = [re.split("=", pair, maxsplit=1) for pair in query.split("&") if pair]
    return method, level, tuple((pair[0], pair[1] if len(pair) > 1 else None) for pair in pairs)
