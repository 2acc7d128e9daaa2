"""One key is a linearizable register with compare-and-set over all workers, also while workers and drives fail.

``python -m tests.torture.linear --rounds 100 --workers 4 --kill 2 --volumes 3 --fail 3``. Several clients work on a few
keys of a real server at once and write down what they asked, what they were told and when; each key's history must have
an order that explains it (``register.py``). A page of a listing is a read of every key that it covers. A round in which
a drive fails has three parts: the drive fails in the first, is away in the second, and is back in the third.
"""

import argparse
import base64
import hashlib
import math
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager, suppress
from html import unescape
from pathlib import Path

from tests.torture import powercut, register
from tests.torture.client import CUT, Client
from tests.torture.drives import FAILURES, LASTING, Host
from tests.torture.register import ANY, MISSING, OK, REFUSED, UNKNOWN, GaveUp, Operation

CLIENTS = 8
KEYS = 4
OPERATIONS = 50
"""Of each client in a round: a history has about a hundred, and the listings."""
SIZES = (40, 40, 40, 5000, 50_000)
BUCKETS = ("plain", "versioned")
REPLACED_SECONDS = 60
DARK_SECONDS = 0.03
DOUBTS, REST_SECONDS = 1, 3
"""After so many outcomes that it does not learn a client stops, as each makes it longer to decide; how long it waits
after each until the server answers again."""


def can_run():
    """Return why histories cannot be recorded here, empty if they can."""
    return "" if Path("/proc/self/stat").exists() else "finds the server's workers in /proc"


class History:
    """What the clients of one round did, by key.

    In the ``dark``, while drives are being shut down, what was answered as done is not known: see ``powercut.Ledger``.
    """

    def __init__(self):
        self.operations = defaultdict(list)
        self.outcomes = Counter()
        self.strange = []
        self.dark = False

    def add(self, key, operation):
        self.operations[key].append(operation)
        self.outcomes[operation.outcome] += 1

    def verdicts(self):
        """Return the keys whose histories have no explanation, and those that took too long to decide."""
        wrong, undecided = [], []
        for key, operations in sorted(self.operations.items()):
            try:
                if register.check(operations) is None:
                    wrong.append(key)
            except GaveUp:
                undecided.append(key)
        return wrong, undecided


class Worker:
    """One client: does operations at random and notes them."""

    def __init__(self, number, endpoint, history, bucket, prefix, seed):
        self.number, self.history = number, history
        self.bucket, self.prefix = bucket, prefix
        self.keys = [f"{prefix}{n}" for n in range(KEYS)]
        self.choose = random.Random(f"{seed}/{prefix}/{number}")
        self.seen = dict.fromkeys(self.keys)
        self.client = Client(endpoint)
        self.written = self.doubts = 0

    def run(self, operations):
        moves = (
            self.put,
            self.put,
            self.get,
            self.get,
            self.head,
            self.swap,
            self.swap,
            self.create,
            self.delete,
            self.delete_if,
            self.list,
        )
        self.doubts = 0
        try:
            for _ in range(operations):
                if self.doubts >= DOUBTS:
                    break
                self.choose.choice(moves)(self.choose.choice(self.keys))
        except BaseException as error:  # a thread must not end in silence
            self.history.strange.append(f"client {self.number}: {error!r}")
            raise
        finally:
            self.client.close()

    # --- operations

    def put(self, key):
        self.write("PUT", key, ANY)

    def swap(self, key):
        if self.seen[key]:
            self.write("PUT", key, self.seen[key], If_Match=f'"{self.seen[key]}"')

    def create(self, key):
        self.write("PUT", key, None, If_None_Match="*")

    def delete(self, key):
        self.write("DELETE", key, ANY)

    def delete_if(self, key):
        if self.seen[key]:
            self.write("DELETE", key, self.seen[key], If_Match=f'"{self.seen[key]}"')

    def get(self, key):
        self.read("GET", key)

    def head(self, key):
        self.read("HEAD", key)

    def list(self, _key):
        start, answer = self.ask("GET", f"/{self.bucket}?list-type=2&prefix={self.prefix}")
        end = time.monotonic()
        if answer is None or answer.status >= 500:
            return
        text = answer.body.decode()
        found = dict(re.findall(r"<Key>([^<]*)</Key>.*?<ETag>([^<]*)</ETag>", text))
        if not answer.ok or len(found) != text.count("<Contents>"):
            self.history.strange.append(f"{self.prefix}: {answer.status} {text[:500]}")
            return
        for key in self.keys:
            etag = unescape(found[key]).strip('"') if key in found else None
            self.history.add(key, Operation(self.number, "read", etag, start, end))

    def write(self, method, key, expected, **headers):
        body = self.body() if method == "PUT" else b""
        value = hashlib.md5(body).hexdigest() if method == "PUT" else None
        start, answer = self.ask(method, f"/{self.bucket}/{key}", body, **headers)
        end = time.monotonic()
        outcome = self.outcome(answer, expected)
        if outcome is None:
            return
        if outcome == UNKNOWN:
            self.doubts += 1
            self.rest()
        if outcome == OK:
            self.seen[key] = value
            if method == "PUT" and answer.etag != value:
                self.history.strange.append(f"{key}: ETag {answer.etag} of a body with MD5 {value}")
        self.history.add(key, Operation(self.number, "write", value, start, end, outcome, expected))

    def read(self, method, key):
        start, answer = self.ask(method, f"/{self.bucket}/{key}")
        end = time.monotonic()
        if answer is None or answer.status >= 500:
            return
        if answer.status not in {200, 404}:
            self.history.strange.append(f"{method} {key}: {answer.status} {answer.body[:500]}")
            return
        value = answer.etag if answer.status == 200 else None
        if value and method == "GET" and hashlib.md5(answer.body).hexdigest() != value:
            self.history.strange.append(f"{key}: the bytes are not those of ETag {value}")
        self.seen[key] = value
        self.history.add(key, Operation(self.number, "read", value, start, end))

    # --- within

    def ask(self, method, path, body=b"", **headers):
        """Return when the request was sent, and its answer, None if the connection was cut."""
        start = time.monotonic()
        try:
            answer = self.client.request(method, path, body, **headers)
        except CUT:
            return start, None
        if answer.status >= 500:
            self.history.outcomes[f"answers of {answer.status}"] += 1
        return start, answer

    def rest(self):
        """Wait until the server answers reads."""
        deadline = time.monotonic() + REST_SECONDS
        while time.monotonic() < deadline:
            with suppress(*CUT):
                if self.client.request("GET", f"/{self.bucket}?list-type=2&prefix={self.prefix}").ok:
                    return
            time.sleep(0.05)

    def outcome(self, answer, expected):
        """Return what an answer says of a write; None if it says that nothing was tried."""
        if answer is None or answer.status in {500, 503}:
            return UNKNOWN
        if answer.ok:
            return UNKNOWN if self.history.dark else OK
        if answer.status == 412 and expected is not ANY:
            return REFUSED
        if answer.status == 404 and expected not in {ANY, None}:
            return MISSING
        if answer.status not in {409, 507}:
            self.history.strange.append(f"{answer.status} {answer.body[:500]}")
        return None

    def body(self):
        """Bytes that nobody else writes."""
        self.written += 1
        mark = f"{self.bucket} {self.prefix} {self.number} {self.written} ".encode()
        return mark.ljust(self.choose.choice(SIZES), b".")


WORKERS = (b"serve", b"--multiprocessing-fork")
"""What stands in the command line of a worker: one that was forked has its supervisor's, and once the index has moved
they begin as programs of their own. The process that tracks resources has neither."""


def workers_of(supervisor):
    """Return the process ids of a server's workers."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == supervisor and any(mark in (folder / "cmdline").read_bytes() for mark in WORKERS):
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return sorted(found)


def kill_a_worker(supervisor, choose):
    """Kill one worker and wait until another has taken its place. Returns how long that took, in seconds.

    While the index moves there may be none for a moment.
    """
    looked = time.monotonic()
    while not (before := workers_of(supervisor)):
        assert time.monotonic() < looked + REPLACED_SECONDS, "there is no worker"
        time.sleep(0.05)
    victim, started = choose.choice(before), time.monotonic()
    os.kill(victim, signal.SIGKILL)
    while victim in (now := workers_of(supervisor)) or len(now) < len(before):
        assert time.monotonic() < started + REPLACED_SECONDS, f"worker {victim} was not replaced"
        time.sleep(0.05)
    return time.monotonic() - started


def record(clients, operations=OPERATIONS, after=math.inf, disturb=lambda: None):
    """Let clients work, each doing so many operations.

    Args:
        after, disturb: what to do while they work, and after how many answers.
    """
    history = clients[0].history
    after += history.outcomes.total()
    with at_work(clients, operations) as threads:
        if after < math.inf:
            while any(thread.is_alive() for thread in threads) and history.outcomes.total() < after:
                time.sleep(0.001)
            disturb()


@contextmanager
def at_work(clients, operations):
    """Let clients work, each doing so many operations, beside what is done within. Gives their threads."""
    threads = [threading.Thread(target=client.run, args=(operations,)) for client in clients]
    for thread in threads:
        thread.start()
    yield threads
    for thread in threads:
        thread.join()


def is_due(every, number):
    """Whether a round is one of every so many; ``every`` is 0 for none."""
    return every and number % every == every - 1


def play(clients, operations, host, choose, counts, *, deadly):
    """Let clients work, each doing so many operations; where it is deadly a worker is killed meanwhile, and counted."""
    with at_work(clients, operations):
        if deadly:
            time.sleep(choose.uniform(0.05, 0.5))
            kill_a_worker(host.server.process.pid, choose)
            counts["workers killed"] += 1


def record_failure(clients, host, operations, choose):
    """Let clients work while a drive fails, while it is away, and when it is back. Returns what happened.

    Now and then there are two, one a moment after the other: more than parity makes good. What cannot be answered then
    must be an error, and afterwards each key is as it was before or after what was under way.
    """
    host.settle()  # a drive that was hanging is left alone for a while: with another one it would be too many
    drives = choose.sample(host.drives, choose.choice((1, 1, 1, 2)))
    how = choose.choice(FAILURES) if len(drives) == 1 else "gone"

    def fail():
        clients[0].history.dark = len(drives) > 1  # one alone takes nothing with it
        for drive in drives:
            drive.fail(how)
            time.sleep(choose.uniform(0, 0.02))
        time.sleep(DARK_SECONDS)
        clients[0].history.dark = False

    record(clients, operations // 3, choose.randrange(CLIENTS * operations // 4), fail)
    if how in LASTING and len(drives) == 1 and choose.random() < 0.5:
        host.kill()
        host.start()
        move(clients, host.endpoint)
    record(clients, operations // 3)
    if how in LASTING:
        host.kill()
    for drive in drives:
        drive.recover()
    if how in LASTING:
        host.start()
        move(clients, host.endpoint)
    record(clients, operations // 3)
    return f"{len(drives)} drives {how}"


def move(clients, endpoint):
    """Let clients go on at another address."""
    for client in clients:
        client.client = Client(endpoint)


@contextmanager
def serving(name, volumes, workers):
    """Serve from memory. Gives what serves, and its log."""
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=powercut.IN_MEMORY))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        errors = stack.enter_context((root / "log").open("w+"))
        host = Host(root, volumes, workers, errors)
        stack.callback(host.close)
        yield host, errors


def run(rounds, seed, *, workers=2, operations=OPERATIONS, kill_every=0, volumes=1, fail_every=0, report=print):
    """Record and check ``rounds`` times ``KEYS`` histories.

    Args:
        kill_every: kill a worker in every round of which the number is divisible by it; 0 for none.
        volumes: how many; more than one are drives of their own, for which root is needed.
        fail_every: as ``kill_every``, let a drive fail and come back.

    Returns:
        Counts, and what was wrong.
    """
    choose, counts, wrong = random.Random(seed), Counter(), []
    with serving("linear", volumes, workers) as (host, errors):
        prepare(host.endpoint)

        def kill():
            kill_a_worker(host.server.process.pid, choose)
            counts["workers killed"] += 1

        for number in range(rounds):
            after = choose.randrange(CLIENTS * operations // 2) if is_due(kill_every, number) else math.inf
            bucket, history = BUCKETS[number % len(BUCKETS)], History()
            clients = [Worker(n, host.endpoint, history, bucket, f"r{number}-", seed) for n in range(CLIENTS)]
            if is_due(fail_every, number):
                counts[record_failure(clients, host, operations, choose)] += 1
            else:
                record(clients, operations, after, kill)
            refuted, undecided = history.verdicts()
            counts.update(history.outcomes)
            counts["histories"] += len(history.operations)
            counts["operations"] += sum(map(len, history.operations.values()))
            for key in refuted:
                wrong.append(f"{bucket}/{key}: no order explains its history")
                report(show(history.operations[key]))
            wrong += [f"{bucket}/{key}: gave up" for key in undecided]
            wrong += [f"round {number}: {line}" for line in history.strange]
        wrong += unhandled(errors)
    return counts, wrong


def unhandled(log):
    """Return the lines of a server's log that only a bug of it can cause."""
    log.seek(0)
    return [line.strip() for line in log if "unhandled" in line or "Traceback" in line]


def prepare(endpoint):
    """Make a bucket without and one with versioning."""
    client = Client(endpoint)
    for bucket in BUCKETS:
        assert client.request("PUT", f"/{bucket}").ok
    state = (
        b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<Status>Enabled</Status></VersioningConfiguration>"
    )
    digest = base64.b64encode(hashlib.md5(state).digest()).decode()
    answer = client.request("PUT", "/versioned?versioning", state, Content_MD5=digest)
    assert answer.ok, answer
    client.close()


def show(operations):
    """Return a history as text, in the order of its beginnings."""
    first = min(o.start for o in operations)
    return "\n".join(
        f"{(o.start - first) * 1e3:9.2f} {(o.end - first) * 1e3:9.2f}  {o.client} {o.kind} {str(o.value)[:8]:8} "
        f"{o.outcome} {'' if o.expected is ANY else f'if {str(o.expected)[:8]}'}"
        for o in sorted(operations, key=lambda o: o.start)
    )


def main_of(run, about):
    """Run rounds of a run that is given as the shell says, and end with its outcome."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kill", type=int, default=0, metavar="N", help="kill a worker in every Nth round")
    chosen = parser.parse_args()
    powercut.begin_unless(can_run())
    started = time.monotonic()
    counts, wrong = run(chosen.rounds, chosen.seed, workers=chosen.workers, kill_every=chosen.kill)
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"{chosen.rounds} rounds, seed {chosen.seed}: {told}; {len(wrong)} wrong, {time.monotonic() - started:.0f} s")
    print("\n".join(wrong))
    sys.exit(bool(wrong))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help=f"of {KEYS} histories each")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kill", type=int, default=0, metavar="N", help="kill a worker in every Nth round")
    parser.add_argument("--volumes", type=int, default=1, help="more than one are drives of their own")
    parser.add_argument("--fail", type=int, default=0, metavar="N", help="let a drive fail in every Nth round")
    chosen = parser.parse_args()
    powercut.begin_unless(can_run() or (chosen.volumes > 1 and powercut.can_run()))
    started = time.monotonic()
    counts, wrong = run(
        chosen.rounds,
        chosen.seed,
        workers=chosen.workers,
        kill_every=chosen.kill,
        volumes=chosen.volumes,
        fail_every=chosen.fail,
    )
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(
        f"{chosen.rounds} rounds, seed {chosen.seed}, {chosen.workers} workers, {chosen.volumes} volumes: {told}; "
        f"{len(wrong)} wrong, {time.monotonic() - started:.0f} s"
    )
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
