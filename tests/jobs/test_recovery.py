"""What is done before the first request after a stop, clean or not; and what replacements that were cut off leave."""

import os
from pathlib import Path

from s3ish.index.protocol import Delete
from s3ish.jobs.orphans import SWEEP, UNCLEAN, OrphanJob
from s3ish.jobs.recovery import recover
from s3ish.objects import buckets, seal
from tests.objects.support import make_bucket, put, sample, strays


async def crash_and_recover(store):
    await recover(store)  # the server that was killed
    await recover(store)


async def test_a_clean_stop_asks_for_no_sweep(store):
    await recover(store)
    await store.index.commit([Delete("state", UNCLEAN)])
    await recover(store)
    assert await store.index.get("state", SWEEP) is None


async def test_an_unclean_stop_asks_for_a_sweep(store):
    await crash_and_recover(store)
    assert await store.index.get("state", SWEEP) is not None


async def test_a_change_of_a_bucket_that_was_cut_off_leaves_no_trace(store):
    """The sidecar is written before the row; what the row does not say was never acknowledged."""
    bucket = (await store.bucket("b")).record
    changed = seal.BucketSeal(await buckets.set_versioning(store, "b", enabled=True))
    await buckets.set_versioning(store, "b", enabled=False)
    suspended = (await store.bucket("b")).record
    await store.blobs.amend(bucket.blob, seal.write(changed))
    await crash_and_recover(store)
    assert seal.read(await store.blobs.read_sidecar(bucket.blob)) == seal.BucketSeal(suspended)


async def test_all_copies_of_a_buckets_sidecar_say_the_same(store, world):
    bucket = (await store.bucket("b")).record
    first, *others = [path for path in world.files_of(bucket.blob) if path.endswith("metadata.json")]
    old = Path(first).read_bytes()
    await buckets.set_versioning(store, "b", enabled=True)
    Path(first).write_bytes(old)  # on this volume the replacement was not done
    await crash_and_recover(store)
    texts = {Path(path).read_bytes() for path in (first, *others)}
    assert len(texts) == 1
    assert texts != {old}


async def test_the_sweep_removes_what_a_replacement_left(store, world):
    version = await put(store, "k", sample(1500))
    paths = [os.path.dirname(path) + "/.data.0.token" for path in world.files_of(version.blob)]
    for path in paths:
        with open(path, "wb") as file:
            file.write(b"half")
        os.utime(path, ns=(1, 1))
    young = paths[0] + "young"
    with open(young, "wb") as file:
        file.write(b"being written")
    os.utime(young, ns=(2**62, 2**62))
    await crash_and_recover(store)
    job = OrphanJob(store, store.clock.now_ns())
    while (await job.step()).more:
        pass
    assert not any(os.path.exists(path) for path in paths)
    assert os.path.exists(young)
    assert (await store.blobs.check(version.blob, repair=False)).whole


async def test_the_sweep_spares_what_began_after_the_server(store):
    """A worker that was replaced begins later than the uploads of the other workers."""
    await make_bucket(store, "other")
    await crash_and_recover(store)
    async with store.blobs.create("b/slow", 1500) as writer:
        await writer.write(sample(1500))
        await writer.finish()
        for path in store.blobs.volumes.present:
            for blob in await strays(store):
                os.utime(f"{path.root}/{blob}", ns=(started := store.clock.now_ns(), started))
        job = OrphanJob(store, store.clock.now_ns())
        while (await job.step()).more:
            pass
        assert len(await strays(store)) == 1
