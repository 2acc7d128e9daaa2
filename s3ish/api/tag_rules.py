"""What tags may be: how many, how long, of which characters; and how a header gives them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
"""

from unicodedata import category

from s3ish.errors import BadRequest, InvalidArgument, InvalidTag, InvalidURI
from s3ish.model import Tag
from s3ish.wire.names import decode_segment

MAX_TAGS = 10
MAX_TAG_KEY, MAX_TAG_VALUE = 128, 256
"""In UTF-16 code units, as S3 counts characters of tags."""
_SIGNS = "_.:/=+-@"
"""What a tag may hold beside letters, digits and spaces of any script."""
_RESERVED_OF_BUCKETS = "System tags cannot be added/updated by requester"


def read_tagging(text: str) -> tuple[Tag, ...]:
    """Read the ``x-amz-tagging`` header, tags as URL query parameters; one without ``=`` has an empty value.

    Raises:
        InvalidArgument, InvalidTag, BadRequest: malformed, or beyond the limits.
    """
    try:
        pairs = [item.replace("+", " ").partition("=") for item in text.split("&") if item]
        tags = tuple(Tag(decode_segment(key), decode_segment(value)) for key, _, value in pairs)
        if len({tag.key for tag in tags} - {""}) < len(tags):
            raise InvalidURI
    except InvalidURI as error:
        raise InvalidArgument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag "
            "name duplicates.",
            ArgumentName="x-amz-tagging",
            ArgumentValue=text,
        ) from error
    return check_tags(tags, MAX_TAGS)


def check_tags(tags: tuple[Tag, ...], limit: int, *, of_bucket: bool = False) -> tuple[Tag, ...]:
    """Return tags that follow the rules of https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html

    Args:
        of_bucket: whether a bucket is tagged; errors say so.

    Raises:
        BadRequest: more than ``limit`` tags.
        InvalidTag: a key or value is too long, reserved or holds other characters, or a key appears twice.
    """
    if len(tags) > limit:
        raise BadRequest(f"{'Bucket tag count' if of_bucket else 'Object tags'} cannot be greater than {limit}")
    seen: set[str] = set()
    for tag in tags:
        if tag.key in seen:
            raise InvalidTag("Cannot provide multiple Tags with the same key", TagKey=tag.key)
        seen.add(tag.key)
        if not tag.key or not _fits(tag.key, MAX_TAG_KEY):
            raise InvalidTag("The TagKey you have provided is invalid", TagKey=tag.key)
        if tag.key.startswith("aws:"):
            reserved = _RESERVED_OF_BUCKETS if of_bucket else "Your TagKey cannot be prefixed with aws:"
            raise InvalidTag(reserved, TagKey=tag.key)
        if not _fits(tag.value, MAX_TAG_VALUE):
            raise InvalidTag("The TagValue you have provided is invalid", TagKey=tag.key, TagValue=tag.value)
    return tags


def _fits(text: str, limit: int) -> bool:
    """Whether a key or value is short enough and has no other characters than S3 allows."""
    if len(text) > limit or len(text.encode("utf-16-le", "replace")) > 2 * limit:
        return False
    return all(character in _SIGNS or category(character)[0] in "LNZ" for character in text)
