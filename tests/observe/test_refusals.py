"""The ring of refusals: what is found again, what is forgotten, and what clients can write into it."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from s3ish.observe import refusals
from s3ish.observe.refusals import SLOT_BYTES, SLOTS, Refusal, Refusals

NOW = datetime(2026, 1, 31, 12, 1, 2, tzinfo=UTC)


def refusal(request_id="0123", **fields):
    told = {"operation": "GetObject", "method": "GET", "path": "/tour/a", "bucket": "tour", "key": "a", "at": NOW}
    told |= {"status": 403, "error": "AccessDenied", "message": "Access Denied", "reason": "no rule gives it"}
    return Refusal(**(told | {"request_id": request_id} | fields))


def test_a_refusal_is_found_by_the_id_of_its_request():
    ring = Refusals()
    ring.add(refusal())
    assert ring.find("0123") == refusal()
    assert ring.find("0124") is None
    assert ring.find("") is None


def test_one_process_finds_what_another_has_refused(tmp_path):
    ours = Refusals(tmp_path)
    code = (
        "import sys, pathlib; from tests.observe.test_refusals import refusal; "
        "from s3ish.observe.refusals import Refusals; Refusals(pathlib.Path(sys.argv[1])).add(refusal('77'))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, env=os.environ | {"PYTHONPATH": "."})
    assert ours.find("77") == refusal("77")
    assert (tmp_path / "refusals").stat().st_mode & 0o777 == 0o600


def test_the_ring_is_bounded_and_keeps_the_newest():
    ring = Refusals()
    for number in range(3 * SLOTS):
        ring.add(refusal(str(number), at=NOW + timedelta(seconds=number)))
    newest = ring.recent(SLOTS)
    assert len(newest) <= SLOTS
    assert newest[0].request_id == str(3 * SLOTS - 1)
    assert newest == sorted(newest, key=lambda found: found.at, reverse=True)
    assert len(ring.recent(10)) == 10


def test_texts_of_clients_are_cut_and_escaped():
    ring = Refusals()
    hostile = "\x1b[2J\n" + "é" * 10_000
    ring.add(refusal(path=hostile, agent=hostile, key=hostile, string_to_sign=hostile, canonical_request=hostile))
    found = ring.find("0123")
    for text in (found.path, found.agent, found.key, found.string_to_sign, found.canonical_request):
        assert "\x1b" not in text
        assert len(text) < 6100
    assert "\n" not in found.agent
    ring.add(refusal("0123", string_to_sign="\U0001f600" * 6000, canonical_request="\U0001f600" * 6000))
    assert (ring.find("0123").reason, ring.find("0123").canonical_request) == ("no rule gives it", "")


def test_what_another_process_is_writing_is_not_shown(tmp_path):
    ring = Refusals(tmp_path)
    ring.add(refusal())
    slot = refusals._slot("0123")
    with (tmp_path / "refusals").open("r+b") as file:
        file.seek(slot * SLOT_BYTES + 40)
        file.write(b"\0\0\0")
    assert ring.find("0123") is None
    assert ring.recent(10) == []
