"""What small requests cost: starting, objects of 4 KiB as servers come and by one worker, pages of listings."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compat.bench import filling
from compat.bench.load import Client, Request, crowd, wrk
from compat.bench.peers import peers
from compat.bench.rows import Row
from compat.bench.servers import Server, prepare

LISTED = 100_000
ONE = "s3ish, 1 worker"
_PUTS = 3000
"""Requests that are signed for each second of measuring: as many as any server may want."""


def starts(rounds, folder):
    """How long until the first answer, and what a server takes while it does nothing."""
    start, memory = Row("cold start to the first answer", "ms"), Row("resident memory when idle", "MiB")
    for turn in range(rounds):
        for name in ("s3ish", ONE, "moto_server"):
            with Server(name, f"{folder}/start-{turn}-{name}") as server:
                start.add(name, server.start_seconds * 1000)
                memory.add(name, server.memory_mib())
    return [start, memory]


def small_requests(rounds, seconds, folder):
    """4 KiB GET, PUT, HEAD, DELETE, presigned GET and 404."""
    names = ("get", "get presigned", "get 404", "get, one connection", "get, epoll client", "head, epoll client")
    rows = {name: Row(f"4 KiB {name}", "requests/s") for name in (*names, "put distinct", "delete")}
    costs = {f"4 KiB {verb}": Row(f"4 KiB {verb}: processor time", "µs/request") for verb in ("get", "put distinct")}
    with (
        Server("s3ish", f"{folder}/small-s3ish") as ours,
        Server(ONE, f"{folder}/small-s3ish-1") as one,
        Server("rclone serve s3", f"{folder}/small-rclone") as rclone,
        Server("bare uvicorn", folder) as bare,
        Server("moto_server", folder) as moto,
        peers() as others,
    ):
        for server in (ours, one, rclone, moto):
            prepare(server)

        def replay(name, server, requests, seconds=seconds):
            row = rows[name]
            load = wrk(server, requests, seconds)
            row.add(server.name, load.rate)
            if row.name in costs and server in (ours, one):
                costs[row.name].add(server.name, load.server_us)
                costs[row.name].add(f"wrk, sending to {server.name}", load.client_us)
            return int(load.rate * seconds)

        made = {}
        for turn in range(rounds):
            for server in (ours, one, rclone, *others, bare, moto):
                replay("get", server, [Request(server, "GET", "/bench/small")])
            for server in (ours, one, rclone, *others):
                get, head = (Request(server, method, "/bench/small") for method in ("GET", "HEAD"))
                replay("get 404", server, [Request(server, "GET", "/bench/none")])
                rows["get, one connection"].add(server.name, crowd(server, get, seconds, connections=1))
                rows["get, epoll client"].add(server.name, crowd(server, get, seconds))
                rows["head, epoll client"].add(server.name, crowd(server, head, seconds))
            for server in (ours, one, rclone, *others):
                puts = [Request(server, "PUT", f"/bench/r{turn}-{n}", size=4096) for n in range(_PUTS * seconds)]
                made[turn, server] = replay("put distinct", server, puts)
            replay("get presigned", ours, [Request(ours, "GET", "/bench/small", presigned=True)])
        for turn in range(rounds):
            rows["put distinct"].add("16 threads, raw files", raw_files(f"{folder}/raw{turn}", seconds))
        for turn in range(rounds):  # last: ext4 is slow to make files for seconds after many were removed
            there = min(made[turn, ours], _PUTS * seconds)
            deletes = [Request(ours, "DELETE", f"/bench/r{turn}-{n}") for n in range(there)]
            if replay("delete", ours, deletes, seconds=max(seconds // 2, 1)) > there:
                print("some of what was deleted was not there any more: measure it for a shorter time", flush=True)
    return [*rows.values(), *costs.values()]


def raw_files(folder, seconds):
    """Create, write and flush 4 KiB files on 16 threads: the limit of durable PUTs. Returns files a second."""
    Path(folder).mkdir(exist_ok=True)
    deadline, counts = time.monotonic() + seconds, [0] * 16

    def work(number):
        while time.monotonic() < deadline:
            path = f"{folder}/{number}-{counts[number]}"
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
            os.write(descriptor, bytes(4096))
            os.fsync(descriptor)
            os.close(descriptor)
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def listings(rounds, seconds, folder):
    """A page from the middle of a bucket. Our store and rclone's are filled behind the servers' backs, to save time."""
    row = Row(f"page of 1,000 keys among {LISTED:,}, one connection", "pages/s")
    names = [f"k{number:06}" for number in range(LISTED)]
    filling.make(f"{folder}/list-s3ish", {"bench": names})
    files = Path(folder, "list-rclone", "bench")
    files.mkdir(parents=True)
    for name in names:
        (files / name).write_bytes(bytes(1))
    with (
        Server("s3ish", f"{folder}/list-s3ish") as ours,
        Server("rclone serve s3", f"{folder}/list-rclone") as rclone,
        peers() as others,
    ):
        for peer in others:
            put_all(peer, names)
        for _ in range(rounds):
            for server in (ours, rclone, *others):
                page = Request(server, "GET", "/bench", query=f"list-type=2&start-after=k{LISTED // 2:06}")
                row.add(server.name, Client(server).rate(page, seconds))
    return [row]


def put_all(server, names):
    """Store an object of one byte under each name, by 16 clients at once."""

    def work(number):
        client = Client(server)
        for name in names[number::16]:
            client.timed(Request(server, "PUT", f"/bench/{name}", body=bytes(1)))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
