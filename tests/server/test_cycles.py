"""What a request leaves in memory goes when it ends: nothing refers to itself and waits for the garbage collector."""

import gc

import pytest

from s3ish.api.catalogue import catalogue
from s3ish.objects import buckets
from s3ish.observe.observer import Observer
from s3ish.server.pipeline import S3Application
from s3ish.server.router import Router
from tests.auth.support import ALICE, UNSIGNED, authenticator, sign_header
from tests.fuzz.requests import StoppedClock
from tests.objects.support import World

REQUESTS = 20
ASKED = {
    "stored": ("PUT", "/bucket/new", 200),
    "read": ("GET", "/bucket/k", 200),
    "described": ("HEAD", "/bucket/k", 200),
    "missing": ("GET", "/bucket/none", 404),
    "badly signed": ("GET", "/bucket/k?x=1", 403),
}
"""Method, path and status by what becomes of a request; that which is badly signed was signed for another query."""


async def ask(application, method, path, status):
    """Send a request, whose answer must have a status."""
    path, _, query = path.partition("?")
    headers = [
        (name.lower().encode(), value.encode())
        for name, value in sign_header(method, path, covers=UNSIGNED).headers.items()
    ]
    body = b"bytes" if method == "PUT" else b""
    headers.append((b"content-length", b"%d" % len(body)))
    statuses = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        statuses.append(message.get("status"))

    asked = {"type": "http", "method": method, "raw_path": path.encode(), "query_string": query.encode()}
    await application(asked | {"headers": headers}, receive, send)
    assert statuses[0] == status


@pytest.mark.parametrize("what", ASKED)
async def test_a_request_leaves_nothing_for_the_garbage_collector(tmp_path, what):
    world = World(tmp_path, clock=StoppedClock())
    store = world.open()
    await buckets.create_bucket(store, "bucket", ALICE.owner, "us-east-1")
    application = S3Application(store, Router(catalogue()), authenticator(), Observer(), domains=())
    await ask(application, "PUT", "/bucket/k", 200)
    for _ in range(2):  # then what is made once is there
        await ask(application, *ASKED[what])
    gc.collect()
    gc.disable()
    try:
        for _ in range(REQUESTS):
            await ask(application, *ASKED[what])
        left = gc.collect()
    finally:
        gc.enable()
        await world.close()
    assert left < REQUESTS
