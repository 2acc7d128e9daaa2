"""Which world of a server for tests a request is for: its access key says so, ``test-<name>``.

What is read here proves nothing: the world itself checks the signature.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any

from s3ish.server.body import Receive

MAIN = ""
"""The world of all other keys, and of requests without one."""
_NAME = r"(test-[A-Za-z0-9._-]{1,64})"
NAME = re.compile(_NAME)
_IN_HEADER = re.compile(rf"\A(?:AWS4-HMAC-SHA256 (?:.*[ ,])?Credential=|AWS ){_NAME}[/:]")
_IN_QUERY = re.compile(rf"(?:^|&)(?:X-Amz-Credential={_NAME}(?:/|%2F)|AWSAccessKeyId={_NAME}(?:&|$))", re.IGNORECASE)
_TOKEN_IN_QUERY = re.compile(r"(?:^|&)X-Amz-Security-Token=([^&]+)", re.IGNORECASE)
_IN_TOKEN = re.compile(rf'"parent":"{_NAME}"')
_IN_FORM = re.compile(
    rf'name="?(?:x-amz-credential|AWSAccessKeyId)"?[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n{_NAME}[/\r]', re.IGNORECASE
)
_FORM_BYTES = 64 * 1024
"""So much of a browser's form is looked through; its fields come before the file."""


def claimed_world(scope: Mapping[str, Any]) -> str:
    """Return the access key by which a request names a world of its own; ``MAIN`` if it names none."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _READ}
    query = scope["query_string"].decode("latin-1")
    token = headers.get(b"x-amz-security-token") or _found(_TOKEN_IN_QUERY, query)
    if token:
        return _found(_IN_TOKEN, _opened(token))
    return _found(_IN_HEADER, headers.get(b"authorization", "")) or _found(_IN_QUERY, query)


_READ = frozenset((b"authorization", b"x-amz-security-token"))


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return next((group for group in match.groups() if group), "") if match else ""


def _opened(token: str) -> str:
    """Return what the token of a session says."""
    try:
        return base64.b64decode(token.replace("%3D", "=").encode(), altchars=b"-_").decode("latin-1")
    except ValueError:
        return ""


def is_form(scope: Mapping[str, Any]) -> bool:
    """Whether a request is a browser's form, whose fields say whose it is."""
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    return scope["method"] == "POST" and any(kind.lower().startswith(b"multipart/form-data") for kind in kinds)


async def claimed_world_of_form(scope: dict[str, Any], receive: Receive) -> tuple[str, dict[str, Any], Receive]:
    """Look through the fields of a form. Returns the world, and scope and ``receive`` to go on with."""
    messages: list[Any] = []
    text, name = "", ""
    while not name and len(text) < _FORM_BYTES:
        messages.append(message := await receive())
        text += message.get("body", b"").decode("latin-1")
        name = _found(_IN_FORM, text)
        if not message.get("more_body"):
            break

    async def again() -> Any:
        return messages.pop(0) if messages else await receive()

    # what was read already cannot be read to where it will stay
    kept = {name: it for name, it in scope.get("extensions", {}).items() if name != "s3ish.appetite"}
    return name, {**scope, "extensions": kept}, again
