"""Appends and renames are single steps over all workers: the keys of a bucket are one map, which is linearizable.

``python -m tests.torture.moving --rounds 50 --workers 4 --kill 2``. Several clients append, rename, overwrite, remove
and read the same few keys at once. A rename changes two keys, so that no key has a history of its own: all that was
done in a round must have an order (``register.py``). A page of a listing is one read of all keys, which sees no object
under two names. A rename whose answer did not come is sent again with its token until one comes: it is done once.
"""

import random
import re
import time
from collections import Counter
from typing import NamedTuple

from tests.torture import register
from tests.torture.client import CUT, Client
from tests.torture.linear import is_due, main_of, play, serving, unhandled
from tests.torture.register import MISSING, OK, REFUSED, UNKNOWN

CLIENTS = 5
KEYS = 3
OPERATIONS = 24
SIZES = (20, 20, 60, 300, 5000, 40_000)
BUCKET = "plain"
AGAIN = 50


class Step(NamedTuple):
    """One operation on the map of keys, which is a tuple of their contents, None where there is no object.

    Args:
        client: who.
        what: ``put``, ``append``, ``rename``, ``get`` or ``list``.
        start, end: when it was sent and answered.
        outcome: as of the register.
        key, source: numbers of keys.
        data: what was written, appended or read; of a listing the sizes.
        offset: where it was appended.
        alone: whether a rename was only to be done where there is no object.
    """

    client: int
    what: str
    start: float
    end: float
    outcome: str = OK
    key: int = 0
    source: int = 0
    data: object = None
    offset: int = 0
    alone: bool = False

    @property
    def kind(self):
        """``read`` or ``write``, as the register calls it."""
        return "read" if self.what in {"get", "list"} else "write"

    def allows(self, state):
        """Whether it may stand where the map is this."""
        if self.what == "get":
            return state[self.key] == self.data
        if self.what == "list":
            return tuple(None if it is None else len(it) for it in state) == self.data
        if self.what == "append":
            holds = len(state[self.key] or b"") == self.offset
            return holds != (self.outcome == REFUSED)
        if self.what == "rename":
            there, free = state[self.source] is not None, state[self.key] is None or not self.alone
            if self.outcome == MISSING:
                return not there
            return there and free != (self.outcome == REFUSED)
        return True

    def after(self, state):
        """What the map is after it."""
        if self.kind == "read" or self.outcome not in {OK, UNKNOWN}:
            return state
        held = list(state)
        if self.what == "append":
            held[self.key] = (held[self.key] or b"") + self.data
        elif self.what == "rename":
            held[self.key], held[self.source] = held[self.source], None
        else:
            held[self.key] = self.data
        return tuple(held)


class Mover:
    """One client: does operations at random and notes them."""

    def __init__(self, number, endpoint, prefix, seed, history):
        self.number, self.prefix, self.history = number, prefix, history
        self.choose = random.Random(f"{seed}/{prefix}/{number}")
        self.sizes = [0] * KEYS
        self.client, self.strange, self.written = Client(endpoint), [], 0
        self.doubtful = False

    def run(self, operations):
        moves = [self.append] * 4 + [self.rename] * 3 + [self.get, self.list, self.put, self.remove]
        try:
            for _ in range(operations):
                if self.doubtful:  # each outcome that is not known makes it longer to decide
                    break
                self.choose.choice(moves)(self.choose.randrange(KEYS))
        except BaseException as error:  # a thread must not end in silence
            self.strange.append(f"client {self.number}: {error!r}")
            raise
        finally:
            self.client.close()

    # --- operations

    def append(self, key):
        offset, data = self.sizes[key], self._data()
        answer = self._note("append", key, "PUT", data, data=data, offset=offset, x_amz_write_offset_bytes=str(offset))
        if answer is not None and answer.ok:
            self.sizes[key] = offset + len(data)
        else:
            self.get(key)

    def rename(self, key):
        source = self.choose.choice([other for other in range(KEYS) if other != key])
        headers = {"x_amz_rename_source": f"{self.prefix}{source}"}
        headers["x_amz_client_token"] = f"{self.prefix}{self.number}-{self.written}-{self.choose.randrange(10**9)}"
        alone = self.choose.random() < 0.5
        if alone:
            headers["If_None_Match"] = "*"
        self._note("rename", key, "PUT", query="?renameObject", again=True, source=source, alone=alone, **headers)

    def put(self, key):
        data = self._data()
        self._note("put", key, "PUT", data, data=data)

    def remove(self, key):
        self._note("put", key, "DELETE")

    def get(self, key):
        start = time.monotonic()
        answer = self._ask("GET", f"{self.prefix}{key}")
        if answer is None or answer.status >= 500:
            return
        if answer.status not in {200, 404}:
            self.strange.append(f"GET: {answer.status} {answer.body[:300]}")
            return
        data = answer.body if answer.status == 200 else None
        self.sizes[key] = len(data or b"")
        self.history.append(Step(self.number, "get", start, time.monotonic(), key=key, data=data))

    def list(self, _key):
        start = time.monotonic()
        answer = self._ask("GET", f"?list-type=2&prefix={self.prefix}")
        if answer is None or answer.status >= 500:
            return
        found = re.findall(r"<Key>[^<]*(\d)</Key>.*?<Size>(\d+)</Size>", answer.body.decode())
        sizes = {int(key): int(size) for key, size in found}
        data = tuple(sizes.get(key) for key in range(KEYS))
        self.history.append(Step(self.number, "list", start, time.monotonic(), data=data))

    # --- within

    def _note(
        self,
        what,
        key,
        method,
        body=b"",
        *,
        query="",
        again=False,
        data=None,
        offset=0,
        source=0,
        alone=False,
        **headers,
    ):
        """Send a write, and note what its answer says; the answer is None where it says nothing."""
        start = time.monotonic()
        for _ in range(AGAIN if again else 1):
            answer = self._ask(method, f"{self.prefix}{key}{query}", body, **headers)
            if answer is not None and answer.status < 500:
                break
            time.sleep(0.02)
        outcome = self._outcome(answer, what)
        if outcome is not None:
            self.doubtful = self.doubtful or outcome == UNKNOWN
            more = {"data": data, "offset": offset, "source": source, "alone": alone}
            self.history.append(Step(self.number, what, start, time.monotonic(), outcome, key, **more))
        return answer

    def _outcome(self, answer, what):
        if answer is None or answer.status >= 500:
            return UNKNOWN
        if answer.ok:
            return OK
        known = {("append", "InvalidWriteOffset"): REFUSED, ("rename", "PreconditionFailed"): REFUSED}
        known[("rename", "NoSuchKey")] = MISSING
        outcome = known.get((what, answer.code))
        if outcome is None and answer.code != "ConditionalRequestConflict":
            self.strange.append(f"{what}: {answer.status} {answer.body[:300]}")
        return outcome

    def _ask(self, method, path, body=b"", **headers):
        try:
            return self.client.request(method, f"/{BUCKET}/{path}", body, **headers)
        except CUT:
            return None

    def _data(self):
        """Bytes that no other write has."""
        self.written += 1
        return f"<{self.number}.{self.written}>".encode().ljust(
            self.choose.choice(SIZES) + self.choose.randrange(9), b"."
        )


def run(rounds, seed, *, workers=2, operations=OPERATIONS, kill_every=0, report=print):
    """Record and check so many histories.

    Args:
        kill_every: kill a worker in every round of which the number is divisible by it; 0 for none.

    Returns:
        Counts, and what was wrong.
    """
    choose, counts, wrong = random.Random(seed), Counter(), []
    with serving("moving", 1, workers) as (host, errors):
        client = Client(host.endpoint)
        assert client.request("PUT", f"/{BUCKET}").ok
        client.close()
        for number in range(rounds):
            history = []
            movers = [Mover(client, host.endpoint, f"r{number}-", seed, history) for client in range(CLIENTS)]
            play(movers, operations, host, choose, counts, deadly=is_due(kill_every, number))
            counts.update(f"{step.what} {step.outcome}" for step in history)
            counts["histories"] += 1
            wrong += [f"round {number}: {line}" for mover in movers for line in mover.strange]
            try:
                if register.check(history, (None,) * KEYS) is None:
                    wrong.append(f"round {number}: no order explains its history")
                    report(show(history))
            except register.GaveUp:
                counts["undecided"] += 1
        wrong += unhandled(errors)
    return counts, wrong


def show(history):
    """Return a history as text, in the order of its beginnings."""
    first = min(step.start for step in history)
    return "\n".join(
        f"{(step.start - first) * 1e3:9.2f} {(step.end - first) * 1e3:9.2f}  {step.client} {step.what:6} "
        f"{step.source}>{step.key} {step.outcome:8} {step.offset:6} {str(step.data)[:40]}"
        for step in sorted(history, key=lambda step: step.start)
    )


if __name__ == "__main__":
    main_of(run, __doc__)
