"""What sidecars say: everything about a bucket, version, upload or part that an index would have to be rebuilt from."""

import msgspec
from msgspec import Struct

from s3ish.model import Bucket, Part, Upload, Version


class BucketSidecar(Struct, frozen=True, tag="bucket", tag_field="kind"):
    """The sidecar of a bucket."""

    bucket: Bucket


class VersionSidecar(Struct, frozen=True, tag="version", tag_field="kind"):
    """The sidecar of an object version or delete marker."""

    version: Version


class UploadSidecar(Struct, frozen=True, tag="upload", tag_field="kind"):
    """The sidecar of an upload in progress."""

    upload: Upload


class PartSidecar(Struct, frozen=True, tag="part", tag_field="kind"):
    """The sidecar of a part: of an upload in progress, or of a version that lists its blob."""

    bucket: str
    key: str
    upload: str
    part: Part


AnySidecar = BucketSidecar | VersionSidecar | UploadSidecar | PartSidecar

_decoder: msgspec.json.Decoder[AnySidecar] = msgspec.json.Decoder(AnySidecar)


def write(seal: AnySidecar) -> bytes:
    """Return the JSON text of a sidecar."""
    return msgspec.json.encode(seal, enc_hook=list)  # as in ``records``


def read(sidecar: bytes) -> AnySidecar:
    """Read a sidecar's JSON text.

    Raises:
        ValueError: not a sidecar of a known kind.
    """
    try:
        return _decoder.decode(sidecar)
    except RecursionError as error:
        raise ValueError("a sidecar is nested too deeply") from error


def made_ns(sealed: AnySidecar) -> int:
    """Return when it was sealed, in nanoseconds since the epoch."""
    if isinstance(sealed, BucketSidecar):
        return sealed.bucket.created_ns
    if isinstance(sealed, VersionSidecar):
        return sealed.version.modified_ns
    if isinstance(sealed, UploadSidecar):
        return sealed.upload.created_ns
    return sealed.part.modified_ns
