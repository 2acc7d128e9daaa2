"""What policies cost: ``python -m tests.bench.bench_policies [DIRECTORY]``.

A GET of 1 KiB by a caller whom no policy decides about, and by callers whom policies decide about, in turns.
Processor time of all threads, without HTTP: requests enter as ASGI scopes. The least of many turns counts, for what
else the machine does only adds. Figures are printed here; ``tests/server/test_cost_of_policies.py`` asserts them.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys

from compat.bench import filling
from s3ish.api.catalogue import catalogue
from s3ish.auth.authenticator import Authenticator
from s3ish.auth.credentials import Credentials, User
from s3ish.auth.policy import read_policy
from s3ish.clock import Clock
from s3ish.model import Owner
from s3ish.objects import buckets
from s3ish.objects.store import Store
from s3ish.observe.logs import set_up_logs
from s3ish.observe.observer import Observer
from s3ish.server.pipeline import S3Application
from s3ish.server.router import Router
from tests.bench.bench_hot import call

TURNS, REQUESTS = 60, 20
MANY = 100
"""How many statements a policy has that has many."""


class Case(NamedTuple):
    """A caller who asks for an object of a bucket; the policies are those of the caller and of the bucket."""

    name: str
    bucket: str
    policy: Sequence[Mapping[str, object]] = ()
    bucket_policy: Sequence[Mapping[str, object]] = ()


def statement(resource: str, **more: object) -> dict[str, object]:
    """Return a statement that allows to read and write."""
    return {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": f"arn:aws:s3:::{resource}",
    } | more


def folders(bucket: str, **more: object) -> list[dict[str, object]]:
    """Return statements of which the last gives the right, and each before it is about another folder."""
    others = [statement(f"{bucket}/folder-{number:03}/*", **more) for number in range(MANY - 1)]
    return [*others, statement(f"{bucket}/*", **more)]


def callers(bucket: str) -> list[dict[str, object]]:
    """Return statements of which the last gives the right, and each before it is about another caller."""
    names = [*(f"other-{number}" for number in range(MANY - 1)), bucket]
    return [statement(f"{bucket}/*", Principal={"AWS": f"arn:aws:iam::000000000000:user/{name}"}) for name in names]


CASES = (
    Case("no policy decides", "none"),
    Case("a policy of one statement", "one", [statement("one/*")]),
    Case("a policy of 100", "many", folders("many")),
    Case("the bucket's, of one", "public", bucket_policy=[statement("public/*", Principal="*")]),
    Case("the bucket's, of 100 folders", "folders", bucket_policy=folders("folders", Principal="*")),
    Case("the bucket's, of 100 callers", "callers", bucket_policy=callers("callers")),
)


def document(statements: Sequence[Mapping[str, object]]) -> str:
    """Return a policy of statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def user_of(case: Case) -> User:
    """Return who asks: a user of the account that has the buckets, or of another where a bucket's policy decides."""
    owner = Owner("visitor") if case.bucket_policy else filling.OWNER
    policies = (read_policy(document(case.policy)),) if case.policy else None
    return User(f"key-{case.bucket}", "secret", owner, name=case.bucket, policies=policies)


def scope(user: User, path: str, host: str = "127.0.0.1:9000") -> dict[str, Any]:
    """Return a GET that a user has signed, as an ASGI scope."""
    request = AWSRequest("GET", f"http://{host}{path}")
    S3SigV4Auth(Keys(user.access_key, user.secret_key), "s3", "us-east-1").add_auth(request)
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [*headers, (b"host", host.encode())],
    }


async def measure(store: Store, turns: int = TURNS) -> Mapping[str, float]:
    """Return the seconds of processor time of a request in each case, by name; the store has the buckets."""
    users = [user_of(case) for case in CASES]
    for case in CASES:
        if case.bucket_policy:
            await buckets.set_documents(store, case.bucket, {"policy": document(case.bucket_policy)})
    authenticator = Authenticator(Credentials(users), store.region)
    log = set_up_logs("info", "json", Clock())
    app = S3Application(store, Router(catalogue()), authenticator, Observer(log=log), domains=())
    asked = {case.name: scope(user, f"/{case.bucket}/k") for case, user in zip(CASES, users, strict=True)}
    least = dict.fromkeys(asked, 1e9)
    for _ in range(turns):
        for name, one in asked.items():
            started = time.process_time()
            for _ in range(REQUESTS):
                await call(app, one)
                await asyncio.sleep(0)
            least[name] = min(least[name], (time.process_time() - started) / REQUESTS)
    return least


def bench(folder: str) -> Mapping[str, float]:
    """Make a store in a folder, and measure; see ``measure``."""

    async def run() -> Mapping[str, float]:
        async with filling.opened(folder) as store:
            return await measure(store)

    filling.make(folder, {case.bucket: ["k"] for case in CASES})
    return asyncio.run(run())


def main() -> None:
    """Print what each costs, and beside it how much more than without a policy."""
    with (
        tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder,
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stderr(nowhere),
    ):
        found = bench(f"{folder}/store")
    for name, seconds in found.items():
        print(f"{name:32} {seconds * 1e6:8.1f} µs  {100 * (seconds / found[CASES[0].name] - 1):+6.1f} %")


if __name__ == "__main__":
    main()
