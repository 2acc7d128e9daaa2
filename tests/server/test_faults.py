"""Three points that every request passes: a plan of faults refuses, forgets, and cuts there."""

import pytest

from s3ish.api.catalogue import catalogue
from s3ish.errors import SlowDown
from s3ish.objects import buckets
from s3ish.observe.observer import Observer
from s3ish.server.body import Disconnected
from s3ish.server.faults import FaultPoints
from s3ish.server.pipeline import S3Application
from s3ish.server.router import Router
from tests.auth.support import ALICE, UNSIGNED, authenticator, sign_header
from tests.fuzz.requests import StoppedClock
from tests.objects.support import World


class Plan(FaultPoints):
    """Does one thing to every PutObject."""

    def __init__(self, what):
        self._what = what

    async def before(self, request):
        if self._what == "refuse" and request.operation_name == "PutObject":
            raise SlowDown

    async def after(self, request, written):
        if self._what == "forget" and request.operation_name == "PutObject":
            raise Disconnected
        return written

    def sending(self, request, send):
        if self._what != "cut" or request.operation_name != "GetObject":
            return send

        async def cut(message):
            if message["type"] == "http.response.body":
                raise ConnectionResetError
            await send(message)

        return cut


@pytest.fixture
async def store(tmp_path):
    world = World(tmp_path, clock=StoppedClock())
    store = world.open()
    await buckets.create_bucket(store, "bucket", ALICE.owner, "us-east-1")
    yield store
    await world.close()


async def call(store, what, method, body=b""):
    """Return the status and the body of an answer; None for what never came."""
    application = S3Application(
        store, Router(catalogue()), authenticator(), Observer(), domains=(), faults=Plan(what) if what else None
    )
    request = sign_header(method, "/bucket/k", covers=UNSIGNED)
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    headers.append((b"content-length", b"%d" % len(body)))
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/bucket/k",
        "raw_path": b"/bucket/k",
        "query_string": b"",
        "headers": headers,
    }
    await application(scope, receive, send)
    status = next((message["status"] for message in sent if message["type"] == "http.response.start"), None)
    return status, b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")


async def test_what_is_refused_before_is_not_done(store):
    assert (await call(store, "refuse", "PUT", b"x"))[0] == 503
    assert (await call(store, None, "GET"))[0] == 404


async def test_what_is_forgotten_after_is_done_and_not_answered(store):
    assert await call(store, "forget", "PUT", b"x") == (None, b"")
    assert await call(store, None, "GET") == (200, b"x")


async def test_an_answer_that_is_cut_has_its_status(store):
    assert (await call(store, None, "PUT", b"x"))[0] == 200
    assert await call(store, "cut", "GET") == (200, b"")
    assert await call(store, None, "GET") == (200, b"x")


async def test_service_time_is_what_clients_see(store):
    store.clock.service.set(1_000_000_000_000_000_000, store.clock.now_ns(), running=False)
    assert store.clock.service_now().year == 2001
    store.clock.service.reset()
    assert store.clock.service_now().year > 2001
