"""``make bench``: s3ish beside its limits and its peers, on this machine, in one run.

Every row is measured in interleaved rounds; the table shows medians with their spread and the ratios that the goals
are stated in. Writes ``docs/performance.md`` between two marks; what stands outside them is written by people.
"""

import argparse
import datetime
import hashlib
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import boto3
from botocore.config import Config

from compat.bench import filling, scale
from compat.bench.load import Client, Request, download, serial, upload, wrk, zeros
from compat.bench.pages import put_between_marks
from compat.bench.servers import ACCESS_KEY, REGION, SECRET_KEY, Server

PAGE = Path(__file__).parent.parent.parent / "docs" / "performance.md"
MIB = 1 << 20
LISTED = 100_000


class Row:
    """Figures of one thing for several servers, in one unit."""

    def __init__(self, name, unit):
        self.name, self.unit, self.figures = name, unit, {}

    def add(self, who, value):
        self.figures.setdefault(who, []).append(value)

    def median(self, who):
        return statistics.median(self.figures[who])

    def text(self, who):
        values = self.figures[who]
        digits = 2 if statistics.median(values) < 10 else 0
        return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def client(server):
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name=REGION,
        config=Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"}),
    )


def prepare(server):
    s3 = client(server)
    s3.create_bucket(Bucket="bench")
    s3.put_object(Bucket="bench", Key="small", Body=bytes(4096))
    return s3


def small_requests(rounds, seconds, folder):
    """4 KiB GET, PUT, HEAD, DELETE, presigned GET and 404."""
    names = ("get", "get presigned", "get 404", "get, one connection", "head, one connection", "put distinct", "delete")
    rows = {name: Row(f"4 KiB {name}", "requests/s") for name in names}
    with (
        Server("s3ish", f"{folder}/small-s3ish") as ours,
        Server("rclone serve s3", f"{folder}/small-rclone") as rclone,
        Server("bare uvicorn", folder) as bare,
        Server("moto_server", folder) as moto,
    ):
        for server in (ours, rclone, moto):
            prepare(server)
        for turn in range(rounds):
            for server in (ours, rclone, bare, moto):
                get = Request(server, "GET", "/bench/small")
                rows["get"].add(server.name, wrk(server, [get], seconds)[0])
            for server in (ours, rclone):
                missing = [Request(server, "GET", "/bench/none")]
                rows["get 404"].add(server.name, wrk(server, missing, seconds)[0])
                for method in ("GET", "HEAD"):
                    one = Request(server, method, "/bench/small")
                    rows[f"{method.lower()}, one connection"].add(server.name, serial(server, one, seconds))
                puts = [Request(server, "PUT", f"/bench/r{turn}-{n}", size=4096) for n in range(3000 * seconds)]
                rows["put distinct"].add(server.name, wrk(server, puts, seconds)[0])
            presigned = [Request(ours, "GET", "/bench/small", presigned=True)]
            rows["get presigned"].add(ours.name, wrk(ours, presigned, seconds)[0])
        for turn in range(rounds):
            rows["put distinct"].add("16 threads, raw files", raw_files(f"{folder}/raw{turn}", seconds))
        for turn in range(rounds):  # last: ext4 is slow to make files for seconds after many were removed
            deletes = [Request(ours, "DELETE", f"/bench/r{turn}-{n}") for n in range(2000 * seconds)]
            rows["delete"].add(ours.name, wrk(ours, deletes, seconds)[0])
    return list(rows.values())


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
    """A page from the middle of a bucket. Both stores are filled behind the servers' backs, to save an hour."""
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
    ):
        for _ in range(rounds):
            for server in (ours, rclone):
                page = Request(server, "GET", "/bench", query=f"list-type=2&start-after=k{LISTED // 2:06}")
                row.add(server.name, Client(server).rate(page, seconds))
    return [row]


def streams(rounds, folder):
    """256 MiB in one stream, and what bounds it."""
    put_memory, put_disk = Row("PUT 256 MiB, on tmpfs", "MiB/s"), Row("PUT 256 MiB, on disk", "MiB/s")
    get = Row("GET 256 MiB", "MiB/s")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        source = zeros(memory, 256 * MIB)
        with (
            Server("s3ish", f"{folder}/stream") as disk,
            Server("s3ish", f"{memory}/stream") as ours,
            Server("rclone serve s3", f"{folder}/stream-rclone") as rclone,
            Server("bare uvicorn", folder) as bare,
        ):
            for server in (disk, ours, rclone):
                prepare(server)
            for _ in range(rounds):
                put_memory.add("s3ish", upload(ours, "/bench/large", source) / MIB)
                put_memory.add("MD5 of one core", md5_rate() / MIB)
                put_disk.add("s3ish", upload(disk, "/bench/large", source) / MIB)
                put_disk.add("rclone serve s3", upload(rclone, "/bench/large", source) / MIB)
                put_disk.add("dd of 1.5 x the bytes", 256 / dd_seconds(folder, 384))
                for server in (disk, rclone, bare):
                    get.add(server.name, download(server, "/bench/large") / MIB)
    return [put_memory, put_disk, get]


def md5_rate():
    data, started = bytes(64 * MIB), time.perf_counter()
    hashlib.md5(data).digest()
    return len(data) / (time.perf_counter() - started)


def dd_seconds(folder, mebibytes):
    target, started = f"{folder}/dd", time.perf_counter()
    command = ["dd", "if=/dev/zero", f"of={target}", "bs=1M", f"count={mebibytes}", "conv=fdatasync"]
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - started
    os.unlink(target)
    return seconds


def metadata(rounds, folder):
    """Operations that must not cost the bytes they are about, beside a metadata write."""
    write, copy = Row("versioning set (a metadata write)", "ms"), Row("CopyObject of 1 GiB", "ms")
    complete = Row("CompleteMultipartUpload of 200 parts of 5 MiB", "ms")
    again = Row("CopyObject of 1 GiB over another, which is removed", "ms")
    with Server("s3ish", f"{folder}/meta") as ours:
        s3 = prepare(ours)
        for turn in range(rounds):
            upload_id = s3.create_multipart_upload(Bucket="bench", Key=f"parts{turn}")["UploadId"]
            told = []
            for number in range(1, 201):
                chosen = {"Bucket": "bench", "Key": f"parts{turn}", "UploadId": upload_id, "PartNumber": number}
                etag = s3.upload_part(Body=bytes(5 * MIB), **chosen)["ETag"]
                told.append({"PartNumber": number, "ETag": etag})
            parts = {"Parts": told}
            done = {"Bucket": "bench", "Key": f"parts{turn}", "UploadId": upload_id, "MultipartUpload": parts}
            complete.add("s3ish", timed(lambda done=done: s3.complete_multipart_upload(**done)))
            copied = {"Bucket": "bench", "Key": f"copy{turn}", "CopySource": f"bench/parts{turn}"}
            for row in (copy, again):
                row.add("s3ish", timed(lambda copied=copied: s3.copy_object(**copied)))
            status = {"Status": ("Enabled", "Suspended")[turn % 2]}
            state = {"Bucket": "other", "VersioningConfiguration": status}
            if turn == 0:
                s3.create_bucket(Bucket="other")
            write.add("s3ish", timed(lambda state=state: s3.put_bucket_versioning(**state)))
    return [write, complete, copy, again]


def timed(action):
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def starts(rounds, folder):
    start, memory = Row("cold start to the first answer", "ms"), Row("resident memory when idle", "MiB")
    for turn in range(rounds):
        for name in ("s3ish", "moto_server"):
            with Server(name, f"{folder}/start-{turn}-{name}") as server:
                start.add(name, server.start_seconds * 1000)
                memory.add(name, server.memory_mib())
    return [start, memory]


def report(rows, rounds):
    date = datetime.datetime.now(datetime.UTC).date()
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    lines = [
        f"{date}, {machine}, medians of {rounds} interleaved rounds with their spread.",
        "",
        "| what | unit | who | figure | s3ish / it |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        for who in row.figures:
            ratio = (
                "" if who == "s3ish" or "s3ish" not in row.figures else f"{row.median('s3ish') / row.median(who):.2f}"
            )
            lines.append(f"| {row.name} | {row.unit} | {who} | {row.text(who)} | {ratio} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", choices=("small", "list", "streams", "metadata", "start", "scale"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="s3ish-bench-") as folder:
        if chosen.only == "scale":
            scale.run(folder)
            return
        parts = {
            "start": lambda: starts(chosen.rounds, folder),
            "small": lambda: small_requests(chosen.rounds, chosen.seconds, folder),
            "list": lambda: listings(chosen.rounds, chosen.seconds, folder),
            "streams": lambda: streams(chosen.rounds, folder),
            "metadata": lambda: metadata(chosen.rounds, folder),
        }
        rows = []
        for name in [chosen.only] if chosen.only else parts:
            print(f"measuring: {name}", flush=True)
            found = parts[name]()
            print(report(found, chosen.rounds), flush=True)
            rows += found
    text = report(rows, chosen.rounds)
    print(text)
    if not chosen.only:
        put_between_marks(PAGE, text)


main()
