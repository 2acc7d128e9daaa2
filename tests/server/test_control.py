"""The paths beside S3, and the lifespan of the application."""

import contextlib
import json

import pytest
from structlog.testing import capture_logs

from s3ish.observe.observer import Observer
from s3ish.process.lifespan import live
from s3ish.server.control import admin
from s3ish.server.health import METRICS, PATHS, is_beside
from s3ish.server.test_controls import is_control


async def ask(path, *, method="GET", ready=True, token="", client=("127.0.0.1", 1), headers=(), domains=(), scripts=()):
    async def is_ready():
        return ready

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "raw_path": path.encode(), "root_path": "", "method": method}
    scope |= {"query_string": b"", "client": client, "headers": list(headers)}
    await admin(Observer(), is_ready, token, domains=domains, scripts=scripts)(scope, None, send)
    head, body = sent
    return head["status"], dict(head["headers"]), body["body"]


@pytest.mark.parametrize("path", sorted(PATHS))
async def test_every_path_answers_get_and_head_alone(path):
    status, headers, body = await ask(path)
    assert (status, headers[b"content-length"]) == (200, b"%d" % len(body))
    kind = b"application/json" if path.startswith("/_localstack/") else b"text/plain"
    assert headers[b"content-type"].startswith(kind)
    status, of_head, _ = await ask(path, method="HEAD")  # whose body the connection drops
    assert (status, of_head.keys()) == (200, headers.keys())
    assert (await ask(path, method="POST"))[0] == 405


async def test_readiness_is_not_life():
    assert (await ask("/-/ready", ready=False))[0] == 503
    assert (await ask("/-/live", ready=False))[0] == 200
    status, _, body = await ask("/_localstack/health", ready=False)
    assert (status, json.loads(body)) == (503, {"services": {"s3": "starting"}})
    status, _, body = await ask("/_localstack/health")
    assert (status, body) == (200, b'{"services": {"s3": "running"}}'), "with the blanks that health checks look for"


async def test_what_waits_for_localstack_is_told_of_the_scripts_of_the_start():
    state = {"stage": "READY", "name": "make.sh", "state": "SUCCESSFUL"}
    told = json.loads((await ask("/_localstack/init/ready", scripts=["make.sh"]))[2])
    assert told == {"completed": True, "scripts": [state]}
    told = json.loads((await ask("/_localstack/init"))[2])
    assert told == {"completed": {"BOOT": True, "START": True, "READY": True, "SHUTDOWN": False}, "scripts": []}
    assert json.loads((await ask("/_localstack/init/ready", ready=False))[2])["completed"] is False


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "beside"),
    [
        ("GET", b"/health", b"", [], True),
        ("HEAD", b"/livez", b"", [], True),
        ("GET", b"/readyz", b"", [(b"host", b"s3.test:9000")], True),
        ("GET", b"/minio/health/live", b"", [(b"host", b"127.0.0.1")], True),
        ("GET", b"/favicon.ico", b"", [], True),
        ("GET", b"/moto-api/", b"", [], True),
        ("GET", b"/moto-api/", b"list-type=2", [], False),
        ("PUT", b"/moto-api/", b"", [], False),
        ("GET", b"/moto-api", b"", [], False),
        ("PUT", b"/health", b"", [], False),
        ("GET", b"/health", b"list-type=2", [], False),
        ("GET", b"/health", b"", [(b"authorization", b"AWS4-HMAC-SHA256 x")], False),
        ("GET", b"/he%61lth", b"", [], False),
        ("GET", b"/health/", b"", [], False),
        ("GET", b"/minio/health", b"", [], False),
        ("GET", b"/health", b"", [(b"host", b"bucket.s3.test:9000")], False),
        ("GET", b"/minio/health/live", b"", [(b"host", b"BUCKET.s3.test")], False),
        ("GET", b"/health", b"", [(b"host", b"pages.www.test")], False),
        ("GET", b"/health", b"", [(b"host", b"www.test:80")], False),
        ("GET", b"/minio/health/live", b"", [(b"host", b"bucket.s3.test.:9000")], False),
    ],
)
def test_what_may_be_of_a_bucket_or_a_key_goes_to_s3(method, path, query, headers, beside):
    scope = {"method": method, "raw_path": path, "query_string": query, "headers": headers}
    assert is_beside(scope, ("s3.test",), ("www.test",)) is beside


@pytest.mark.parametrize(
    ("method", "path", "query", "host", "is_one"),
    [
        ("PUT", b"/-/test/clock", b"", b"s3.test:9000", True),
        ("PUT", b"/-/test/clock", b"", b"bucket.s3.test:9000", False),
        ("PUT", b"/-/test/clock", b"", b"bucket.s3.test.", False),
        ("GET", b"/-/test", b"", b"www.test", False),
        ("GET", b"/-/tests", b"", b"s3.test", False),
        ("POST", b"/moto-api/reset", b"", b"s3.test", True),
        ("POST", b"/moto-api/reset", b"world=test-a", b"s3.test", True),
        ("POST", b"/moto-api/reset", b"uploads", b"s3.test", False),
        ("POST", b"/moto-api/reset", b"", b"bucket.s3.test", False),
        ("PUT", b"/moto-api/reset", b"", b"s3.test", False),
    ],
)
def test_no_key_of_a_bucket_is_a_control(method, path, query, host, is_one):
    scope = {"method": method, "raw_path": path, "query_string": query, "headers": [(b"host", host)]}
    assert is_control(scope, ("s3.test",), ("www.test",)) is is_one


@pytest.mark.parametrize(
    ("token", "client", "given", "status"),
    [
        ("", ("127.0.0.1", 1), None, 200),
        ("", ("::1", 1), None, 200),
        ("", ("192.0.2.7", 1), None, 403),
        ("", ("name", 1), None, 403),
        ("", None, None, 403),
        ("hush", ("127.0.0.1", 1), None, 403),
        ("hush", ("192.0.2.7", 1), b"Bearer wrong", 403),
        ("hush", ("192.0.2.7", 1), b"Bearer hush", 200),
    ],
)
@pytest.mark.parametrize("path", METRICS)
async def test_who_may_read_metrics(token, client, given, status, path):
    headers = [(b"authorization", given)] if given else []
    answered, _, body = await ask(path, token=token, client=client, headers=headers)
    assert (answered, b"s3ish_build_info" in body) == (status, status == 200)


@pytest.mark.parametrize("name", [b"x-forwarded-for", b"forwarded", b"x-real-ip", b"x-forwarded-proto"])
async def test_metrics_are_not_for_whoever_comes_through_a_proxy_on_this_machine(name):
    assert (await ask("/-/metrics", headers=[(name, b"127.0.0.1")]))[0] == 403
    told = [(name, b"192.0.2.7"), (b"authorization", b"Bearer hush")]
    assert (await ask("/-/metrics", token="hush", headers=told))[0] == 200


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        (b"host", b"localhost:9000", 200),
        (b"host", b"127.0.0.1:9000", 200),
        (b"host", b"[::1]:9000", 200),
        (b"host", b"s3ish", 200),
        (b"host", b"S3.Test:9000", 200),
        (b"host", b"bucket.localhost", 200),
        (b"host", b"rebound.example:9000", 403),
        (b"host", b"127.0.0.1.example", 403),
        (b"host", b"localhost.example", 403),
        (b"host", b"a b", 403),
        (b"sec-fetch-site", b"none", 200),
        (b"sec-fetch-site", b"same-origin", 403),
        (b"sec-fetch-site", b"cross-site", 403),
    ],
)
async def test_metrics_are_for_no_page_of_a_browser(name, value, status):
    assert (await ask("/-/metrics", headers=[(name, value)], domains=("s3.test",)))[0] == status
    told = [(name, value), (b"authorization", b"Bearer hush")]
    assert (await ask("/-/metrics", token="hush", headers=told))[0] == 200


async def lived(*, fails="", understood=()):
    """Return what the server is told, and what happened to the application."""
    told, happened = [], []

    @contextlib.asynccontextmanager
    async def serving():
        if fails == "startup":
            raise OSError("no drive")
        happened.append("open")
        yield
        happened.append("closed")
        if fails == "shutdown":
            raise OSError("no drive")

    async def receive():
        happened.append("asked")

    async def send(message):
        told.append(message)

    with contextlib.suppress(OSError):
        await live(serving(), receive, send, understood)
        happened.append("returned")
    return told, happened


async def test_what_is_open_while_the_server_serves():
    told, happened = await lived()
    assert [message["type"] for message in told] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert happened == ["asked", "open", "asked", "closed", "returned"]


@pytest.mark.parametrize("stage", ["startup", "shutdown"])
async def test_a_failure_is_told_to_the_server_and_raised(stage):
    with capture_logs() as logged:
        told, happened = await lived(fails=stage)
    assert told[-1] == {"type": f"lifespan.{stage}.failed"}
    assert [bool(entry["exc_info"]) for entry in logged] == [True]
    assert "returned" not in happened


@pytest.mark.parametrize("stage", ["startup", "shutdown"])
async def test_a_failure_that_is_understood_is_told_in_a_line(stage):
    with capture_logs() as logged:
        told, happened = await lived(fails=stage, understood=(OSError,))
    assert told[-1] == {"type": f"lifespan.{stage}.failed"}
    assert [entry["error"] for entry in logged] == ["no drive"]
    assert "exc_info" not in logged[0]
    assert "returned" in happened
