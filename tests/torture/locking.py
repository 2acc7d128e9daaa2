"""Setting locks and removing versions are single steps over all workers: no version goes that is locked, however near.

``python -m tests.torture.locking --rounds 50 --workers 4 --kill 3``. Several clients set and take legal holds and
retention in governance mode on a few versions, look at them, and remove them, alone and in batches, with and without
the right to bypass. Each version is a register of what holds it, or of its being gone: what was done to it must have an
order that explains every answer (``register.py``).
"""

import hashlib
import random
import re
import time
from base64 import b64encode
from collections import Counter
from typing import NamedTuple

from tests.torture import register
from tests.torture.client import CUT, Client
from tests.torture.linear import is_due, main_of, play, serving, unhandled
from tests.torture.register import MISSING, OK, REFUSED, UNKNOWN

CLIENTS = 5
VERSIONS = 6
"""Of a round: each has a history."""
OPERATIONS = 40
"""Of each client in a round."""
BUCKET = "locked"
UNTIL = "2099-01-01T00:00:00Z"
GONE = None


class Held(NamedTuple):
    """What holds a version that is there."""

    hold: bool = False
    retained: bool = False


class Step(NamedTuple):
    """One operation on a version.

    Args:
        client: who.
        what: ``hold``, ``unhold``, ``retain``, ``release``, ``remove``, ``bypass`` (a removal) or ``look``.
        start, end: when it was sent and answered.
        outcome: as of the register.
        seen: what a look saw: ``Held``, or ``GONE``.
    """

    client: int
    what: str
    start: float
    end: float
    outcome: str = OK
    seen: object = GONE

    @property
    def kind(self):
        """``read`` or ``write``, as the register calls it."""
        return "read" if self.what == "look" else "write"

    def allows(self, state):
        """Whether it may stand where the version is in a state."""
        if self.what == "look":
            return state == self.seen
        if self.what in {"remove", "bypass"}:
            locked = state is not GONE and (state.hold or (state.retained and self.what == "remove"))
            return locked == (self.outcome == REFUSED)
        return (state is GONE) == (self.outcome == MISSING)

    def after(self, state):
        """What the version is after it."""
        if self.kind == "read" or self.outcome not in {OK, UNKNOWN} or state is GONE:
            return state
        changes = {
            "hold": {"hold": True},
            "unhold": {"hold": False},
            "retain": {"retained": True},
            "release": {"retained": False},
        }
        return state._replace(**changes[self.what]) if self.what in changes else GONE


class Locker:
    """One client: does operations at random and notes them, by version.

    Args:
        versions: pairs of key and id.
        histories: lists of steps by version.
    """

    def __init__(self, number, endpoint, versions, histories, seed):
        self.number, self.versions, self.histories = number, versions, histories
        self.choose = random.Random(f"{seed}/{versions[0]}/{number}")
        self.client, self.strange = Client(endpoint), []
        self.doubtful = False

    def run(self, operations):
        moves = (
            ["hold"] * 6
            + ["retain"] * 4
            + ["unhold"] * 3
            + ["release"] * 2
            + ["look"] * 3
            + ["remove"] * 2
            + ["bypass"]
        )
        try:
            for _ in range(operations):
                if self.doubtful:  # each outcome that is not known makes it longer to decide
                    break
                self.do(self.choose.choice(moves), self.choose.choice(self.versions))
        except BaseException as error:  # a thread must not end in silence
            self.strange.append(f"client {self.number}: {error!r}")
            raise
        finally:
            self.client.close()

    def do(self, what, version):
        """Do an operation on a version, and note what its answer says."""
        start = time.monotonic()
        try:
            answer = getattr(self, what)(*version)
        except CUT:
            answer = None
        outcome, seen = self._outcome(what, answer)
        if outcome == UNKNOWN and what == "look":
            return
        self.doubtful = self.doubtful or outcome == UNKNOWN
        if outcome is not None:
            self.histories[version].append(Step(self.number, what, start, time.monotonic(), outcome, seen))

    # --- operations

    def hold(self, key, version_id, state="ON"):
        body = f"<LegalHold><Status>{state}</Status></LegalHold>".encode()
        return self._put(f"{key}?legal-hold&versionId={version_id}", body)

    def unhold(self, key, version_id):
        return self.hold(key, version_id, "OFF")

    def retain(self, key, version_id):
        body = f"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{UNTIL}</RetainUntilDate></Retention>".encode()
        return self._put(f"{key}?retention&versionId={version_id}", body)

    def release(self, key, version_id):
        return self._put(f"{key}?retention&versionId={version_id}", b"<Retention></Retention>", **_BYPASS)

    def remove(self, key, version_id, **headers):
        if self.choose.random() < 0.5:
            return self.client.request("DELETE", f"/{BUCKET}/{key}?versionId={version_id}", **headers)
        body = f"<Delete><Object><Key>{key}</Key><VersionId>{version_id}</VersionId></Object></Delete>".encode()
        return self.client.request("POST", f"/{BUCKET}?delete", body, Content_MD5=_md5(body), **headers)

    def bypass(self, key, version_id):
        return self.remove(key, version_id, **_BYPASS)

    def look(self, key, version_id):
        return self.client.request("HEAD", f"/{BUCKET}/{key}?versionId={version_id}")

    # --- within

    def _put(self, path, body, **headers):
        return self.client.request("PUT", f"/{BUCKET}/{path}", body, Content_MD5=_md5(body), **headers)

    def _outcome(self, what, answer):
        """Return what an answer says, and what it shows; no outcome if it says that nothing was tried."""
        if answer is None or answer.status >= 500:
            return UNKNOWN, GONE
        if what == "look" and answer.status in {200, 404}:
            headers = answer.headers
            shown = Held(headers.get("x-amz-object-lock-legal-hold") == "ON", "x-amz-object-lock-mode" in headers)
            return OK, shown if answer.status == 200 else GONE
        failed = re.search(rb"<Error>.*?<Code>(\w+)</Code>", answer.body, re.DOTALL)
        code = failed[1].decode() if failed else ""
        if not code and answer.ok:
            return OK, GONE
        known = {"AccessDenied": REFUSED} if what in {"remove", "bypass"} else {"NoSuchVersion": MISSING}
        if code not in known and code not in {"ConditionalRequestConflict", "OperationAborted", "SlowDown"}:
            self.strange.append(f"{what}: {answer.status} {answer.body[:300]}")
        return known.get(code), GONE


_BYPASS = {"x_amz_bypass_governance_retention": "true"}


def _md5(body):
    return b64encode(hashlib.md5(body).digest()).decode()


def run(rounds, seed, *, workers=2, operations=OPERATIONS, kill_every=0, report=print):
    """Record and check so many rounds of histories.

    Args:
        kill_every: kill a worker in every round of which the number is divisible by it; 0 for none.

    Returns:
        Counts, and what was wrong.
    """
    choose, counts, wrong = random.Random(seed), Counter(), []
    with serving("locking", 1, workers) as (host, errors):
        client = Client(host.endpoint)
        assert client.request("PUT", f"/{BUCKET}", x_amz_bucket_object_lock_enabled="true").ok
        client.close()
        for number in range(rounds):
            versions = make(host.endpoint, [f"r{number}-{n}" for n in range(VERSIONS)], choose)
            histories = {version: [] for version in versions}
            lockers = [Locker(n, host.endpoint, versions, histories, seed) for n in range(CLIENTS)]
            play(lockers, operations, host, choose, counts, deadly=is_due(kill_every, number))
            wrong += [f"round {number}: {line}" for locker in lockers for line in locker.strange]
            for (key, _), history in histories.items():
                counts.update(f"{step.what} {step.outcome}" for step in history)
                counts["histories"] += 1
                counts["operations"] += len(history)
                if register.check(history, Held()) is None:
                    wrong.append(f"{key}: no order explains its history")
                    report(show(history))
        wrong += unhandled(errors)
    return counts, wrong


def make(endpoint, keys, choose):
    """Put an object under each key; return the keys with the ids of the versions."""
    client, versions = Client(endpoint), []
    for key in keys:
        answer = client.request("PUT", f"/{BUCKET}/{key}", b"data" * choose.choice((1, 20_000)))
        versions.append((key, answer.headers["x-amz-version-id"]))
    client.close()
    return versions


def show(history):
    """Return a history as text, in the order of its beginnings."""
    first = min(step.start for step in history)
    return "\n".join(
        f"{(step.start - first) * 1e3:9.2f} {(step.end - first) * 1e3:9.2f}  {step.client} {step.what:8} "
        f"{step.outcome:8} {step.seen if step.what == 'look' else ''}"
        for step in sorted(history, key=lambda step: step.start)
    )


if __name__ == "__main__":
    main_of(run, __doc__)
