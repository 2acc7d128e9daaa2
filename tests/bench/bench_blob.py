"""What the blob layer can do on this machine: ``python tests/bench/bench_blob.py [DIRECTORY]``.

Prints medians of several rounds with their spread, each beside the limit that the same machine sets in the same run.
Figures are stated, never asserted.
"""

import asyncio
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from s3ish.blob.erasure.core import BlobSettings
from s3ish.blob.erasure.store import ErasureStore
from s3ish.blob.volumes.open_set import open_volumes
from s3ish.clock import Clock
from s3ish.threads import ThreadPool

MIB = 1 << 20
ROUNDS = 5


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def show(name, values, unit, note=""):
    middle = statistics.median(values)
    print(f"{name:46} {middle:10.2f} {unit:6} ({min(values):.2f} to {max(values):.2f})  {note}")
    return middle


def open_store(folder, count, settings, *, fsync=True):
    roots = [os.path.join(folder, f"volume{number}") for number in range(count)]
    volumes = open_volumes(roots, clock=Clock(), fsync=fsync)
    return ErasureStore(volumes, settings, clock=Clock(), offload=ThreadPool())


async def write_blob(store, home, pieces, *, digest=False):
    md5 = hashlib.md5()
    async with store.create(home, None) as writer:
        for piece in pieces:
            if digest:
                writing = asyncio.ensure_future(writer.write(piece))
                await store.core.offload.run(md5.update, piece)
                await writing
            else:
                await writer.write(piece)
        ref = await writer.finish()
        await writer.seal(b'{"key":"k"}')
    return ref


async def read_blob(store, ref):
    reader = await store.open(ref)
    size = 0
    async for piece in reader:
        size += len(piece)
    await reader.close()
    assert size == ref.size


async def bench_small(folder, count, settings, label, *, fsync=True, size=4096):
    store = open_store(folder, count, settings, fsync=fsync)
    data, number, workers = os.urandom(size), 2000, 32

    async def work(name):
        for turn in range(number // workers):
            await write_blob(store, f"bucket/{name}/{turn}", [data])

    rates = []
    for turn in range(3):
        start = time.perf_counter()
        await asyncio.gather(*(work(f"{turn}-{worker}") for worker in range(workers)))
        rates.append(number / (time.perf_counter() - start))
    show(label, rates, "/s")
    await store.close()
    store.core.offload.close()


async def bench_large(folder, count, settings, label, *, fsync=True, digest=False, size=256 * MIB):
    store = open_store(folder, count, settings, fsync=fsync)
    piece = os.urandom(MIB)
    writes, reads, several = [], [], []
    for turn in range(3):
        start = time.perf_counter()
        ref = await write_blob(store, f"bucket/large{turn}", (piece for _ in range(size // MIB)), digest=digest)
        writes.append(size / MIB / (time.perf_counter() - start))
        start = time.perf_counter()
        await read_blob(store, ref)
        reads.append(size / MIB / (time.perf_counter() - start))
        start = time.perf_counter()
        await asyncio.gather(*(read_blob(store, ref) for _ in range(4)))
        several.append(4 * size / MIB / (time.perf_counter() - start))
        await store.delete(ref)
    written = show(f"{label}: write", writes, "MiB/s")
    show(f"{label}: read", reads, "MiB/s")
    show(f"{label}: read, 4 at once", several, "MiB/s")
    await store.close()
    store.core.offload.close()
    return written


def bench_dd(folder, count_mib):
    path = os.path.join(folder, "dd")
    command = ["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={count_mib}", "conv=fdatasync"]

    def run():
        subprocess.run(command, check=True, capture_output=True)

    times = [timed(run) for _ in range(3)]
    os.unlink(path)
    return times


def bench_fsync(folder):
    """Create, write and fsync 4 KiB files on 16 threads."""
    from concurrent.futures import ThreadPoolExecutor

    data = os.urandom(4096)

    def one(number):
        descriptor = os.open(os.path.join(folder, f"raw{number}"), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, data)
        os.fsync(descriptor)
        os.close(descriptor)

    with ThreadPoolExecutor(16) as pool:
        return [
            1000 / timed(lambda turn=turn: list(pool.map(one, range(turn * 1000, turn * 1000 + 1000))))
            for turn in range(3)
        ]


def main():
    folder = tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else None)
    memory = tempfile.mkdtemp(dir="/dev/shm") if os.path.isdir("/dev/shm") else None
    default, plain = BlobSettings(), BlobSettings(k=1, m=0)
    run = asyncio.run
    try:
        data = os.urandom(64 * MIB)
        md5 = show("MD5 of one core", [64 / timed(lambda: hashlib.md5(data)) for _ in range(ROUNDS)], "MiB/s")
        if memory:
            rate = run(bench_large(f"{memory}/a", 1, default, "tmpfs, 256 MiB, 2+1 on 1, with MD5", digest=True))
            print(f"{'':46} {rate / md5:10.2f} of MD5 (S5)")
            run(bench_large(f"{memory}/b", 1, default, "tmpfs, 256 MiB, 2+1 on 1"))
        dd = bench_dd(folder, 384)
        show("dd conv=fdatasync of 384 MiB", [384 / value for value in dd], "MiB/s")
        for count, settings, label in ((1, default, "2+1 on 1"), (3, default, "2+1 on 3"), (1, plain, "1+0 on 1")):
            rate = run(bench_large(f"{folder}/{label}", count, settings, f"disk, 256 MiB, {label}"))
            print(f"{'':46} {rate * statistics.median(dd) / 256:10.2f} of dd (S6)")
        show("raw create, write, fsync of 4 KiB, 16 threads", bench_fsync(folder), "/s")
        run(bench_small(f"{folder}/s1", 1, default, "disk, 4 KiB inline, 2+1 on 1 (lazy)"))
        run(bench_small(f"{folder}/s3", 3, default, "disk, 4 KiB inline, 2+1 on 3"))
        run(bench_small(f"{folder}/s1l", 1, default, "disk, 64 KiB sharded, 2+1 on 1", size=65536))
        run(bench_small(f"{folder}/s3l", 3, default, "disk, 64 KiB sharded, 2+1 on 3", size=65536))
        run(bench_small(f"{folder}/n", 1, default, "disk, 4 KiB inline, fsync off", fsync=False))
    finally:
        shutil.rmtree(folder)
        if memory:
            shutil.rmtree(memory)


if __name__ == "__main__":
    main()
