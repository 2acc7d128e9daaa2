"""A short run of the rot; ``python -m tests.torture.rot`` damages thousands of files."""

import pytest

from tests.torture import rot


@pytest.mark.parametrize("volumes", rot.SHAPES)
async def test_rot_is_never_read_always_found_and_repaired(volumes):  # cases 17, 18, 19, 20, 22, 23, 25, 157
    counts, wrong = await rot.run(100, 20, 3, volumes=volumes)
    assert wrong == []
    assert counts["damages"] >= 100
    assert counts["rebuilds"] == 20
    assert counts["read by a damaged index"] > 10


@pytest.mark.parametrize("broken", ["reading", "checking", "repairing", "rebuilding"])
async def test_a_store_that_is_blind_is_caught(monkeypatch, broken):
    async def nothing(*_arguments, **_options):
        return None

    if broken == "reading":
        monkeypatch.setattr("s3ish.blob.erasure.reader.block_hash", lambda _salt, _shard, _stripe, _block: Anything())
    elif broken == "checking":
        monkeypatch.setattr("s3ish.blob.erasure.reader.ShardReader.wrong_lengths", lambda _self: [])
    elif broken == "repairing":
        monkeypatch.setattr("s3ish.blob.erasure.repair.FreshShards.commit", lambda _self: True)
    else:
        monkeypatch.setattr("s3ish.integrity.rebuild._settle_versions", nothing)
    _, wrong = await rot.run(300, 1, 3, volumes=3)
    assert wrong


class Anything:
    """Equal to everything."""

    def __eq__(self, _other):
        return True

    def __ne__(self, _other):
        return False

    __hash__ = None
