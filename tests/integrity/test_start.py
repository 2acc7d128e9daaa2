"""A start among very much that was left behind: it is quick, and the rest is done in the background."""

import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3ish.blob.volumes.folders import Folders
from s3ish.blob.volumes.volume import Volume
from s3ish.integrity import orphans
from s3ish.integrity.orphans import SweepJob
from s3ish.integrity.startup import recover
from s3ish.model import Upload
from s3ish.objects import listing
from s3ish.tables import keys, records
from tests.objects.support import begin


async def leave_behind(store, world, count):
    """Leave uploads that nobody goes on with, blobs that nobody sealed, and what replacements were cut off from."""
    for number in range(count):
        upload = await begin(store, f"stale{number}")
        (row,) = await store.index.scan("uploads", *keys.prefix_range(keys.versions_prefix("b", upload.key)), 1)
        named = records.decode("uploads", *row, Upload).blob
        for root in world.volume_roots:
            dead = Path(f"{root}/b/dead{number}@{'a' * 16}")
            dead.mkdir()
            for path in (dead / "data.0", Path(f"{root}/{named.id}/.metadata.json.token")):
                if path.parent.is_dir():
                    path.write_bytes(b"half")
                    os.utime(path, ns=(1, 1))
            os.utime(dead, ns=(1, 1))


@contextmanager
def counted(store):
    """Count what is asked of the index and of the volumes."""
    asked = Counter()

    def counting(owner, name):
        real = getattr(owner, name)

        def call(*arguments, **options):
            asked[name] += 1
            return real(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("get", "scan", "commit"):
            patch.setattr(store.index, name, counting(store.index, name))
        for owner, name in ((Volume, "open"), (Volume, "names"), (Folders, "_directories")):
            patch.setattr(owner, name, counting(owner, name))
        yield asked


async def test_a_start_takes_no_longer_for_what_was_left_behind(store, world, monkeypatch):  # case 149
    """It is looked through in the background, in steps that are bounded."""
    monkeypatch.setattr(orphans, "_BATCH", 50)
    asked = []
    for count in (5, 60):
        await leave_behind(store, world, count)
        await recover(store)
        with counted(store) as found:
            await recover(store)
        asked.append(found)
        job, steps = SweepJob(store, store.clock.now_ns()), []
        more = True
        while more:
            with counted(store) as found:
                more = (await job.step()).more
            steps.append(found.total())
        assert job.removed == count
        assert max(steps) < 20 * orphans._BATCH
    assert asked[0] == asked[1]
    assert len(steps) > 2
    assert not [name for name in world.files() if "/." in name or "dead" in name]
    page = await listing.list_uploads(store, listing.Query("b", "", "", 1000), "", "")
    assert len(page.items) == 65, "uploads end when their owner says so"
