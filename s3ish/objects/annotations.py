"""Annotations: texts with names that belong to a version, and come and go without it being another one.

The bytes of each are a blob at the home of the object, with the sidecar of a part; the version names them. To put one
and to remove one is to amend the version, and what replaces or removes a version takes them away with it.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/annotations-overview.html
"""

import codecs
from collections.abc import Sequence
from contextlib import AsyncExitStack
from unicodedata import category

from msgspec.structs import replace

from s3ish.blob.protocol import Buffer, Corrupt, Missing
from s3ish.errors import (
    AnnotationLimitExceeded,
    AnnotationNameTooLong,
    EntityTooLarge,
    InvalidAnnotationName,
    InvalidRequest,
    NoSuchAnnotation,
    PreconditionFailed,
    UnsupportedMediaType,
    UserAnnotationNameMustBeSpecified,
)
from s3ish.index.protocol import Change
from s3ish.model import Annotation, Part, Usage, Version
from s3ish.objects import get as read
from s3ish.objects import versions
from s3ish.objects.conditions import matches
from s3ish.objects.consequences import BY_SERVER, Cause
from s3ish.objects.digests import Claims
from s3ish.objects.encodings import customer
from s3ish.objects.encodings.chain import PLAIN, Encodings
from s3ish.objects.ingest import Source, ingest
from s3ish.objects.linking import link
from s3ish.objects.lock import check_removal
from s3ish.objects.own_parts import make_each, seal_part
from s3ish.objects.store import Store, translated
from s3ish.tables.catalogue import INLINE, PARTS, VERSIONS

MAX_ANNOTATIONS = 1000
MAX_BYTES = 1024 * 1024
MAX_NAME_BYTES = 512
_RESERVED = ("aws", "s3")


class Text:
    """A source that must be one to ``MAX_BYTES`` bytes of UTF-8."""

    def __init__(self, source: Source) -> None:
        self.size, self.algorithm, self.expects_sha256 = source.size, source.algorithm, source.expects_sha256
        self._source, self._count = source, 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._check(source.size or 0)

    async def gather(self, count: int) -> None:
        """See ``ingest.Source``."""
        await self._source.gather(count)

    async def read(self, limit: int) -> Buffer:
        """See ``ingest.Source``. Raises UnsupportedMediaType, EntityTooLarge."""
        piece = await self._source.read(limit)
        self._count += len(piece)
        self._check(self._count)
        self._decode(piece, end=False)
        return piece

    def claims(self) -> Claims:
        """See ``ingest.Source``."""
        return self._source.claims()

    def finish(self) -> None:
        """Check the end. Raises UnsupportedMediaType, InvalidRequest."""
        if not self._count:
            raise InvalidRequest("An annotation has at least one byte.")
        self._decode(b"", end=True)

    @staticmethod
    def _check(size: int) -> None:
        if size > MAX_BYTES:
            raise EntityTooLarge(ProposedSize=size, MaxSizeAllowed=MAX_BYTES)

    def _decode(self, piece: Buffer, *, end: bool) -> None:
        try:
            self._decoder.decode(piece, end)
        except UnicodeDecodeError as error:
            raise UnsupportedMediaType from error


def check_name(name: str | None) -> str:
    """Return the name of an annotation.

    Raises:
        AnnotationNameTooLong: it has more than 512 bytes.
        InvalidAnnotationName: it begins with what is reserved, or has control characters.
        UserAnnotationNameMustBeSpecified: there is none.
    """
    if not name:
        raise UserAnnotationNameMustBeSpecified
    if name.lower().startswith(_RESERVED) or any(category(sign) in ("Cc", "Cs") for sign in name):
        raise InvalidAnnotationName
    if len(name.encode()) > MAX_NAME_BYTES:
        raise AnnotationNameTooLong
    return name


def find(version: Version, name: str) -> Annotation:
    """Return an annotation of a version. Raises NoSuchAnnotation."""
    for annotation in version.annotations:
        if annotation.name == name:
            return annotation
    raise NoSuchAnnotation(AnnotationName=name)


def check_annotatable(version: Version, if_match: str | None) -> None:
    """Check that a version may get annotations, and that it is the one that is meant.

    Args:
        if_match: entity tags of which it must have one, if not None.

    Raises:
        PreconditionFailed: it has none of them.
        InvalidRequest: it is encrypted under a key that the server does not have.
    """
    if if_match is not None and not matches(if_match, version.etag):
        raise PreconditionFailed(Condition="x-amz-object-if-match")
    if customer.link_in(version.encoding):
        raise InvalidRequest("Objects encrypted with SSE-C cannot have annotations.")


async def put_annotation(
    store: Store,
    version: Version,
    version_id: str | None,
    name: str,
    source: Source,
    *,
    if_match: str | None = None,
    encodings: Encodings | None = None,
    cause: Cause = BY_SERVER,
) -> tuple[Version, Annotation]:
    """Give a version an annotation, or another text under a name that it has.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAnnotation.html

    Args:
        version: as it was found; whether it is still there is looked at in the end.
        version_id: by which it was found; None for the newest one.
        name: checked by ``check_name``.
        source: the text.
        if_match: see ``check_annotatable``.
        encodings: of a version that needs keys; the store's if None.
        cause: why.

    Returns:
        The version as it is now, and its new annotation.

    Raises:
        AnnotationLimitExceeded: it has a thousand others.
        QuotaExceeded: a quota leaves no room for the text. Of several at once each sees what was there before.
        AccessDenied: a lock keeps the text that it has under this name.
        S3Error: a broken body, or what it is refused for; see ``check_annotatable`` and ``Text``.
    """
    text, chain = Text(source), (encodings or store.encodings).chain(version.encoding)
    with translated():
        await _check_room(store, version.bucket, source.size or 0)
        async with store.create(version.bucket, version.key, source.size, chain) as writer:
            ingested = await ingest(text, writer, store.offload, store.room, None, chain)
            text.finish()
            await _check_room(store, version.bucket, ingested.digests.size)  # its size was perhaps not announced
            part = Part(
                number=0,
                size=ingested.digests.size,
                etag=ingested.etag,
                modified_ns=store.clock.service_ns(),
                blob=ingested.blob,
                checksum=ingested.digests.checksum,
                encoding=ingested.encoding,
            )
            made = Annotation(name=name, part=part)
            async with store.provisional(part.blob):
                inline = await writer.seal(PARTS.seal(part, version.bucket, version.key, ""))

                def change(found: Version) -> Version:
                    check_annotatable(found, if_match)
                    others = [one for one in found.annotations if one.name != name]
                    if len(others) < len(found.annotations):
                        check_removal(found, store.clock.service_ns(), bypass=False)
                    if len(others) >= MAX_ANNOTATIONS:
                        raise AnnotationLimitExceeded
                    return replace(found, annotations=_ordered([*others, made]))

                also = INLINE.keep(part.blob, inline)
                return await versions.amend_version(
                    store, version.bucket, version.key, version_id, change, cause=cause, also=also
                ), made


async def _check_room(store: Store, name: str, size: int) -> None:
    """Refuse what a quota leaves no room for. Raises QuotaExceeded, NoSuchBucket."""
    bucket = (await store.bucket(name)).record
    if store.quotas.limit(bucket):
        await store.quotas.check(store.index, bucket, Usage(bytes=size))


async def delete_annotation(
    store: Store,
    bucket: str,
    key: str,
    version_id: str | None,
    name: str,
    *,
    if_match: str | None = None,
    bypass: bool = False,
    cause: Cause = BY_SERVER,
) -> Version:
    """Take an annotation from a version, if it has it.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectAnnotation.html

    Args:
        if_match: entity tags of the object, of which it must have one.
        bypass: whether one may go of a version that is retained in governance mode.
        cause: why.

    Returns:
        The version as it is now.

    Raises:
        NoSuchKey, NoSuchVersion, MethodNotAllowed, PreconditionFailed, AccessDenied: it is not there, or may not go.
    """

    def change(found: Version) -> Version:
        if if_match is not None and not matches(if_match, found.etag):
            raise PreconditionFailed(Condition="x-amz-object-if-match")
        others = tuple(one for one in found.annotations if one.name != name)
        if len(others) < len(found.annotations):
            check_removal(found, store.clock.service_ns(), bypass=bypass)
        return replace(found, annotations=others)

    return await versions.amend_version(store, bucket, key, version_id, change, method="DELETE", cause=cause)


def _ordered(annotations: Sequence[Annotation]) -> tuple[Annotation, ...]:
    """Return annotations in the order in which they are listed: that of the UTF-8 bytes of their names."""
    return tuple(sorted(annotations, key=lambda one: one.name.encode()))


async def text_of(store: Store, version: Version, annotation: Annotation, encodings: Encodings | None) -> bytes:
    """Return the text of an annotation, which is in memory then.

    Raises:
        Replaced: it was replaced or removed after the caller had found it.
        InternalError: it is damaged beyond repair.
    """
    part = annotation.part
    with translated():
        try:
            opened = await read.open_piece(store, encodings or store.encodings, part, 0, part.size)
            if isinstance(opened, bytes):
                return opened
            try:
                return b"".join([bytes(piece) async for piece in opened])
            finally:
                await opened.close()
        except (Missing, Corrupt) as error:
            raise await _cause(store, version, part, error) from error


async def _cause(store: Store, version: Version, part: Part, error: Exception) -> Exception:
    """Return why the bytes of an annotation are not there."""
    held = await store.get(VERSIONS, version.bucket, version.key, version.sequence)
    named = held and any(one.part.blob.id == part.blob.id for one in held.record.annotations)
    return error if named else read.Replaced()


async def carried(
    store: Store,
    version: Version,
    bucket: str,
    key: str,
    stack: AsyncExitStack,
    rows: list[Change],
    encodings: Encodings | None = None,
) -> tuple[Annotation, ...]:
    """Give the annotations of a version blobs of another object, without copying their bytes where that is possible.

    Args:
        stack: is left when they are committed, or will not be.
        rows: collects the bytes of short ones, which the commit must make durable.
        encodings: those of the other object, whose links are the default ones, and of the version. Without, what is
            stored is taken as it is.

    Raises:
        Replaced: one of them was replaced or removed after the caller had found the version.
    """
    chain = encodings.chain() if encodings else None

    async def carry(annotation: Annotation) -> Annotation:
        part = annotation.part
        size = part.blob.size if chain is None else part.size
        writer = await stack.enter_async_context(store.create(bucket, key, size, chain or PLAIN))
        if chain is None or chain.covers(part.encoding):
            try:
                made = replace(part, blob=await link(store, part.blob, writer))
            except (Missing, Corrupt) as error:
                raise await _cause(store, version, part, error) from error
        else:
            source = Held(await text_of(store, version, annotation, encodings), part)
            ingested = await ingest(source, writer, store.offload, store.room, source.algorithm, chain)
            made = replace(part, blob=ingested.blob, encoding=ingested.encoding)
        await seal_part(store, made, writer, bucket, key, stack, rows)
        return replace(annotation, part=made)

    return await make_each(carry, version.annotations)


class Held:
    """A text that is in memory, as a source."""

    expects_sha256 = False

    def __init__(self, text: bytes, part: Part) -> None:
        self.size: int | None = len(text)
        self.algorithm = part.checksum.algorithm if part.checksum else None
        self._left = text

    async def gather(self, count: int) -> None:
        """See ``ingest.Source``."""

    async def read(self, limit: int) -> Buffer:
        """See ``ingest.Source``."""
        piece, self._left = self._left[:limit], self._left[limit:]
        return piece

    def claims(self) -> Claims:
        """See ``ingest.Source``."""
        return Claims()
