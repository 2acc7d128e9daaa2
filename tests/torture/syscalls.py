"""Every Nth system call of every writing operation fails, or the server is killed at it.

``python -m tests.torture.syscalls`` goes through all N until the fault no longer fires. strace attaches to a server
that runs, so that nothing but the one operation is disturbed. Afterwards the answer must have been true, the server
must go on where it lived, and all that was acknowledged must be there, also after a restart.
"""

import argparse
import contextlib
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from tests.torture.client import CUT, Client
from tests.torture.powercut import begin_unless
from tests.torture.writes import OPERATIONS, PLACE

KILL = "signal=KILL"
EIO, ENOSPC, EDQUOT, EROFS, EMFILE = (f"error={name}" for name in ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EMFILE"))
SHORT = "retval=0"
"""A write that writes nothing and says so: the shortest of short writes."""

_CHANGES = (EIO, ENOSPC, EDQUOT, EROFS, KILL)
_WRITES = (EIO, ENOSPC, EDQUOT, SHORT, KILL)
FAULTS = {
    "openat": (*_CHANGES, EMFILE),
    "openat2": (*_CHANGES, EMFILE),
    "mkdirat": _CHANGES,
    "pwritev2": _WRITES,
    "pwrite64": _WRITES,
    "pread64": (EIO,),
    "fstatfs": (EIO, KILL),
    "sync_file_range": (EIO, KILL),
    "fsync": (EIO, ENOSPC, KILL),
    "fdatasync": (EIO, ENOSPC, KILL),
    "syncfs": (EIO, ENOSPC, KILL),
    "linkat": _CHANGES,
    "renameat": _CHANGES,
    "unlinkat": (EIO, EROFS, KILL),
    "getdents64": (EIO, KILL),
    "newfstatat": (EIO, KILL),
    "ftruncate": (EIO, EROFS, KILL),
}
"""What can happen to each system call."""

FLUSHES = {"fsync", "syncfs"}
"""After one of these has failed, the volume takes no writes until a restart."""

FLUSH_SECONDS = 1.6
"""After so long what is flushed in the background has been flushed."""

MAX_CALLS = 200
ONE_THREAD = (
    "from s3ish.threads import ThreadPool; ThreadPool.__init__.__defaults__ = (1,); "
    "from s3ish.__main__ import main; main()"
)
"""A server that does its file work on one thread: faults are counted by thread."""


def can_run():
    """Return why faults cannot be injected here, empty if they can."""
    if not shutil.which("strace"):
        return "needs strace"
    with subprocess.Popen(["sleep", "60"]) as target, tempfile.TemporaryDirectory() as folder:
        try:
            with Fault(target.pid, "fsync", EIO, 1, Path(folder) / "trace"):
                return ""
        except AssertionError as error:
            return str(error)
        finally:
            target.kill()


class Fault:
    """strace on a process; the context ends it.

    Args:
        call, what, number: do ``what`` to the ``number``-th ``call`` of each thread.
        trace: the file for strace's notes.
    """

    def __init__(self, process, call, what, number, trace):
        self._process, self._trace = process, trace
        inject = f"inject={call}:{what}:when={number}"
        self._strace = subprocess.Popen(
            ["strace", "-f", "-p", str(process), "-o", trace, "-e", f"trace={call}", "-e", inject],
            stderr=subprocess.PIPE,
            text=True,
        )
        told = self._strace.stderr.readline()
        if "attached" not in told:
            self._end()
            raise AssertionError(f"strace cannot attach: {told.strip()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()

    def _end(self):
        if not self._is_dying():  # of a process that ends strace would never let go
            self._strace.terminate()
        try:
            self._strace.wait(10)
        finally:
            self._strace.kill()
            self._strace.stderr.close()

    def _is_dying(self):
        try:
            return Path(f"/proc/{self._process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return True

    @property
    def fired(self):
        text = self._trace.read_text()
        return "(INJECTED)" in text or "killed by SIGKILL" in text


class Victim:
    """A server of one process, with the means to disturb it.

    Args:
        folder: for the volume and strace's notes.
    """

    def __init__(self, folder):
        self.folder = folder
        self.log = (folder / "log").open("a+")
        self.starts = 0
        self.start()

    def start(self):
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("S3ISH", "AWS", "MINIO"))}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ONE_THREAD, "serve", str(self.folder / "volume"), "--port", "0"],
            env=plain | {"S3ISH_LOG_LEVEL": "error", "S3ISH_WORKERS": "1"},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        text = ""
        for line in self.process.stdout:
            text += line
            if " aws " in line:
                break
        self.client = Client(re.search(r"endpoint\s+(\S+)", text)[1])
        self.starts += 1

    @property
    def lives(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self._forget()

    def stop(self):
        """End in the regular way; return the exit code."""
        self.process.terminate()
        self._forget()
        return self.process.returncode

    def restart(self):
        self.kill()
        self.start()

    def _forget(self):
        self.client.close()
        self.process.wait(20)
        self.process.stdout.close()


class Trial:
    """All faults of one run, on one server.

    Args:
        victim: the server.
        log: told what was wrong.
    """

    def __init__(self, victim, log):
        self.victim, self._log = victim, log
        self.counts, self.wrong = Counter(), []
        self._allowed = {}
        self._keys = 0
        bystander = random.Random(1).randbytes(100_000)
        self._bystander = hashlib.sha256(bystander).hexdigest()
        assert victim.client.request("PUT", f"/{PLACE}").ok
        assert victim.client.request("PUT", f"/{PLACE}/bystander", bystander).ok

    def warm_up(self):
        """Do every operation once: what is loaded late is loaded then."""
        for make in OPERATIONS.values():
            operation = self._begin(make)
            assert operation.perform(self.victim.client).ok
            self._allowed[operation.key] = {operation.after}

    def disturb(self, name, call, what, number):
        """Do one operation with one fault, and look at everything. Returns whether the fault fired."""
        label = f"{name}: {what} at {call} {number}"
        operation = self._begin(OPERATIONS[name])
        victim, answer = self.victim, None
        with Fault(victim.process.pid, call, what, number, self.victim.folder / "trace") as fault:
            with contextlib.suppress(*CUT):
                answer = operation.perform(victim.client)
            if call == "syncfs":
                time.sleep(FLUSH_SECONDS)
        if what == KILL and fault.fired:
            victim.process.wait(20)
        self._judge(label, operation, answer, fault.fired and what, call)
        self.counts[what if fault.fired else "not reached"] += 1
        return fault.fired

    def _judge(self, label, operation, answer, what, call):
        key = operation.key
        if answer is None and what != KILL:
            self._complain(f"{label}: no answer")
        if answer and not answer.ok and (answer.status < 500 or not answer.code or not what):
            self._complain(f"{label}: {answer.status} {answer.body[:300]}")
        if answer and answer.ok:
            self.counts["acknowledged"] += 1
        self._allowed[key] = {operation.after} if answer and answer.ok else {operation.before, operation.after}
        if not self.victim.lives:
            if what != KILL:
                self._complain(f"{label}: the server died")
            self.victim.restart()
            self._look_at_all(label)
        self._check(key, self._allowed[key], label)
        self._check("bystander", {self._bystander}, label)
        self._go_on(label, operation, may_refuse=what not in {False, KILL} and call in FLUSHES)

    def _go_on(self, label, operation, *, may_refuse):
        """The same request again must succeed; after a failed flush it may be refused until a restart."""
        again = operation.perform(self.victim.client)
        if may_refuse:
            if not again.ok and (again.status, again.code) != (503, "ServiceUnavailable"):
                self._complain(f"{label}: a suspect volume answers {again.status} {again.body[:300]}")
            self.victim.restart()
            self._look_at_all(label)
            again = operation.perform(self.victim.client)
        if not again.ok:
            self._complain(f"{label}: and again: {again.status} {again.body[:300]}")
            return
        self._allowed[operation.key] = {operation.after}
        self._check(operation.key, {operation.after}, f"{label}, and again")

    def finish(self):
        """Restart once more, and once with the index rebuilt from the sidecars: everything must be there."""
        self.victim.restart()
        self._look_at_all("after a restart")
        if code := self.victim.stop():
            self._complain(f"exit code {code}")
        for file in (self.victim.folder / "volume" / ".s3ish").glob("index.db*"):
            file.unlink()
        self.victim.start()
        self._look_at_all("after a rebuild")
        self.victim.log.seek(0)
        self.wrong += [line.strip() for line in self.victim.log if "unhandled" in line]

    def _begin(self, make):
        self._keys += 1
        operation = make(f"folder{self._keys}/key{self._keys}")
        operation.prepare(self.victim.client)
        self._check(operation.key, {operation.before}, "before")
        return operation

    def _look_at_all(self, label):
        listed = set()
        after = ""
        while True:
            answer = self.victim.client.request("GET", f"/{PLACE}?list-type=2&prefix=folder{after}")
            assert answer.ok, answer.body
            listed |= set(re.findall(r"<Key>([^<]*)</Key>", answer.body.decode()))
            if b"<IsTruncated>true" not in answer.body:
                break
            after = f"&start-after={quote(max(listed), safe='')}"
        for key in sorted({*self._allowed, *listed}):
            state = self._check(key, self._allowed.get(key, {None}), label)
            if (state is None) != (key not in listed):
                self._complain(f"{label}: {key}: the listing does not agree with the object")

    def _check(self, key, allowed, label):
        """Compare what is there with what may be; return it, and hold the server to it from now on."""
        answer = self.victim.client.request("GET", f"/{PLACE}/{key}")
        state = None if answer.status == 404 else hashlib.sha256(answer.body).hexdigest()
        if answer.status not in {200, 404} or state not in allowed:
            self._complain(f"{label}: {key} is {answer.status} {str(state)[:8]}, not {[str(a)[:8] for a in allowed]}")
        return state

    def _complain(self, text):
        self.wrong.append(text)
        self._log(text)


def run(names=tuple(OPERATIONS), calls=tuple(FAULTS), choose=None, log=lambda _line: None):
    """Disturb operations.

    Args:
        names, calls: which operations, and which system calls of them.
        choose: takes a fault and returns the numbers N to try; without it all are tried.

    Returns:
        Counts, and what was wrong.
    """
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="syscalls-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        victim = Victim(folder)
        stack.callback(victim.log.close)
        stack.callback(victim.kill)
        trial = Trial(victim, log)
        trial.warm_up()
        for name in names:
            for call in calls:
                for what in FAULTS[call]:
                    started, number = time.monotonic(), 0
                    for number in choose(name, call, what) if choose else range(1, MAX_CALLS):
                        if not trial.disturb(name, call, what, number):
                            break
                    log(f"{name}, {call}, {what}: {number - 1} calls, {time.monotonic() - started:.1f} s")
        trial.finish()
        trial.counts["starts"] = victim.starts
        return trial.counts, trial.wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operation", choices=OPERATIONS, action="append", help="only this one (repeatable)")
    parser.add_argument("--call", choices=FAULTS, action="append", help="only this system call (repeatable)")
    chosen = parser.parse_args()
    begin_unless(can_run())
    started = time.monotonic()
    counts, wrong = run(
        chosen.operation or tuple(OPERATIONS), chosen.call or tuple(FAULTS), log=lambda line: print(line, flush=True)
    )
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"{told}; {len(wrong)} wrong, {time.monotonic() - started:.0f} s")
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
