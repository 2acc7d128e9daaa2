"""What is wrong with drives and shards on purpose, so that tests see a store go on and heal."""

from typing import Any

from s3ish.blob.erasure.harm import Kind as HarmKind
from s3ish.blob.erasure.harm import harm
from s3ish.blob.protocol import BlobError
from s3ish.blob.volumes.trouble import Kind
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.objects.store import Store
from s3ish.objects.unreachable import blobs_of


class StorageFaults:
    """Harms the drives of a store.

    Args:
        store: whose objects they hold.
        volumes: the drives.
    """

    def __init__(self, store: Store, volumes: Volumes) -> None:
        self._store, self._volumes = store, volumes

    def of(self, store: Store) -> "StorageFaults":
        """Return what harms the same drives, and finds objects in another store on them."""
        return StorageFaults(store, self._volumes)

    @property
    def drives(self) -> list[dict[str, Any]]:
        """Each drive that is in reach: its position, its folder, its state, and what is wrong with it on purpose."""
        return [
            {"drive": it.position, "folder": it.root, "state": it.state, "trouble": it.calls.trouble.kind}
            for it in self._volumes.present
        ]

    def set(self, drive: int, kind: Kind) -> None:
        """Let something be wrong with a drive. Raises LookupError: there is none, or it is out of reach."""
        for volume in self._volumes.present:
            if volume.position == drive:
                volume.calls.trouble.set(kind)
                return
        raise LookupError(f"there is no drive {drive}")

    def clear(self) -> None:
        """Let nothing be wrong on purpose."""
        for volume in self._volumes.present:
            volume.calls.trouble.set("ok")

    async def harm(self, bucket: str, key: str, part: int, shard: int, kind: HarmKind) -> str:
        """Damage a shard of the newest version of an object. Returns which file it was.

        Args:
            part: which part of an object that was uploaded in parts, from 1.
            shard: which shard, from 0; those of parity come last.

        Raises:
            LookupError: there is no such object, part or file.
            ValueError: it has no such shard.
        """
        found = await self._store.newest(bucket, key)
        version = found[0].record if found else None
        if version is None or version.marker:
            raise LookupError(f"there is no object {key!r} in {bucket!r}")
        refs = blobs_of(version)[1:] if version.parts else [version.blob]
        if not 1 <= part <= len(refs):
            raise LookupError(f"the object has parts 1 to {len(refs)}")
        token = self._store.clock.token()
        try:
            return await self._store.offload.run(harm, self._volumes, refs[part - 1], shard, kind, token)
        except BlobError as error:
            raise LookupError(str(error)) from error
