"""A long run of everything at random: every answer must fit a dictionary, and nothing may grow that should not.

``python -m tests.torture.endurance --minutes 10``. Several clients, each with keys of its own, do all operations on a
real server and compare every answer (``player.py``). After each round, when nobody asks for anything, all listings are
compared, the blobs on the volumes are counted against what is known, and the server's memory and open files are noted;
then, now and then, it is stopped or killed and started again. The last third of the time it is left running.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.torture.linear import can_run, prepare, unhandled, workers_of
from tests.torture.player import Player
from tests.torture.powercut import IN_MEMORY, Server, begin_unless

CLIENTS = 4
BUCKETS = ("plain", "versioned")
ROUND_SECONDS, CLEAN_SECONDS = 5, 60
SETTLED_ROUNDS = 3
"""After so many a server has met everything, and what it needs once it has."""
GROWTH_BYTES, GROWTH_FILES = 24 << 20, 8
"""By how much it may grow afterwards, all processes together."""


class Host:
    """The server under test, and how much it takes.

    Args:
        root: the directory for everything.
        volumes, workers: how many.
        errors: where its log goes.
        variables: further settings in the environment.
    """

    def __init__(self, root, volumes, workers, errors, **variables):
        self.roots = [root / f"volume{number}" for number in range(volumes)]
        self._workers, self._errors, self._variables = workers, errors, variables
        self.start()

    def start(self):
        self.server = Server(self.roots, self._workers, self._errors, **self._variables)
        self.samples = []

    def stop(self, how):
        """End it by a signal."""
        self.server.process.send_signal(how)
        if how == signal.SIGKILL:
            self.server.kill()
        else:
            self.server.process.wait(60)
            self.server.process.stdout.close()

    def measure(self):
        """Note memory and open files of all processes."""
        processes = [self.server.process.pid, *workers_of(self.server.process.pid)]
        memory = sum(_memory(process) for process in processes)
        self.samples.append((memory, sum(len(list(Path(f"/proc/{process}/fd").iterdir())) for process in processes)))

    def growth(self):
        """Return by how many bytes and files it has grown since it settled."""
        settled = self.samples[SETTLED_ROUNDS:]
        if len(settled) < 2:
            return 0, 0
        return tuple(settled[-1][n] - settled[0][n] for n in (0, 1))

    def blobs(self):
        """Return the ids of all blobs on the volumes, and the names of files that should be gone."""
        found, temporary = set(), []
        for root in self.roots:
            for path in root.rglob("*"):
                place = path.relative_to(root)
                if place.parts[0] == ".s3ish":
                    continue
                if path.name.startswith("."):
                    temporary.append(str(place))
                elif "@" in path.name and path.is_dir():
                    found.add(str(place))
        return found, temporary


def _memory(process):
    """Return the memory of a process that it shares with no other, in bytes."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return int(text.partition("Private_Dirty:")[2].split()[0]) << 10


def run(seconds, seed, *, volumes=3, workers=2, place=None, round_seconds=ROUND_SECONDS):
    """Let clients do everything for so long.

    Args:
        volumes, workers: of the server.
        place: the directory for the data; without it one in memory.
        round_seconds: how long a round is.

    Returns:
        Counts, and what was wrong.
    """
    counts, wrong, choose = Counter(), [], random.Random(seed)
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="endurance-", dir=place or IN_MEMORY))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        errors = stack.enter_context((root / "log").open("w+"))
        host = Host(root, volumes, workers, errors)
        stack.callback(lambda: host.server.kill())
        prepare(host.server.endpoint)
        players = [Player(number, BUCKETS[number % len(BUCKETS)], seed) for number in range(CLIENTS)]
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not wrong:
            play(host.server.endpoint, players, min(ends, time.monotonic() + round_seconds))
            counts["rounds"] += 1
            wrong += [text for player in players for text in player.wrong] or compare(host, players)
            host.measure()
            if ends - time.monotonic() > seconds / 3 and choose.random() < 0.3:
                how = choose.choice((signal.SIGTERM, signal.SIGKILL))
                wrong += judge(host)
                host.stop(how)
                counts[how.name] += 1
                host.start()
        memory, files = host.growth()
        counts["rounds since the last start"] = len(host.samples)
        counts["KiB grown"], counts["files grown"] = memory >> 10, files
        wrong += judge(host) + unhandled(errors)
    for player in players:
        counts.update(player.counts)
    counts["operations"] = sum(player.counts.total() for player in players)
    return counts, wrong


def play(endpoint, players, until):
    """Let all play until a moment."""
    threads = [threading.Thread(target=player.play, args=(endpoint, until)) for player in players]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def compare(host, players):
    """Return what is wrong with the listings and with what lies on the volumes, now that nobody changes anything."""
    for player in players:
        player.look(host.server.endpoint)
    expected = len(BUCKETS) + sum(player.blobs for player in players)
    ends = time.monotonic() + CLEAN_SECONDS
    while True:  # what was replaced is removed a moment after the answer
        found, temporary = host.blobs()
        if (len(found) == expected and not temporary) or time.monotonic() > ends:
            break
        time.sleep(0.2)
    wrong = [text for player in players for text in player.wrong]
    wrong += [f"{len(found)} blobs on the volumes, {expected} are known"] if len(found) != expected else []
    return wrong + [f"left: {name}" for name in temporary]


def judge(host):
    """Return by how much too much a server has grown."""
    memory, files = host.growth()
    wrong = [f"memory: {host.samples}"] if memory > GROWTH_BYTES else []
    return wrong + ([f"open files: {host.samples}"] if files > GROWTH_FILES else [])


def main_of(run, about):
    """Run for as long as the shell says, and end with the outcome."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--volumes", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--place", type=Path, help="a directory for the data")
    chosen = parser.parse_args()
    begin_unless(can_run())
    started = time.monotonic()
    counts, wrong = run(
        chosen.minutes * 60, chosen.seed, volumes=chosen.volumes, workers=chosen.workers, place=chosen.place
    )
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"seed {chosen.seed}: {told}; {len(wrong)} wrong, {time.monotonic() - started:.0f} s")
    print("\n".join(wrong[:20]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main_of(run, __doc__)
