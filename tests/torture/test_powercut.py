"""A short run of the power cuts; ``make torture`` runs many."""

import pytest

from tests.torture.powercut import can_run, run


@pytest.mark.parametrize("volumes", [1, 3])
def test_every_acknowledged_write_survives_a_power_cut(volumes):  # cases 1, 2, 3, 4
    if reason := can_run():
        pytest.skip(reason)
    acknowledged, lost = run(2, seed=7, volumes=volumes, seconds=(0.3, 0.8))
    assert lost == []
    assert acknowledged > 10
