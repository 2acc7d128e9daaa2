"""A short run of the power cuts; ``make torture`` runs many."""

import os

import pytest

from tests.torture.powercut import Disk, can_run, run


@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_every_acknowledged_write_survives_a_power_cut(kind, volumes):  # cases 1, 2, 3, 4
    if reason := can_run(kind):
        pytest.skip(reason)
    acknowledged, lost = run(2, seed=7, kind=kind, volumes=volumes, seconds=(0.3, 0.8))
    assert lost == []
    assert acknowledged > 5


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_cut_drops_what_was_not_flushed_and_keeps_the_rest(kind):
    if reason := can_run(kind):
        pytest.skip(reason)
    with Disk(kind) as disk:
        for name in ("flushed", "forgotten"):
            (disk.root / name).write_bytes(b"bytes")
            if name == "flushed":
                for path in (disk.root / name, disk.root):
                    descriptor = os.open(path, os.O_RDONLY)
                    os.fsync(descriptor)
                    os.close(descriptor)
        disk.cut()
        disk.unmount()
        disk.mount()
        assert (disk.root / "flushed").read_bytes() == b"bytes"
        assert not (disk.root / "forgotten").exists()
