"""Objects of 64 KiB to 1 MiB, too long for the index: written and read by many clients at once."""

from compat.bench.load import Request, wrk
from compat.bench.peers import peers
from compat.bench.plots import size_text
from compat.bench.rows import Row
from compat.bench.servers import Server, prepare

SIZES = {64 << 10: 3000, 256 << 10: 1500, 1 << 20: 600}
"""Sizes in bytes, and how many PUTs are signed for each second of measuring: as many as any server may want."""
CONNECTIONS = 16
_READ = slice(1, 21)
"""Which of the objects are read. wrk asks for its first request twice, and sends it once."""


def medium_requests(rounds, seconds, folder):
    """PUT of distinct keys and GET, and the processor time of a PUT."""
    puts, gets, costs = (
        {size: Row(f"{size_text(size)} {what}, {CONNECTIONS} connections", unit) for size in SIZES}
        for what, unit in (
            ("put distinct", "requests/s"),
            ("get", "requests/s"),
            ("put distinct: processor time", "µs/request"),
        )
    )
    with (
        Server("s3ish", f"{folder}/medium-s3ish") as ours,
        Server("s3ish, 1 worker", f"{folder}/medium-s3ish-1") as one,
        Server("rclone serve s3", f"{folder}/medium-rclone") as rclone,
        peers() as others,
    ):
        for server in (ours, one, rclone):
            prepare(server)
        for turn in range(rounds):
            for size, most in SIZES.items():
                for server in (ours, one, rclone, *others):
                    names = [f"/bench/r{turn}-{size}-{number}" for number in range(most * seconds)]
                    writes = [Request(server, "PUT", name, size=size) for name in names]
                    reads = [Request(server, "GET", name) for name in names[_READ]]
                    load = wrk(server, writes, seconds, CONNECTIONS)
                    puts[size].add(server.name, load.rate)
                    if load.server_us:
                        costs[size].add(server.name, load.server_us)
                    gets[size].add(server.name, wrk(server, reads, seconds, CONNECTIONS).rate)
    return [row for size in SIZES for row in (puts[size], gets[size], costs[size])]
