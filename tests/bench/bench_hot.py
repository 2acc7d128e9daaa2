"""What the steps of a request cost: ``python -m tests.bench.bench_hot [DIRECTORY]``.

Processor time in microseconds, of the calling thread and for whole requests of all threads, so that what else the
machine does hardly shows; medians of several rounds with their spread. HTTP is left out: requests enter as ASGI scopes.
Figures are stated, never asserted.
"""

import asyncio
import contextlib
import gc
import hashlib
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys

from compat.bench import filling
from s3ish.api.catalogue import catalogue
from s3ish.api.rules import rules_of
from s3ish.auth.authenticator import Authenticator
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.credentials import Credentials, User
from s3ish.auth.evaluator import Permit, decide
from s3ish.auth.principals import principal_of
from s3ish.auth.request import HttpRequest
from s3ish.clock import Clock
from s3ish.model import Entry
from s3ish.objects import listing
from s3ish.observe.logs import set_up_logs
from s3ish.observe.observer import Observer
from s3ish.server.pipeline import S3Application
from s3ish.server.query import read_query
from s3ish.server.request_record import read_headers
from s3ish.server.router import Router
from s3ish.server.target import locate
from s3ish.tables import records

ROUNDS = 7
USER = User("bench", "bench-secret", filling.OWNER, root=True)
PAGE = "list-type=2&encoding-type=url&start-after=k000500"
BODY = bytes(1024)
STRIPE = bytes(1 << 20)


def show(name, seconds, count):
    each = [value / count * 1e6 for value in seconds]
    print(f"{name:44} {statistics.median(each):10.2f} µs  ({min(each):.2f} to {max(each):.2f})")


def step(name, work, count=2000):
    """Time a function on this thread."""

    def several():
        started = time.thread_time()
        for _ in range(count):
            work()
        return time.thread_time() - started

    several()
    show(name, [several() for _ in range(ROUNDS)], count)


async def whole(name, work, count=300):
    """Time what ``work(number)`` awaits, with the threads that help."""

    async def several(turn):
        started = time.process_time()
        for number in range(count):
            await work(turn * count + number)
            await asyncio.sleep(0)  # the event loop's next turn, as with requests
        return time.process_time() - started

    await several(0)
    show(name, [await several(turn) for turn in range(1, ROUNDS + 1)], count)


def scope(method, path, query="", body=b""):
    """Return a signed request as an ASGI scope."""
    url = f"http://127.0.0.1:9000{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, data=body)
    S3SigV4Auth(Keys(USER.access_key, USER.secret_key), "s3", "us-east-1").add_auth(request)
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    headers += [(b"host", b"127.0.0.1:9000"), (b"content-length", b"%d" % len(body))]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
    }


async def call(app, asked, body=b""):
    """Have the application answer a request; it must succeed."""
    answered = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        answered.append(message)

    await app(asked, receive, send)
    assert answered[0]["status"] == 200, answered


def bench_steps(authenticator, router, bucket):
    asked = scope("GET", "/bench/k000500")
    now = datetime.now(UTC)
    headers, repeated = read_headers(asked["headers"])
    request = HttpRequest("GET", "/bench/k000500", "", headers, repeated)
    operation = router.route("GET", "object", {}, headers)
    step("parse: headers, target", lambda: (read_headers(asked["headers"]), locate(headers["host"], asked["path"], ())))
    step("parse: query of a listing", lambda: read_query(PAGE))
    step("route", lambda: router.route("GET", "object", {}, headers))
    step("verify the signature", lambda: authenticator.identify(request, now))
    step(
        "authorise",
        lambda: decide(
            principal_of(USER), Permit(operation.action, "b", "k"), rules_of(bucket), Circumstances(headers, {}, now)
        ),
    )
    step("hash 1 KiB for an ETag (MD5)", lambda: hashlib.md5(BODY).digest())


async def bench_listing(store):
    start, stop = b"bench\0k000500", b"bench\1"
    rows = await store.index.scan("current", start, stop, 1000)
    step("1,000 keys: check and decode the rows", lambda: records.decode_rows("current", rows, Entry), 50)
    await whole("1,000 keys: read the rows", lambda _: store.index.scan("current", start, stop, 1001), 50)
    query = listing.Query("bench", "", "", 1000)
    await whole("1,000 keys: a page of the store", lambda _: listing.list_objects(store, query, "k000500"), 50)


async def bench_requests(app):
    get, head, page = scope("GET", "/bench/k000500"), scope("HEAD", "/bench/k000500"), scope("GET", "/bench", PAGE)
    puts = [scope("PUT", f"/bench/new-{number}", body=BODY) for number in range(300 * (ROUNDS + 1))]
    await whole("request: GET of 1 KiB", lambda _: call(app, get))
    await whole("request: HEAD", lambda _: call(app, head))
    await whole("request: PUT of 1 KiB, one after another", lambda number: call(app, puts[number], BODY))
    await whole("request: LIST of 1,000 keys", lambda _: call(app, page), 50)
    versions = scope("GET", "/bench", "versions=")
    await whole("request: LIST of 1,000 versions", lambda _: call(app, versions), 50)
    rolled = scope("GET", "/tree", "list-type=2&delimiter=%2F")
    await whole("request: LIST of 1,000 common prefixes", lambda _: call(app, rolled), 20)


async def bench(folder, log):
    async with filling.opened(folder) as store:
        router, authenticator = Router(catalogue()), Authenticator(Credentials([USER]), store.region)
        bench_steps(authenticator, router, (await store.bucket("bench")).record)
        step("encode 1 MiB, 2 + 1", lambda: store.blobs.core.coder.encode(STRIPE), 100)
        await bench_listing(store)
        await bench_requests(S3Application(store, router, authenticator, Observer(log=log), domains=()))


def main():
    with (
        tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder,
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stderr(nowhere),
    ):
        log = set_up_logs("info", "json", Clock())  # log lines are made and written, as in a server
        names = {
            "bench": (f"k{number:06}" for number in range(10_000)),
            "tree": (f"p{number // 10:04}/k{number:06}" for number in range(10_000)),
        }
        filling.make(f"{folder}/store", names)
        gc.freeze()
        gc.set_threshold(20_000, 50, 50)  # as the server has it
        asyncio.run(bench(f"{folder}/store", log))


if __name__ == "__main__":
    main()
