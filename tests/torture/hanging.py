"""Requests while a drive does not answer: none fails, and none waits longer than the drive is given.

``python -m tests.torture.hanging --seconds 15`` as root. Clients write and read small and large objects without pause,
one of three drives is frozen in the middle, and answers again. Each phase has its latencies. Then the drive of the
index hangs, or is gone: how long until requests are served again.
"""

import argparse
import shutil
import tempfile
import threading
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from tests.torture import powercut
from tests.torture.client import CUT, Client
from tests.torture.drives import PATIENCE_SECONDS, Host

SIZES = (500, 300_000)
KEYS = 20
MOVED_SECONDS = 60
NOTICED_SECONDS = PATIENCE_SECONDS + 0.5
"""After so long the drive is known to hang."""


class Load:
    """Clients that write and read, each keys of its own, until they are stopped.

    ``moments`` are the beginning and the duration of each request, ``wrong`` what was not answered as it must be.
    """

    def __init__(self, endpoint, clients):
        self.moments, self.wrong, self._stopped = [], [], threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(endpoint, n)) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _work(self, endpoint, number):
        with closing(Client(endpoint, timeout_seconds=60)) as client:
            turn = 0
            while not self._stopped.is_set():
                turn += 1
                for size in SIZES:
                    path, body = f"/things/{number}-{turn % KEYS}-{size}", (b"%d " % turn).ljust(size, b".")
                    self._request(client, "PUT", path, body, b"")
                    self._request(client, "GET", path, b"", body)

    def _request(self, client, method, path, body, expected):
        begun = time.monotonic()
        try:
            answer = client.request(method, path, body)
        except CUT as error:
            self.wrong.append(f"{method} {path}: {error!r}")
            return
        self.moments.append((begun, time.monotonic() - begun))
        if not answer.ok or answer.body != expected:
            self.wrong.append(f"{method} {path}: {answer.status} {answer.code}")

    def seconds(self, begin, end):
        """Return how many requests began in a time, and their median, p99 and slowest."""
        found = sorted(took for begun, took in self.moments if begin <= begun < end)
        return len(found), *(round(found[int(len(found) * share) - 1], 2) for share in (0.5, 0.99, 1))


def served(stack):
    """Return a server of three drives with a bucket, until the stack is left."""
    folder = Path(tempfile.mkdtemp(prefix="hanging-", dir=powercut.IN_MEMORY))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    host = Host(folder, 3, 1, stack.enter_context((folder / "log").open("w+")))
    stack.callback(host.close)
    with closing(Client(host.endpoint)) as client:
        assert client.request("PUT", "/things").ok
    return host


def run(seconds, clients):
    """Let a drive hang for so long; return the latencies of each phase, and what was wrong."""
    with ExitStack() as stack:
        host = served(stack)
        load = Load(host.endpoint, clients)
        stack.callback(load.stop)
        time.sleep(seconds / 4 + NOTICED_SECONDS)
        hung = time.monotonic()
        host.drives[1].fail("hanging")
        time.sleep(seconds)
        host.drives[1].recover()
        back = time.monotonic()
        host.settle()
        time.sleep(seconds / 4)
        load.stop()
        phases = {
            "before": load.seconds(0, hung - NOTICED_SECONDS),
            "until it is noticed": load.seconds(hung - NOTICED_SECONDS, hung + NOTICED_SECONDS),
            "while it hangs": load.seconds(hung + NOTICED_SECONDS, back),
            "afterwards": load.seconds(back, time.monotonic()),
        }
        return phases, load.wrong


def pause(how, objects):
    """Return for how many seconds no write was answered well after the drive of the index had failed."""
    with ExitStack() as stack:
        host = served(stack)
        with closing(Client(host.endpoint)) as client:
            for number in range(objects):
                assert client.request("PUT", f"/things/{number}", b"some bytes").ok
        host.drives[0].fail(how)
        begun = time.monotonic()
        while not serves(host, objects):
            assert time.monotonic() < begun + MOVED_SECONDS, "the index has not moved"
            time.sleep(0.02)
        return time.monotonic() - begun


def serves(host, objects):
    """Whether a write is answered well, and a listing is not empty."""
    with suppress(*CUT), closing(Client(host.endpoint, timeout_seconds=5)) as client:
        listed = client.request("GET", f"/things?list-type=2&start-after={objects}")
        return client.request("PUT", "/things/probe", b"").ok and b"<Contents>" in listed.body
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--objects", type=int, default=1000, help="in the index that moves")
    chosen = parser.parse_args()
    powercut.begin_unless(powercut.can_run())
    phases, wrong = run(chosen.seconds, chosen.clients)
    for name, (count, median, late, slowest) in phases.items():
        print(f"{name}: {count} requests, median {median} s, p99 {late} s, slowest {slowest} s")
    for how in ("hanging", "gone"):
        seconds = [pause(how, chosen.objects) for _ in range(3)]
        told = ", ".join(f"{value:.1f}" for value in sorted(seconds))
        print(f"the drive of the index {how}, {chosen.objects} objects: no service for {told} s")
    print(f"{len(wrong)} wrong")
    for line in wrong[:20]:
        print(line)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
