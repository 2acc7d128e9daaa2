"""The annotations of a version, put at its replica on another s3ish, and taken away there when they are here.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/annotations-overview.html
"""

from collections.abc import Mapping

from s3ish.jobs.destination import Forbidden
from s3ish.model import Version
from s3ish.objects.annotations import text_of
from s3ish.objects.encodings.chain import Encodings
from s3ish.objects.store import Store
from s3ish.peers.client import Client, Content, check
from s3ish.peers.listing import items_of

_LISTED_AT_ONCE = 20
"""Names have up to 512 bytes, and each may take five in XML: a longer answer is not heard to its end."""


async def tell_annotations(
    store: Store, client: Client, version: Version, encodings: Encodings, mark: Mapping[str, str], *, fresh: bool
) -> None:
    """Have a replica have the annotations of its source, and no others.

    Args:
        encodings: know the keys of the version.
        mark: says that a request is about a replica.
        fresh: whether the replica was made a moment ago, so that it has none.

    Raises Refused, Unreachable, Replaced, S3Error.
    """
    there: dict[str, str] = {}
    if not fresh:
        try:
            there = await _listed(client, version)
        except Forbidden:
            if version.annotations:
                raise
    for annotation in version.annotations:
        if there.pop(annotation.name, None) != annotation.part.etag:
            text = await text_of(store, version, annotation, encodings)
            query = _place(version, annotation.name)
            check(await client.call("PUT", version.key, mark, query=query, content=Content.of(text)))
    for name in there:
        check(await client.call("DELETE", version.key, mark, query=_place(version, name)))


def _place(version: Version, name: str) -> dict[str, str]:
    return {"annotation": "", "annotationName": name, "versionId": version.id}


async def _listed(client: Client, version: Version) -> dict[str, str]:
    """Return the names and ETags of the annotations of a replica."""
    found: dict[str, str] = {}
    query = {"annotation": "", "max-annotation-results": str(_LISTED_AT_ONCE), "versionId": version.id}
    while True:
        page = items_of(await client.call("GET", version.key, query=query), "AnnotationEntry")
        found |= {item.get("AnnotationName", ""): item.get("ETag", "").strip('"') for item in page.items}
        token = page.fields.get("NextContinuationToken", "")
        if not token:
            return found
        query["continuation-token"] = token
