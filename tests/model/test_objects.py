"""Some of the sequences that ``python -m tests.model.objects`` plays at length."""

import pytest

from s3ish.objects import multipart
from tests.model.objects import MACHINES
from tests.model.play import play

SEEDS = range(1, 9)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("machine", MACHINES)
def test_objects_are_like_entries_of_dictionaries(monkeypatch, machine, seed):
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 0)
    play(machine, seed)
