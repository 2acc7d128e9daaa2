"""Uploads to one other server that were cut off: they go on with the parts that are there, after a restart as well.

The id of a long upload stands in the index until the version is there. A short one begins again, which takes less than
to note it.
"""

from collections.abc import Mapping
from contextlib import suppress

from s3ish.jobs.destination import Forbidden, Refused, Unreachable
from s3ish.model import Version
from s3ish.objects.store import Store
from s3ish.peers.client import Client
from s3ish.peers.listing import items_of
from s3ish.tables import keys
from s3ish.tables.catalogue import SENDINGS
from s3ish.tables.state import SENDING_UPLOADS, SendingUpload

_NOTED_BYTES = 64 * 1024 * 1024
"""From this length of a version on its upload is noted."""
_LISTED_AT_ONCE = "100"
_SWEPT_AT_ONCE = 100


class Unfinished:
    """The uploads of one target.

    Args:
        store: the engines; their ids stand in its index.
        client: sends requests to the bucket.
        arn: what rules call the target.
    """

    def __init__(self, store: Store, client: Client, arn: str) -> None:
        self._store, self._client, self._arn = store, client, arn

    def _row(self, version: Version) -> bytes:
        return keys.sending_key(self._arn, version.sequence, version.bucket, version.key)

    def is_noted(self, version: Version) -> bool:
        """Whether the upload of a version is long enough to go on later."""
        return version.size >= _NOTED_BYTES

    async def find(self, version: Version) -> tuple[str, Mapping[int, tuple[int, str]]]:
        """Return the id of the upload of a version, empty if there is none, and size and ETag of each part there.

        Raises Refused, Unreachable.
        """
        row = SENDING_UPLOADS.of(self._row(version))
        begun = row.read(await row.value(self._store.index)) if self.is_noted(version) else None
        if begun is None:
            return "", {}
        if begun.revision != version.revision:  # the object would say what the version said then
            await self._abort_now(version, begun.upload)
            return "", {}
        try:
            return begun.upload, await self._parts(version.key, begun.upload)
        except (Forbidden, Refused):  # the right to list parts is missing, or it was aborted there: it begins again
            await self._abort_now(version, begun.upload)
        return "", {}

    async def _parts(self, key: str, upload: str) -> dict[int, tuple[int, str]]:
        found: dict[int, tuple[int, str]] = {}
        query = {"uploadId": upload, "max-parts": _LISTED_AT_ONCE}
        while True:
            page = items_of(await self._client.call("GET", key, query=query), "Part")
            try:
                for it in page.items:
                    found[int(it["PartNumber"])] = int(it["Size"]), it["ETag"].strip('"')
            except (KeyError, ValueError) as error:
                raise Refused("a listing cannot be read") from error
            marker = page.fields.get("NextPartNumberMarker", "")
            if page.fields.get("IsTruncated") != "true" or marker == query.get("part-number-marker"):
                return found
            query["part-number-marker"] = marker

    async def note(self, version: Version, upload: str) -> None:
        """Remember an upload that was begun, if it is a long one."""
        if self.is_noted(version):
            note = SENDING_UPLOADS.of(self._row(version)).put(SendingUpload(upload, version.revision))
            await self._store.commit([note], [])

    async def forget(self, version: Version) -> None:
        """Forget the upload of a version: it is complete, or was aborted."""
        if self.is_noted(version):
            await self._store.commit([SENDING_UPLOADS.of(self._row(version)).drop()], [])

    async def abort(self, version: Version, upload: str) -> None:
        """Abort the upload of a version if that may be done, and forget it; if nothing answers, ``sweep`` does."""
        with suppress(Unreachable):
            await self._abort_now(version, upload)

    async def _abort_now(self, version: Version, upload: str) -> None:
        """Do the same, before another one is noted in its place. Raises Unreachable."""
        with suppress(Forbidden, Refused):
            await self._client.call("DELETE", version.key, query={"uploadId": upload})
        await self.forget(version)

    async def sweep(self) -> None:
        """Abort the uploads of versions that do not wait any more, as those that were removed. Raises Unreachable.

        One that may not be aborted stays noted, and holds up no other.
        """
        start, stop = keys.outbox_range(self._arn)
        while rows := await SENDING_UPLOADS.between(self._store.index, start, stop, _SWEPT_AT_ONCE):
            for name, value in rows:
                if not await self._store.get(SENDINGS, *keys.split_sending_key(name)):
                    with suppress(Forbidden):
                        await self._sweep(name, value)
            start = keys.after(rows[-1][0])

    async def _sweep(self, name: bytes, value: bytes) -> None:
        row = SENDING_UPLOADS.of(name)
        begun = row.read(value)
        if begun:
            await self._client.call("DELETE", keys.split_sending_key(name)[3], query={"uploadId": begun.upload})
        await self._store.commit([row.drop()], [row.expect(value)])
