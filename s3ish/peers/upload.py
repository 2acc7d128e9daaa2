"""The bytes of a version on their way to another server: in one request, or in parts.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from s3ish.jobs.destination import Refused, Unreachable
from s3ish.model import Checksum, Version
from s3ish.objects.encodings.chain import Encodings
from s3ish.objects.get import Replaced
from s3ish.objects.store import Store
from s3ish.outbound.http import Answer
from s3ish.peers.client import Client, Content, check, element
from s3ish.peers.content import content_of
from s3ish.peers.headers import checksum
from s3ish.peers.unfinished import Unfinished

MOST_PARTS = 10_000
_MIB = 1024 * 1024


class Span(NamedTuple):
    """The bytes ``[start, stop)`` of a version that are sent as one part, and their checksum if that is known."""

    start: int
    stop: int
    checksum: Checksum | None = None


def spans_of(version: Version, longest: int) -> list[Span]:
    """Return the parts in which a version is sent; none where it is sent whole.

    A version that was uploaded in parts is sent in these.

    Args:
        longest: the most bytes that are sent whole, and the size of a part.
    """
    if version.sent_parts:
        spans, start = [], 0
        for part in version.sent_parts:
            spans.append(Span(start, start + part.size, part.checksum))
            start += part.size
        return spans
    if version.size <= longest:
        return []
    size = max(longest, -(-version.size // MOST_PARTS))
    return [Span(start, min(start + size, version.size)) for start in range(0, version.size, size)]


async def put_whole(
    store: Store, client: Client, version: Version, encodings: Encodings, headers: Mapping[str, str]
) -> Answer:
    """Send a version in one request. Raises Refused, Unreachable, Replaced, S3Error."""
    content = await content_of(store, version, 0, version.size, encodings)
    given = {**headers, **checksum(version.checksum)}
    return check(await client.call("PUT", version.key, given, content=content))


async def put_in_parts(
    store: Store,
    client: Client,
    version: Version,
    spans: Sequence[Span],
    encodings: Encodings,
    headers: Mapping[str, str],
    completing: Mapping[str, str],
    unfinished: Unfinished,
) -> Answer:
    """Send a version in parts, one after the other; what was begun goes on if it is long, and is aborted otherwise.

    Args:
        headers: those of the new object.
        completing: those of the request that makes it.
        unfinished: knows what was begun before.

    Raises Refused, Unreachable, Replaced, S3Error.
    """
    kind = _kind(version, spans)
    upload, there = await unfinished.find(version)
    if not upload:
        begun = check(await client.call("POST", version.key, {**headers, **kind}, query={"uploads": ""}))
        upload = element(begun, "UploadId")
        if not upload:
            raise Unreachable("an upload was begun, and has no id")
        await unfinished.note(version, upload)
    try:
        listed = []
        for number, span in enumerate(spans, 1):
            size, etag = there.get(number, (-1, ""))
            if size != span.stop - span.start:
                content = await content_of(store, version, span.start, span.stop, encodings)
                given = checksum(span.checksum) if kind else {}
                query = {"partNumber": str(number), "uploadId": upload}
                answer = check(await client.call("PUT", version.key, given, query=query, content=content))
                etag = answer.headers.get("etag", "").strip('"')
            listed.append(_listed(number, etag, span.checksum if kind else None))
        document = f"<CompleteMultipartUpload>{''.join(listed)}</CompleteMultipartUpload>".encode()
        done = await client.call(
            "POST", version.key, completing, query={"uploadId": upload}, content=Content.of(document)
        )
        check(done)
    except (Refused, Replaced):
        await unfinished.abort(version, upload)
        raise
    except BaseException:
        if not unfinished.is_noted(version):
            await unfinished.abort(version, upload)
        raise
    await unfinished.forget(version)
    return done


def _kind(version: Version, spans: Sequence[Span]) -> dict[str, str]:
    """Return the headers that say which checksum the parts have, if all have one of the kind that the whole has."""
    whole = version.checksum
    if whole is None or not all(span.checksum and span.checksum.algorithm == whole.algorithm for span in spans):
        return {}
    return {"x-amz-checksum-algorithm": whole.algorithm, "x-amz-checksum-type": whole.kind}


def _listed(number: int, etag: str, of: Checksum | None) -> str:
    sums = f"<Checksum{of.algorithm}>{of.value}</Checksum{of.algorithm}>" if of else ""
    return f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag>{sums}</Part>"
