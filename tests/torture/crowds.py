"""Crowds: very many failed signatures from one peer, and very many uploads and downloads at once.

``python -m tests.torture.crowds --failures 100000 --transfers 1000``. A failed signature must cost no more than a
request that is answered, one line of the log, and no memory, and a bystander must go on being served. Uploads and
downloads at once, of which most have to wait, must take little memory, whatever their size, and none may fail.
"""

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from tests.torture.client import Client
from tests.torture.linear import unhandled
from tests.torture.powercut import IN_MEMORY, Server, begin_unless

PEERS = 4
TRANSFER_BYTES = 8 << 20
GROWTH_BYTES = 96 << 20
"""What they may take, however many they are; the aim is 64 MiB, and the allocator varies."""
SOURCES = 4
"""So many objects are downloaded, each by many."""
PIECE_BYTES = 64 << 10
WAIT_SECONDS = 600
TICKS = os.sysconf("SC_CLK_TCK")


def can_run():
    """Return why a server's memory and time cannot be measured here, empty if they can."""
    return "" if Path("/proc/self/status").exists() else "measures processes in /proc"


class Host:
    """A server of one process, and what it takes: memory, time, log."""

    def __init__(self, stack, place=None, **variables):
        root = Path(tempfile.mkdtemp(prefix="crowds-", dir=place or IN_MEMORY))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        self.errors = stack.enter_context((root / "log").open("w+"))
        self.server = Server([root / "volume"], 1, self.errors, S3ISH_LOG_LEVEL="info", **variables)
        stack.callback(self.server.kill)
        self.client = Client(self.server.endpoint)
        stack.callback(self.client.close)
        assert self.client.request("PUT", "/bucket").ok

    def memory(self, what="VmRSS"):
        """Return the memory of the process in bytes; ``VmHWM`` is the most that it ever had."""
        text = Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(text.partition(f"{what}:")[2].split()[0]) << 10

    def seconds(self):
        """Return the processor time that it has taken."""
        fields = Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def logged(self):
        """Return the length of the log in bytes."""
        return os.fstat(self.errors.fileno()).st_size


def ask(host, count, signed):
    """Let some peers ask for an object so many times in all, signed rightly or wrongly; return the statuses seen."""
    statuses = set()

    def peer(number):
        client, choose = Client(host.server.endpoint), random.Random(number)
        for _ in range(count // PEERS):
            if not signed:
                client.forge(choose)
            statuses.add(client.request("GET", "/bucket/object").status)
        client.close()

    threads = [threading.Thread(target=peer, args=(number,)) for number in range(PEERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def fail_signatures(failures):
    """Fail to sign so many requests while a bystander is served; return figures, and what was wrong."""
    with ExitStack() as stack:
        host = Host(stack)
        assert host.client.request("PUT", "/bucket/object", b"bytes").ok
        ask(host, 400, signed=True)  # what is made once is made
        ask(host, 400, signed=False)
        sample = max(400, min(failures // 10, 5000))
        cost = -host.seconds()
        ask(host, sample, signed=True)
        cost = (cost + host.seconds()) / sample
        memory, logged, spent = host.memory(), host.logged(), host.seconds()
        over, served = threading.Event(), []

        def stand_by():
            client = Client(host.server.endpoint)
            while not over.is_set():
                served.append(client.request("GET", "/bucket/object").status)
            client.close()

        bystander = threading.Thread(target=stand_by)
        bystander.start()
        statuses = ask(host, failures, signed=False)
        over.set()
        bystander.join()
        figures = {
            "failures": failures,
            "bystander served": len(served),
            "cost of a failure in requests": round((host.seconds() - spent - cost * len(served)) / failures / cost, 2),
            "bytes of log for each": round((host.logged() - logged) / (failures + len(served))),
            "MiB grown": round((host.memory() - memory) / 2**20, 1),
        }
        wrong = unhandled(host.errors)
    wrong += [f"statuses of failures: {statuses}"] if statuses != {403} else []
    wrong += [f"statuses of the bystander: {set(served)}"] if set(served) != {200} else []
    limits = {"cost of a failure in requests": 1.5, "bytes of log for each": 1000, "MiB grown": 16}
    wrong += [f"{name}: {figures[name]}" for name, limit in limits.items() if figures[name] > limit]
    return figures, wrong


class Barrier:
    """Where so many wait for each other."""

    def __init__(self, number):
        self._missing, self._all = number, asyncio.Event()

    async def wait(self):
        self._missing -= 1
        if not self._missing:
            self._all.set()
        async with asyncio.timeout(WAIT_SECONDS):
            await self._all.wait()


async def upload(host, number, data, barrier):
    """Upload an object: the headers, then at the server's pace the body; return the status."""
    place = urlsplit(host.server.endpoint)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=PIECE_BYTES)
    try:
        writer.transport.set_write_buffer_limits(high=PIECE_BYTES)
        writer.write(host.client.head("PUT", f"/bucket/{number}", len(data)))
        for start in range(0, len(data), PIECE_BYTES):
            writer.write(data[start : start + PIECE_BYTES])
            await writer.drain()
            if not start:
                await barrier.wait()  # from here on all are in the middle of it
        return int((await reader.readuntil(b"\r\n")).split()[1])
    finally:
        writer.close()


async def download(host, number, data, barrier):
    """Download an object: its head, and when all have that the rest; return the status."""
    place = urlsplit(host.server.endpoint)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=PIECE_BYTES)
    try:
        writer.write(host.client.head("GET", f"/bucket/{number % SOURCES}", 0))
        status = int((await reader.readuntil(b"\r\n")).split()[1])
        await reader.readuntil(b"\r\n\r\n")
        await barrier.wait()
        for start in range(0, len(data), PIECE_BYTES):
            assert await reader.readexactly(PIECE_BYTES) == data[start : start + PIECE_BYTES]
        return status
    finally:
        writer.close()


def transfer_at_once(transfer, count, place=None):
    """Upload or download so many objects at once; return figures, and what was wrong."""
    data = random.Random(1).randbytes(PIECE_BYTES) * (TRANSFER_BYTES // PIECE_BYTES)

    async def all_at_once(host, transfer, number):
        barrier = Barrier(number)
        work = [transfer(host, n, data, barrier) for n in range(number)]
        return await asyncio.gather(*work, return_exceptions=True)

    with ExitStack() as stack:
        host = Host(stack, place, S3ISH_FSYNC="false")
        asyncio.run(all_at_once(host, upload, SOURCES))
        asyncio.run(all_at_once(host, download, SOURCES))
        before = host.memory()
        answers = asyncio.run(all_at_once(host, transfer, count))
        grown = host.memory("VmHWM") - before
        host.client.close()  # the server has: it was idle for long
        found = host.client.request("GET", f"/bucket/{count - 1 if transfer is upload else 0}")
        wrong = unhandled(host.errors)
    figures = {
        f"{transfer.__name__}s": count,
        "MiB at the most": round(grown / 2**20, 1),
        "KiB each": round(grown / count / 2**10),
    }
    failed = [answer for answer in answers if answer != 200]
    wrong += [f"{len(failed)} failed, such as {failed[0]!r}"] if failed else []
    wrong += ["other bytes"] if found.body != data else []
    wrong += [f"memory: {figures}"] if grown > GROWTH_BYTES else []
    return figures, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--failures", type=int, default=10_000)
    parser.add_argument("--transfers", type=int, default=200)
    parser.add_argument("--place", type=Path, help="a directory for the data")
    chosen = parser.parse_args()
    begin_unless(can_run())
    failed = False
    for work, *arguments in (
        (fail_signatures, chosen.failures),
        (transfer_at_once, upload, chosen.transfers, chosen.place),
        (transfer_at_once, download, chosen.transfers, chosen.place),
    ):
        started = time.monotonic()
        figures, wrong = work(*arguments)
        told = ", ".join(f"{name}: {value}" for name, value in figures.items())
        print(f"{told}; {len(wrong)} wrong, {time.monotonic() - started:.0f} s", flush=True)
        print("\n".join(wrong))
        failed = failed or bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
