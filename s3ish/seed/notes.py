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
from s3ish.server.json_body import read_json

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


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    """As a file has it: what is said of objects is read by itself, so that an error names the object."""

    options: tuple[Literal["public", "versioned", "lock"], ...] = ()
    objects: Mapping[Annotated[str, Meta(min_length=1)], msgspec.Raw] = {}


class SeedNotes(Struct, frozen=True):
    """What is said of a bucket: its options, as ``--bucket`` has them, and its objects.

    ``objects`` are named by their keys, in which ``*`` and ``?`` are wildcards; the first name that fits counts.
    """

    options: tuple[Literal["public", "versioned", "lock"], ...] = ()
    objects: Mapping[str, ObjectNotes] = {}

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
    place = os.path.basename(path)
    try:
        said = read_json(text, _File)
        objects = {}
        for name, notes in said.objects.items():
            place = f"{os.path.basename(path)}: {name!r}"
            objects[name] = read_json(bytes(notes), ObjectNotes)
    except ValueError as error:
        raise OSError(f"{place}: {error}") from error
    return SeedNotes(said.options, objects)
