"""Restoring sidecars while requests go on."""

import os

from s3ish.integrity.inspect import restore_sidecars
from tests.objects.support import put, remove, sample, sealed


async def test_what_is_removed_while_it_is_mended_stays_removed(world, store, monkeypatch):  # case 151
    for key, size in (("small", 50), ("large", 2500)):
        await put(store, key, sample(size))
        ref = (await store.newest("b", key))[0].record.blob
        for path in world.files_of(ref):
            if path.endswith("metadata.json"):
                os.unlink(path)
        amend = store.blobs.amend

        async def slow(target, sidecar, *, key=key, ref=ref, amend=amend, **options):
            if target == ref:
                await remove(store, key)
            await amend(target, sidecar, **options)

        with monkeypatch.context() as patched:
            patched.setattr(store.blobs, "amend", slow)
            assert [mended async for mended in restore_sidecars(store)].count(True) == 0
        assert not [blob for blob in await sealed(store) if f"/{key}@" in blob]
        assert not [path for path in world.files() if f"/{key}@" in path]
