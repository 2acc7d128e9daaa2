"""A short run of everything, and servers that lie or grow and must be caught.

``python -m tests.torture.endurance`` is the long one.
"""

from email.message import Message

import pytest

from tests.torture import endurance, linear
from tests.torture.client import Answer
from tests.torture.player import Known, Player, digest_of


def test_everything_at_random_for_a_moment():  # case 150
    if reason := linear.can_run():
        pytest.skip(reason)
    counts, wrong = endurance.run(6, seed=3, workers=1, round_seconds=1.5)
    assert wrong == []
    assert counts["operations"] > 20


class Liar:
    """A connection to a server that always says the same."""

    def __init__(self, status, body=b"", **headers):
        self._answer = Answer(status, Message(), body)
        for name, value in headers.items():
            self._answer.headers[name.replace("_", "-")] = value

    def request(self, *_arguments, **_headers):
        return self._answer


LIES = {
    "other bytes": ("get", Liar(200, b"other")),
    "an object is missing": ("get", Liar(404)),
    "another length": ("head", Liar(200, Content_Length="6")),
    "a range is too short": ("get_range", Liar(206, b"")),
    "a condition is not looked at": ("put_if", Liar(200)),
    "a key is not listed": ("list", Liar(200, b"<ListBucketResult></ListBucketResult>")),
    "a version is not listed": ("list_versions", Liar(200, b"<ListVersionsResult></ListVersionsResult>")),
    "a deletion is not told": ("delete_many", Liar(200, b"<DeleteResult></DeleteResult>")),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_seen(lie):
    move, liar = LIES[lie]
    player = Player(0, "versioned", seed=1)
    for key in player.keys:
        player.known[key] = [Known("id", digest_of(b"bytes"), 5)]
    player.client = liar
    getattr(player, move)(player.keys[0])
    assert player.wrong


@pytest.mark.parametrize("last", [(100 << 20, 10), (1 << 20, 50)])
def test_growth_is_seen(last):
    host = endurance.Host.__new__(endurance.Host)
    host.samples = [(0, 0)] * endurance.SETTLED_ROUNDS + [(1 << 20, 10), (1 << 20, 10)]
    assert endurance.judge(host) == []
    host.samples.append(last)
    assert len(endurance.judge(host)) == 1
