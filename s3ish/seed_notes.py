"""What a JSON file beside a folder of the seed says of its bucket and its objects: ``site.json`` of ``site/``."""

import os
from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Meta, Struct

from s3ish.api.object_headers import attributes_of
from s3ish.api.shapes import AttributeHeaders, KeptHeaders
from s3ish.auth.patterns import Pattern
from s3ish.model import Attributes

_MOST_BYTES = 16 << 20


class ObjectNotes(Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of objects, as the headers of a PutObject would say it; ``tags`` by name."""

    content_type: str = ""
    cache_control: str = ""
    content_disposition: str = ""
    content_encoding: str = ""
    content_language: str = ""
    expires: str = ""
    metadata: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    storage_class: str = ""
    website_redirect: str = ""

    def attributes(self, content_type: str) -> Attributes:
        """Return what the object has.

        Args:
            content_type: where the notes give none.

        Raises:
            S3Error: S3 would refuse one of the values.
        """
        kept = {
            "content-type": self.content_type or content_type,
            "cache-control": self.cache_control,
            "content-disposition": self.content_disposition,
            "content-encoding": self.content_encoding,
            "content-language": self.content_language,
            "expires": self.expires,
        }
        request = AttributeHeaders(
            kept=KeptHeaders.of({name: value for name, value in kept.items() if value}),
            metadata={name.lower(): value for name, value in self.metadata.items()},
            storage_class=self.storage_class or None,
            website_redirect=self.website_redirect or None,
            tagging=urlencode(self.tags, quote_via=quote) or None,
        )
        return attributes_of(request)


class SeedNotes(Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of a bucket: its options, as ``--bucket`` has them, and its objects.

    ``objects`` are named by their keys, in which ``*`` and ``?`` are wildcards; the first name that fits counts.
    """

    options: tuple[Literal["public", "versioned", "lock"], ...] = ()
    objects: Mapping[Annotated[str, Meta(min_length=1)], ObjectNotes] = {}

    def of(self, key: str) -> ObjectNotes:
        """Return what is said of an object."""
        for name, notes in self.objects.items():
            if name == key or Pattern(name, variables=False).matches(key, lambda _: ()):
                return notes
        return ObjectNotes()


def read_notes(path: str) -> SeedNotes:
    """Read a file. Raises OSError: it cannot be read, or is not of this form."""
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return SeedNotes()
    if len(text) > _MOST_BYTES:
        raise OSError(f"{os.path.basename(path)} has more than {_MOST_BYTES} bytes")
    try:
        return msgspec.json.decode(text, type=SeedNotes)
    except (ValueError, RecursionError) as error:
        raise OSError(f"{os.path.basename(path)}: {error}") from error
