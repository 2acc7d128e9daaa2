"""A listing shows every acknowledged key and no deleted one, also while writers write and delete and readers page.

``python -m tests.torture.listings --keys 1000000 --filled 900000 --workers 4``. Some keys may be there before the
server starts. Each key has one writer, which notes when it asked for what and when it was told that it is done. A page
covers a range of keys in the time from its request to its answer: a key that was there all that time must be on it, one
that was away all that time must not.
"""

import argparse
import math
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from compat.bench import filling
from tests.torture.client import CUT, Client
from tests.torture.linear import kill_a_worker, unhandled
from tests.torture.powercut import IN_MEMORY, Server, begin_unless

WRITERS, READERS = 6, 3
PAGES = (1, 3, 10, 50, 1000)
"""How many entries a reader asks for; small pages end where writers are at work."""
KEYS_OF_A_FOLDER = 20
KILL_SECONDS = 3
FAILURES_TOLD = 20


class Change(NamedTuple):
    """What a writer asked for one key: at ``start`` it was sent, at ``end`` it was done, as far as is known."""

    start: float
    end: float
    present: bool


class Page(NamedTuple):
    """A page of a listing.

    Args:
        start, end: when it was asked for and when it was there.
        after: the entry that it begins behind, empty for the first page.
        entries: keys, and common prefixes if there was a delimiter, as the server ordered them.
        truncated: whether more pages follow.
        delimited: whether the delimiter ``/`` was asked for.
    """

    start: float
    end: float
    after: str
    entries: tuple[str, ...]
    truncated: bool
    delimited: bool


class Ledger:
    """What the writers know of every key, and the judge of pages.

    Args:
        keys: all names that are ever used, in any order.
        filled: those of them that are there from the beginning.
    """

    def __init__(self, keys, filled=()):
        self.keys, there = sorted(keys), frozenset(filled)
        self._changes = [(Change(-math.inf, -math.inf, present=key in there),) for key in self.keys]

    def present(self, number):
        """Whether a key is there after its last change."""
        return self._changes[number][-1].present

    def begin(self, number, now, *, present):
        """Note that a writer asks for a key to be there or not."""
        settled = [change for change in self._changes[number] if change.end < now - 60]  # no page is that old
        kept = self._changes[number][max(len(settled) - 1, 0) :]
        self._changes[number] = (*kept, Change(now, math.inf, present))

    def done(self, number, now):
        """Note that the last change of a key was acknowledged. One that never is leaves the key in doubt for ever."""
        *before, last = self._changes[number]
        self._changes[number] = (*before, last._replace(end=now))

    def states(self, number, start, end):
        """Return which of there and not there a key may have been between two moments."""
        states = set()
        for change in self._changes[number]:
            if change.end <= start:
                states = {change.present}
            elif change.start < end:
                states.add(change.present)
        return states

    def judge(self, page):
        """Return what is wrong with a page, as texts."""
        if sorted(set(page.entries)) != list(page.entries):
            return [f"entries are not in order or doubled: {page.entries}"]
        if page.entries and beyond(page.entries[0]) <= beyond(page.after):
            return [f"{page.entries[0]} is not behind {page.after}"]
        if page.truncated and not page.entries:
            return ["empty, but more is to follow"]
        shown, wrong = set(page.entries), []
        for entry, numbers in self._covered(page):
            states = [self.states(number, page.start, page.end) for number in numbers]
            if entry in shown:
                shown.discard(entry)
                if all(state == {False} for state in states):
                    wrong.append(f"{entry} is listed, but was not there")
            elif any(state == {True} for state in states):
                wrong.append(f"{entry} is not listed, but was there")
        return wrong + [f"{entry} is listed, but never was" for entry in sorted(shown)]

    def _covered(self, page):
        """Yield every entry that a page might show, with the numbers of the keys that it stands for."""
        first = bisect_right(self.keys, beyond(page.after))
        last = bisect_right(self.keys, beyond(page.entries[-1])) if page.truncated else len(self.keys)
        while first < last:
            key, stop = self.keys[first], first + 1
            if page.delimited and "/" in key:
                key = key[: key.index("/") + 1]
                stop = bisect_left(self.keys, beyond(key), first)
            yield key, range(first, stop)
            first = stop


def beyond(entry):
    """Return what is behind a key, or behind everything that a common prefix stands for, and before any other."""
    return entry + "\U0010ffff" if entry.endswith("/") else entry


def names(count):
    """Return the names of keys: in folders, some deep, some in none; no name ends in a slash."""
    return [
        f"top{number}" if number % KEYS_OF_A_FOLDER == 0 else f"folder{number // KEYS_OF_A_FOLDER:05}/k/{number}"
        for number in range(count)
    ]


class Run:
    """What all clients of a run share.

    Args:
        endpoint: the server.
        ledger: of the keys.
        seed: of all choices.
    """

    def __init__(self, endpoint, ledger, seed):
        self.endpoint, self.ledger, self.seed = endpoint, ledger, seed
        self.counts, self.wrong = Counter(), []
        self.over = threading.Event()

    def guarded(self, work, *arguments):
        """Do a thread's work; what ends it by accident is an error of the run."""
        try:
            work(*arguments)
        except BaseException as error:  # a thread must not end in silence
            self.wrong.append(f"{work.__name__}: {error!r}")
            raise

    def write(self, writer, changes):
        """Be a writer: put the own keys that are not there in any order, then delete and put some again."""
        choose, client = random.Random(f"{self.seed}/w{writer}"), Client(self.endpoint)
        own = list(range(writer, len(self.ledger.keys), WRITERS))
        choose.shuffle(own)
        for number in own:
            if not self.ledger.present(number):
                self._change(client, number, present=True)
        doubtful = set()
        for _ in range(changes):
            number = choose.choice(own)
            if number not in doubtful:
                present = not self.ledger.present(number) or choose.random() < 0.1
                if not self._change(client, number, present=present):
                    doubtful.add(number)
        client.close()

    def _change(self, client, number, *, present):
        """Put or delete a key. Returns whether that is known to be done."""
        path = f"/bucket/{self.ledger.keys[number]}"
        self.ledger.begin(number, time.monotonic(), present=present)
        try:
            answer = client.request("PUT", path, b"x") if present else client.request("DELETE", path)
        except CUT:
            self.counts["cut off"] += 1
            return False
        if not answer.ok:
            self.counts[f"{answer.status} {answer.code}"] += 1
            return False
        self.ledger.done(number, time.monotonic())
        self.counts["writes"] += 1
        return True

    def read(self, reader):
        """Be a reader: page through all keys, again and again, until the writers are done; at last once more."""
        choose, client = random.Random(f"{self.seed}/r{reader}"), Client(self.endpoint)
        while not self.over.is_set():
            self._pass(client, choose.choice(PAGES), choose.random() < 0.3, choose)
        self._pass(client, 1000, False, choose, whole=True)
        client.close()

    def _pass(self, client, size, delimited, choose, *, whole=False):
        """Page from the first key to the last; with small pages and not ``whole``, jump now and then."""
        version, after, token = choose.choice((1, 2)), "", ""
        while whole or not self.over.is_set():
            if version == 2:
                resume = f"list-type=2&continuation-token={quote(token, safe='')}" if token else "list-type=2"
                resume += f"&start-after={quote(after, safe='')}"  # AWS lets the token go before it
            else:
                after = after[: after.find("/") + 1] or after if delimited else after  # it stands for its whole folder
                resume = f"marker={quote(after, safe='')}"
            found = self._page(client, resume, after, size, delimited)
            if found is None:
                continue
            page, token = found
            self.wrong += [f"page behind {after!r}, {size} entries: {text}" for text in self.ledger.judge(page)]
            self.counts["pages"] += 1
            self.counts["entries"] += len(page.entries)
            if not page.truncated:
                self.counts["passes"] += 1
                return
            after = page.entries[-1] if page.entries else after
            if size < 50 and not whole and choose.random() < 0.02:  # small pages would never come to the end
                after, token = choose.choice(self.ledger.keys), ""

    def _page(self, client, resume, after, size, delimited):
        """Ask for a page; return it and the token for the next one, None if the server could not answer."""
        started = time.monotonic()
        try:
            answer = client.request(
                "GET", f"/bucket?{resume}&max-keys={size}" + ("&delimiter=%2F" if delimited else "")
            )
        except CUT:
            self.counts["pages cut off"] += 1
            return None
        if not answer.ok:
            self.counts[f"page {answer.status}"] += 1
            return None
        text, ended = answer.body.decode(), time.monotonic()
        keys = re.findall(r"<Key>([^<]*)</Key>", text)
        folders = re.findall(r"<CommonPrefixes><Prefix>([^<]*)</Prefix>", text)
        entries = tuple(sorted(keys + folders)) if folders else tuple(keys)
        token = answer.element("NextContinuationToken") if "<NextContinuationToken>" in text else ""
        return Page(started, ended, after, entries, "<IsTruncated>true" in text, delimited), token


def run(keys, seed, *, filled=0, changes=None, workers=2, kill=False, place=None):
    """Let writers and readers work on one bucket.

    Args:
        keys: how many.
        filled: how many of them are there before the server starts.
        changes: how many times a key is deleted or put again; without it half as many as there are keys to write.
        kill: whether workers are killed under way.
        place: the directory for the data; without it one in memory.

    Returns:
        Counts, and what was wrong.
    """
    changes = (keys - filled) // 2 if changes is None else changes
    everything = names(keys)
    there = random.Random(seed).sample(everything, filled)
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="listings-", dir=place or IN_MEMORY))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        filling.make(root / "volume", {"bucket": there})
        errors = stack.enter_context((root / "log").open("w+"))
        server = Server([root / "volume"], workers, errors)
        stack.callback(server.kill)
        current = Run(server.endpoint, Ledger(everything, there), seed)
        writers = [_thread(current, current.write, n, changes // WRITERS) for n in range(WRITERS)]
        readers = [_thread(current, current.read, n) for n in range(READERS)]
        choose = random.Random(seed)
        while kill and any(writer.is_alive() for writer in writers):
            time.sleep(KILL_SECONDS)
            kill_a_worker(server.process.pid, choose)
            current.counts["workers killed"] += 1
        for thread in writers:
            thread.join()
        current.over.set()
        for thread in readers:
            thread.join()
        return current.counts, current.wrong + unhandled(errors)


def _thread(current, work, *arguments):
    thread = threading.Thread(target=current.guarded, args=(work, *arguments))
    thread.start()
    return thread


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=20_000)
    parser.add_argument("--filled", type=int, default=0, help="how many keys are there before the server starts")
    parser.add_argument("--changes", type=int, help="how many deletions and writes after all keys are there")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kill", action="store_true", help=f"kill a worker every {KILL_SECONDS} seconds")
    parser.add_argument("--place", type=Path, help="a directory for the data")
    chosen = parser.parse_args()
    begin_unless("")
    started = time.monotonic()
    counts, wrong = run(
        chosen.keys,
        chosen.seed,
        filled=chosen.filled,
        changes=chosen.changes,
        workers=chosen.workers,
        kill=chosen.kill,
        place=chosen.place,
    )
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(
        f"{chosen.keys} keys, {chosen.filled} there at first, seed {chosen.seed}, {chosen.workers} workers: {told}; "
        f"{len(wrong)} wrong, {time.monotonic() - started:.0f} s"
    )
    print("\n".join(wrong[:FAILURES_TOLD]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
