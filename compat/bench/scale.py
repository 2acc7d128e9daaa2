"""What grows with the store; ``--only scale`` measures it alone. Writes the table and the plot of
``docs/scaling.md``.

Servers with a little and with much, side by side: keys in a bucket, versions of a key, parts of an object, buckets,
connections. Requests go to them in turn, one at a time, so that what else the machine does hits both alike. Stores are
filled in process (``filling``).
"""

import asyncio
import contextlib
import random
import socket
import statistics
from itertools import repeat
from pathlib import Path

from compat.bench import filling
from compat.bench.load import Client, Request, wrk
from compat.bench.pages import put_between_marks
from compat.bench.plots import Panel, save
from compat.bench.rows import where
from compat.bench.servers import Server

PAGE = Path(__file__).parent.parent.parent / "docs" / "scaling.md"
FEW, MANY = 10_000, 1_000_000
PLOTTED = (1_000, FEW, 100_000, MANY)
PREFIXES = 1_000
PARTS = 10_000
MIB = 1 << 20
PART_BYTES = 5 << 20


class Table:
    """Figures of the same thing, with a little and with much."""

    def __init__(self):
        self.rows = []

    def add(self, what, unit, few, many):
        """Add a row and print it; ``few`` is None where there is nothing to compare with."""
        digits = 0 if many >= 100 else 2
        texts = ["" if few is None else f"{few:,.{digits}f}", f"{many:,.{digits}f}"]
        ratio = f"{many / few:.2f}" if few else ""
        self.rows.append(f"| {what} | {unit} | {texts[0]} | {texts[1]} | {ratio} |")
        print(self.rows[-1], flush=True)

    def text(self):
        head = [
            f"{where()}, stock settings, a worker a core; latencies are medians of one client's requests in turn.",
            "",
            "| what | unit | little | much | ratio |",
            "| --- | --- | --- | --- | --- |",
        ]
        return "\n".join(head + self.rows)


def flat(number):
    return f"k{number:07}"


def under(number, count):
    return f"p{number // (count // PREFIXES):04}/k{number:07}"


def medians(*sides):
    """Send the requests of each side's server in turn with the others'; return the median milliseconds of each.

    The first tenth only warms up.
    """
    clients = [Client(server) for server, _ in sides]
    rounds = [
        [client.timed(request) for client, request in zip(clients, requests, strict=True)]
        for requests in zip(*(requests for _, requests in sides), strict=True)
    ]
    return [statistics.median(took) for took in zip(*rounds[len(rounds) // 10 :], strict=True)]


def compare_keys(table, folder):
    note = f"({FEW:,} and {MANY:,} keys in each of two buckets)"
    for count in (FEW, MANY):
        contents = {"flat": map(flat, range(count)), "tree": (under(number, count) for number in range(count))}
        filling.make(f"{folder}/{count}", contents)
    sizes = [Path(folder, str(count), ".s3ish", "index.db").stat().st_size / MIB for count in (FEW, MANY)]
    table.add(f"size of the index {note}", "MiB", *sizes)
    with Server("s3ish", f"{folder}/{FEW}") as few, Server("s3ish", f"{folder}/{MANY}") as many:
        servers = {few: FEW, many: MANY}
        table.add(f"start to the first answer {note}", "ms", *(server.start_seconds * 1000 for server in servers))
        table.add("resident memory after the start", "MiB", *(server.memory_mib() for server in servers))
        table.add("until the scrub has weighed the store", "s", *(server.settle() for server in servers))
        table.add("resident memory then", "MiB", *(server.memory_mib() for server in servers))
        for bucket in ("flat", "tree"):
            for what, requests, number in (("GET 1 KiB", _gets, 400), ("PUT 1 KiB", _puts, 400), ("LIST", _pages, 60)):
                sides = [(server, requests(server, bucket, count, number)) for server, count in servers.items()]
                table.add(f"{bucket}: {what}", "ms", *medians(*sides))
        rolled = [(server, _rolled(server)) for server in servers]
        table.add("tree: LIST 1,000 common prefixes", "ms", *medians(*rolled))
        table.add("resident memory after these", "MiB", *(server.memory_mib() for server in servers))
        for server, count in servers.items():
            client = Client(server)
            for start in range(0, count, 1000):
                client.timed(Request(server, "GET", "/flat", query=f"list-type=2&start-after={flat(start)}"))
        table.add("resident memory after listing all keys", "MiB", *(server.memory_mib() for server in servers))


def plot_keys(folder):
    """The median latency of small requests to buckets of 1,000 to 1,000,000 keys, for the plot."""
    ticks = [(count, f"{count:,}") for count in PLOTTED]
    panel = Panel(
        "GET and PUT 1 KiB, LIST 1,000 keys", "keys in the bucket", "median, ms", y_scale="linear", ticks=ticks
    )
    for count in {*PLOTTED} - {FEW, MANY}:
        filling.make(f"{folder}/{count}", {"flat": map(flat, range(count))})
    with contextlib.ExitStack() as opened:
        servers = [(opened.enter_context(Server("s3ish", f"{folder}/{count}")), count) for count in PLOTTED]
        for server, _ in servers:
            server.settle()
        for what, requests, number in (("GET", _gets, 300), ("PUT", _puts, 300), ("LIST", _pages, 50)):
            sides = [(server, requests(server, "flat", count, number)) for server, count in servers]
            for count, took in zip(PLOTTED, medians(*sides), strict=True):
                panel.add(what, count, took)
    save("keys", [panel])


def _names(bucket, count, number, margin=0):
    """Return that many names of keys that are there, by chance."""
    chance = random.Random(number)
    places = [chance.randrange(max(count - margin, 1)) for _ in range(number)]
    return [flat(place) if bucket == "flat" else under(place, count) for place in places]


def _gets(server, bucket, count, number):
    return [Request(server, "GET", f"/{bucket}/{name}") for name in _names(bucket, count, number)]


def _puts(server, bucket, count, number):
    return [Request(server, "PUT", f"/{bucket}/{name}-new", size=1024) for name in _names(bucket, count, number)]


def _pages(server, bucket, count, number):
    starts = [name.replace("/", "%2F") for name in _names(bucket, count, number, margin=1000)]
    query = "list-type=2&encoding-type=url&start-after="
    return [Request(server, "GET", f"/{bucket}", query=query + start) for start in starts]


def _rolled(server):
    return [Request(server, "GET", "/tree", query="list-type=2&delimiter=%2F")] * 30


def compare_versions(table, folder):
    filling.make(folder, {"bench": [*repeat("many", 10_000), "one"]}, versioned=("bench",))
    with Server("s3ish", folder) as server:
        for method, size in (("GET", 0), ("PUT", 1024), ("DELETE", 0)):
            sides = [(server, [Request(server, method, f"/bench/{key}", size=size)] * 300) for key in ("one", "many")]
            table.add(f"{method} of a key with 1 and with 10,000 versions", "ms", *medians(*sides))
        pages = [Request(server, "GET", "/bench", query="list-type=2")] * 100
        table.add("LIST of a bucket whose 10,000 versions are all deleted", "ms", None, *medians((server, pages)))
        pages = [Request(server, "GET", "/bench", query="versions=")] * 30
        table.add("LIST 1,000 of the 10,000 versions of a key", "ms", None, *medians((server, pages)))


def compare_parts(table, folder):
    """Objects of parts whose bytes exist only in the index: nothing but GET would look for them."""
    filling.make(folder, {"bench": ["one"]})
    counts, turns = (10, PARTS), range(5)
    uploads = {
        (count, turn): asyncio.run(filling.upload(folder, "bench", f"parts-{count}-{turn}", count, PART_BYTES))
        for count in counts
        for turn in turns
    }
    with Server("s3ish", folder) as server:
        ends = [
            (
                server,
                [
                    filling.completion(server, "bench", f"parts-{count}-{turn}", count, uploads[count, turn])
                    for turn in turns
                ],
            )
            for count in counts
        ]
        table.add(f"CompleteMultipartUpload of 10 and of {PARTS:,} parts", "ms", *medians(*ends))
        table.add("resident memory after five of them", "MiB", None, server.memory_mib())
        for method, number in (("HEAD", 20), ("DELETE", 1)):
            sides = [
                (server, [Request(server, method, f"/bench/parts-{count}-{turn}") for turn in turns] * number)
                for count in counts
            ]
            table.add(f"{method} of an object of 10 and of {PARTS:,} parts", "ms", *medians(*sides))


def compare_buckets(table, folder):
    counts = (1, 1000)
    for count in counts:
        filling.make(f"{folder}/{count}", {f"bucket-{number:04}": ["k"] for number in range(count)})
    with Server("s3ish", f"{folder}/1") as few, Server("s3ish", f"{folder}/1000") as many:
        servers = {few: 1, many: 1000}
        gets = [
            (server, [Request(server, "GET", f"/bucket-{number % count:04}/k") for number in range(1100)])
            for server, count in servers.items()
        ]
        lists = [(server, [Request(server, "GET", "/")] * 50) for server in servers]
        note = "(1 and 1,000 buckets)"
        table.add(f"start to the first answer {note}", "ms", *(server.start_seconds * 1000 for server in servers))
        table.add(f"GET 1 KiB from each in turn {note}", "ms", *medians(*gets))
        table.add(f"ListBuckets {note}", "ms", *medians(*lists))
        table.add("resident memory after these", "MiB", *(server.memory_mib() for server in servers))


def compare_connections(table, folder):
    for name in ("calm", "busy"):
        filling.make(f"{folder}/{name}", {"bench": ["k"]})
    with contextlib.ExitStack() as opened:
        calm, busy = (opened.enter_context(Server("s3ish", f"{folder}/{name}")) for name in ("calm", "busy"))
        for _ in range(1000):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", busy.port)))
            connection.sendall(Request(busy, "GET", "/bench/k").head())
            connection.recv(65536)
        sides = [(server, [Request(server, "GET", "/bench/k")] * 500) for server in (calm, busy)]
        table.add("GET 1 KiB beside 0 and 1,000 idle connections", "ms", *medians(*sides))
        table.add("resident memory with them", "MiB", calm.memory_mib(), busy.memory_mib())
    with Server("s3ish", f"{folder}/calm") as server:
        rounds = []
        for _ in range(3):
            get = Request(server, "GET", "/bench/k")
            loads = [wrk(server, [get], 4, connections=count) for count in (10, 1000)]
            rounds.append([(load.rate, load.p50) for load in loads])
        few, many = (
            [statistics.median(values) for values in zip(*side, strict=True)] for side in zip(*rounds, strict=True)
        )
        table.add("GET 1 KiB of 10 and 1,000 clients at once", "requests/s", few[0], many[0])
        table.add("their median latency", "ms", few[1], many[1])
        table.add("resident memory after them", "MiB", None, server.memory_mib())


def run(folder):
    """Measure everything in a folder, print it, and write it into the page."""
    table = Table()
    compare_connections(table, f"{folder}/connections")
    compare_buckets(table, f"{folder}/buckets")
    compare_versions(table, f"{folder}/versions")
    compare_parts(table, f"{folder}/parts")
    compare_keys(table, folder)
    plot_keys(folder)
    put_between_marks(PAGE, table.text())
