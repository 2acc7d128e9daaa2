"""Small crowds; ``python -m tests.torture.crowds`` makes large ones."""

import pytest

from tests.torture import crowds


@pytest.fixture(autouse=True)
def _proc():
    if reason := crowds.can_run():
        pytest.skip(reason)


def test_failed_signatures_cost_no_more_than_requests_and_harm_nobody():  # case 84
    figures, wrong = crowds.fail_signatures(800)
    assert wrong == []
    assert figures["bystander served"] > 20


@pytest.mark.parametrize("transfer", [crowds.upload, crowds.download])
def test_many_transfers_at_once_share_a_bounded_room(transfer):  # case 113
    figures, wrong = crowds.transfer_at_once(transfer, 150)
    assert wrong == []
    assert figures["MiB at the most"] < 150 * crowds.TRANSFER_BYTES / 2**20 / 10
