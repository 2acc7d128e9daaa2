"""No byte of a signed request can be changed; ``python -m tests.fuzz.run`` tries 100,000 changes."""

import random
import tracemalloc
from contextlib import suppress

import pytest

from s3ish.errors import S3Error
from tests.auth.support import NOW, authenticator, sign_header, with_headers
from tests.fuzz import requests
from tests.fuzz.access import ask_under_policies
from tests.fuzz.mutation import Mutator
from tests.fuzz.requests import change_requests, meaning, parse


async def test_a_changed_request_is_never_accepted():  # cases 51, 65, 87
    sent, neutral = await change_requests(2000, seed=1)
    assert sent == 2000
    assert neutral < 400


async def test_nothing_opens_that_a_plain_reader_of_the_policy_refuses():
    opened, shut, changed = await ask_under_policies(1500, seed=1)
    assert min(opened, shut, changed) > 150


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"host:", b"Host:"),
        (b"green", b"\tgreen"),
        (b"a/key", b"a%2fkey"),
        (b"%2Bsigns", b"%2bsigns"),
        (b"/1.1", b"/1.0"),
    ],
)
def test_changes_that_mean_nothing(old, new):
    data = requests.requests()["put"]
    assert old in data
    assert meaning(parse(data.replace(old, new, 1))) == meaning(parse(data))


async def test_a_change_that_is_accepted_is_found(monkeypatch):
    """A header that nobody signed may be changed, as in S3; here that stands for a hole."""
    good = requests.requests()
    good["get"] = requests.signed("GET", "/bucket/streamed")[:-2] + b"range: bytes=0-1\r\n\r\n"
    monkeypatch.setattr(requests, "requests", lambda: {name: good[name] for name in ("bucket", "streamed", "get")})
    monkeypatch.setattr(Mutator, "one_byte", lambda self, data: data.replace(b"0-1", b"0-2"))
    with pytest.raises(AssertionError, match=r"status 206 .* changed from get"):
        await change_requests(50, seed=1)


def test_very_many_failed_signatures_leave_nothing_behind():  # case 84
    """Whoever guesses keys, dates and regions must not fill the caches of a worker."""
    door, good, choose = authenticator(), sign_header("GET", "/b/k"), random.Random(1)

    def fail(times):
        for _ in range(times):
            key, date = choose.randbytes(20).hex(), choose.choice(["20260131", "20260130", "20260201"])
            text = f"AWS4-HMAC-SHA256 Credential={key}/{date}/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date;"
            text += f"x-amz-meta-{key}, Signature={choose.randbytes(32).hex()}"
            headers = {"authorization": text, f"x_amz_meta_{key}": key, "x_amz_date": f"{date}T093000Z"}
            with suppress(S3Error):
                door.identify(with_headers(good, **headers), NOW)

    fail(1000)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    fail(2000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 300_000
