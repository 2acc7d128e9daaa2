"""How long a destination is left alone that takes nothing."""

from s3ish.jobs.rest import Rest


def test_rests_grow_to_a_minute_and_begin_again_after_a_success(store, monkeypatch):
    now, rests = [1000.0], []
    monkeypatch.setattr(store.clock, "monotonic", lambda: now[0])
    rest = Rest(store.clock)
    for _ in range(8):
        assert rest.seconds == 0
        rests.append(rest.begin())
        now[0] += rests[-1]
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]
    rest.end()
    assert rest.begin() == 1


def test_several_failures_at_once_are_one(store, monkeypatch):
    monkeypatch.setattr(store.clock, "monotonic", lambda: 1000.0)
    rest = Rest(store.clock)
    assert [rest.begin() for _ in range(8)] == [1] * 8
    assert rest.failures == 1
