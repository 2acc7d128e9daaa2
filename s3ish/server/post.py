"""A browser's form before it is handled: its fields become a target, headers and a proof of who sends it.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from s3ish.api.shapes import TagElement
from s3ish.auth.authenticator import Authentication, Authenticator
from s3ish.auth.post_policy import Sizes, check_policy
from s3ish.errors import InvalidArgument
from s3ish.server.body import RequestBody
from s3ish.server.form_body import FormBody
from s3ish.wire.fields import elements
from s3ish.wire.names import check_key
from s3ish.wire.shape import read_document, shape

_HEADERS = frozenset(
    ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")
)
_CONDITIONS = ("if-match", "if-none-match", "if-unmodified-since")
"""A form has none, and is refused for one: what its client wants kept would be replaced."""
_OWN = frozenset(("success_action_redirect", "redirect", "success_action_status"))
_PROOF = frozenset(("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token"))


@shape(root="Tagging")
class _Tagging:
    """The tags of a form."""

    tags: list[TagElement] = elements("Tag", wrapper="TagSet")


class Form(NamedTuple):
    """What a form says: who signed it (None if it is not signed), under which key, with which headers, and its file."""

    signer: Authentication | None
    key: str
    headers: Mapping[str, str]
    file: FormBody


async def open_form(
    body: RequestBody,
    headers: Mapping[str, str],
    authenticator: Authenticator,
    keep_up: Callable[[], Awaitable[None]],
    bucket: str,
    now: datetime,
) -> Form:
    """Read the fields of a form, and check its signature and its policy.

    Args:
        body, headers: those of the request.
        authenticator: who has signed it; ``keep_up`` lets it know of the keys of now, for a form may come slowly.
        bucket: that of the request.
        now: the time, UTC.

    Raises:
        S3Error: it is no form, lacks a field, is not signed as it says, or its policy does not allow it.
    """
    file = FormBody(body, headers.get("content-type", ""))
    fields = await file.read_fields()
    if "key" not in fields:
        raise InvalidArgument(
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
            ArgumentName="key",
            ArgumentValue="",
        )
    fields["key"] = check_key(fields["key"].replace("${filename}", file.file_name))
    await keep_up()
    signer = authenticator.identify_form(fields, now)
    sizes = check_policy(fields["policy"], fields, bucket, now) if "policy" in fields else Sizes()
    file.expect(sizes, fields)
    return Form(signer, fields["key"], _headers(headers, fields), file)


def _headers(own: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that the fields stand for, with those of the request that still count."""
    found = {name: own[name] for name in ("host", "referer", "user-agent", "origin") if name in own}
    found |= {name: given[name] for given in (own, fields) for name in _CONDITIONS if name in given}
    found |= {
        name: value
        for name, value in fields.items()
        if name in _HEADERS or name in _OWN or (name.startswith("x-amz-") and name not in _PROOF)
    }
    if "acl" in fields:
        found["x-amz-acl"] = fields["acl"]
    if "tagging" in fields:
        tags = read_document(_Tagging, fields["tagging"].encode()).tags
        found["x-amz-tagging"] = urlencode([(tag.key, tag.value) for tag in tags])
    return found
