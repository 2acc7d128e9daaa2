"""What many bytes cost: single streams, operations that should not cost them, and the erasure code alone."""

import asyncio
import hashlib
import os
import subprocess
import tempfile
import threading
import time

from compat.bench import filling
from compat.bench.load import Client, Stream, zeros
from compat.bench.peers import peers
from compat.bench.rows import Row, timed
from compat.bench.servers import Server, prepare
from s3ish.blob.erasure.coder import coder

MIB = 1 << 20
PART_BYTES = 5 * MIB
PARTS = 1_000
_STRIPES = 400


def streams(rounds, folder):
    """256 MiB in one stream, and what bounds it."""
    put_memory, put_disk = Row("PUT 256 MiB, on tmpfs", "MiB/s"), Row("PUT 256 MiB, on disk", "MiB/s")
    get, four = Row("GET 256 MiB", "MiB/s"), Row("GET 256 MiB, four at once", "MiB/s")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        source = zeros(memory, 256 * MIB)
        with (
            Server("s3ish", f"{folder}/stream") as disk,
            Server("s3ish", f"{memory}/stream") as ours,
            Server("rclone serve s3", f"{folder}/stream-rclone") as rclone,
            Server("bare uvicorn", folder) as bare,
            peers() as others,
        ):
            for server in (disk, ours, rclone):
                prepare(server)
            for _ in range(rounds):
                put_memory.add("s3ish", 256 / Stream(ours).put("/bench/large", source, 256 * MIB))
                put_memory.add("MD5 of one core", md5_rate() / MIB)
                put_disk.add("s3ish", 256 / Stream(disk).put("/bench/large", source, 256 * MIB))
                for server in (rclone, *others):
                    put_disk.add(server.name, 256 / Stream(server).put("/bench/large", source, 256 * MIB))
                put_disk.add("dd of 1.5 x the bytes", 256 / dd_seconds(folder, 384))
                for server in (disk, rclone, *others, bare):
                    get.add(server.name, 256 / Stream(server).get("/bench/large"))
                    four.add(server.name, 4 * 256 / at_once([Stream(server) for _ in range(4)]))
    return [put_memory, put_disk, get, four]


def at_once(streams):
    """GET the large object on several connections at once; return the seconds until all have it."""
    threads = [threading.Thread(target=stream.get, args=("/bench/large",)) for stream in streams]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


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
    """Operations that must not cost the bytes they are about, beside a metadata write.

    Completion touches nothing but rows, so the parts that are completed have no bytes: 1,000 of them are 5 GiB.
    """
    write = Row("versioning set (a metadata write)", "ms")
    complete = Row(f"CompleteMultipartUpload of {PARTS:,} parts of 5 MiB", "ms")
    copies = {"whole": Row("CopyObject of 1 GiB", "ms"), "parts": Row("CopyObject of 1 GiB in 205 parts", "ms")}
    again = Row("the latter over another, which is removed", "ms")
    filling.make(f"{folder}/meta", {"bench": ["one"], "other": []})
    uploads = [
        asyncio.run(filling.upload(f"{folder}/meta", "bench", f"many{turn}", PARTS, PART_BYTES))
        for turn in range(rounds)
    ]
    with Server("s3ish", f"{folder}/meta") as ours:
        s3, client = ours.boto3(), Client(ours)
        source = zeros(folder, 1024 * MIB)
        Stream(ours).put("/bench/whole", source, 1024 * MIB)
        upload_in_parts(s3, Stream(ours), "parts", source, 1024 * MIB)
        for turn in range(rounds):
            complete.add("s3ish", client.timed(filling.completion(ours, "bench", f"many{turn}", PARTS, uploads[turn])))
            for name, row in copies.items():
                row.add("s3ish", timed(lambda name=name, turn=turn: copy(s3, name, f"{name}{turn}")))
            again.add("s3ish", timed(lambda turn=turn: copy(s3, "parts", f"parts{turn}")))
            state = {"Status": ("Enabled", "Suspended")[turn % 2]}
            write.add(
                "s3ish",
                timed(lambda state=state: s3.put_bucket_versioning(Bucket="other", VersioningConfiguration=state)),
            )
    return [write, complete, *copies.values(), again]


def copy(s3, source, target):
    s3.copy_object(Bucket="bench", Key=target, CopySource=f"bench/{source}")


def upload_in_parts(s3, stream, key, source, size, part_bytes=PART_BYTES):
    """Put a file of zeros as a multipart object, one part after another."""
    upload_id = s3.create_multipart_upload(Bucket="bench", Key=key)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, size, part_bytes), 1):
        length = min(part_bytes, size - start)
        stream.put(f"/bench/{key}", source, length, query=f"partNumber={number}&uploadId={upload_id}")
        parts.append({"PartNumber": number, "ETag": hashlib.md5(bytes(length)).hexdigest()})
    s3.complete_multipart_upload(Bucket="bench", Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})


def coding(rounds):
    """The erasure code alone, on stripes of 1 MiB, beside copying them; decoding has lost as many shards as it may."""
    stripe, target = os.urandom(MIB), bytearray(MIB)
    rows = []
    for k, m in ((2, 1), (4, 2), (8, 4)):
        one = coder("rs-cauchy-11d", k, m)
        shards = one.encode(stripe)
        left = {number: shards[number] for number in range(m, k + m)}
        works = {
            f"encoding {k} + {m}": lambda one=one: one.encode(stripe),
            f"decoding {k} + {m}, {m} lost": lambda one=one, left=left, m=m: one.rebuild(left, range(m)),
        }
        for name, work in works.items():
            row = Row(name, "MiB/s")
            for _ in range(rounds):
                row.add("s3ish", _rate(work))
                row.add("memcpy of the same bytes", _rate(lambda: memoryview(target).__setitem__(slice(None), stripe)))
            rows.append(row)
    return rows


def _rate(work):
    """Return how many MiB a second it makes of one stripe after another."""

    def several():
        for _ in range(_STRIPES):
            work()

    return _STRIPES / (timed(several) / 1000)
