"""Power cuts: a file system of its own is shut down under load, and every acknowledged effect must be there afterwards.

``python -m tests.torture.powercut --rounds 20 --fs xfs`` as root. A loop device carries ext4 or XFS;
``FS_IOC_SHUTDOWN`` without a log flush drops what the file system has not made durable, as a cut of the power does.
Then the server is killed, the file system mounted again, the server started, and every key compared with what the
clients were told.
"""

import argparse
import fcntl
import hashlib
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

FS_IOC_SHUTDOWN = 0x8004587D
"""XFS had it first, as XFS_IOC_GOINGDOWN; ext4 took number and flags over."""
NO_LOG_FLUSH = 2
OPTIONS = {"ext4": "noauto_da_alloc", "xfs": "defaults"}
"""What to mount with: ext4 is not to flush the data of a file that replaces another on its own account."""
IMAGE_BYTES = 512 << 20
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where flushing costs nothing; the usual place for temporary files where there is no such."""
SIZES = (0, 100, 5000, 40_000, 1_500_000)
PART = 5 << 20
WRITERS = 8


def can_run(kind="ext4"):
    """Return why power cuts cannot be made here on a kind of file system, empty if they can."""
    if os.geteuid() != 0:
        return "needs root for a loop device"
    for tool in ("losetup", f"mkfs.{kind}", "mount"):
        if not shutil.which(tool):
            return f"needs {tool}"
    if not re.search(rf"\t{kind}$", Path("/proc/filesystems").read_text(), re.MULTILINE):
        return f"the kernel has no {kind}"
    with tempfile.NamedTemporaryFile() as probe:
        probe.truncate(1 << 20)
        found = subprocess.run(["losetup", "-f", "--show", probe.name], capture_output=True, text=True, check=False)
        if found.returncode:
            return f"no loop device: {found.stderr.strip()}"
        subprocess.run(["losetup", "-d", found.stdout.strip()], check=False)
    return ""


class Disk:
    """A file system in a file; the context unmounts it and removes everything.

    Args:
        kind: one of OPTIONS.
        size: in bytes.
        place: the directory for the file.
    """

    def __init__(self, kind="ext4", size=IMAGE_BYTES, place=None):
        self.kind, self.size, self.place = kind, size, place

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="powercut-", dir=self.place))
        image = self.folder / "image"
        with image.open("wb") as file:
            file.truncate(self.size)
        attached = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True, check=True)
        self.device, self.root = attached.stdout.strip(), self.folder / "mnt"
        self.root.mkdir()
        subprocess.run([f"mkfs.{self.kind}", "-q", self.device], check=True)
        self.mount()
        return self

    def mount(self):
        subprocess.run(["mount", "-t", self.kind, "-o", OPTIONS[self.kind], self.device, self.root], check=True)

    def cut(self):
        """Let the file system forget what is not durable; nothing can be written from now on."""
        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self):
        deadline = time.monotonic() + 10
        while subprocess.run(["umount", self.root], capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, "the file system stays busy"
            time.sleep(0.05)

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.root], capture_output=True, check=False)
        subprocess.run(["losetup", "-d", self.device], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    """s3ish on some directories, durable.

    Args:
        roots, workers: what to serve, and how many processes serve it.
        errors: where its log goes.
        variables: further settings in the environment.
    """

    def __init__(self, roots, workers, errors=subprocess.DEVNULL, **variables):
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("S3ISH", "AWS", "MINIO"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "s3ish", "serve", *map(str, roots), "--port", "0", "--workers", str(workers)],
            env=plain | {"S3ISH_LOG_LEVEL": "error"} | variables,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        text = ""
        for line in self.process.stdout:
            text += line
            if " aws " in line:
                break
        self.endpoint = re.search(r"endpoint\s+(\S+)", text)[1]

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()

    def client(self):
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="s3ishadmin",
            aws_secret_access_key="s3ishadmin",
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=15, max_pool_connections=1),
        )


class Ledger:
    """What the clients were told of each key: the last acknowledged state, and what may have happened after it.

    A state is a digest, or None for a key that is not there. Each key has one writer, so its history is a line. In the
    ``dark``, from the moment that the cut begins, no answer reaches a client any more: what arrives then may have
    happened or not. (A flush that runs into the shutdown can return success: the kernel's journal takes a transaction
    that was aborted for one that is complete.)
    """

    def __init__(self):
        self.sure = {}
        self.maybe = {}
        self.history = {}
        self.acknowledged = 0
        self.dark = False

    def attempt(self, key, state, how):
        self.maybe.setdefault(key, []).append(state)
        self.history.setdefault(key, []).append(f"{how} {str(state)[:8]}")

    def acknowledge(self, key, state):
        if self.dark:
            return
        self.sure[key], self.maybe[key] = state, []
        self.history[key].append("done")
        self.acknowledged += 1

    def allowed(self, key):
        return [self.sure.get(key), *self.maybe.get(key, [])]


def write_until(stop, server, ledger, number, seed):
    """Be one client: write this writer's own keys until the power goes."""
    choose, s3 = random.Random(f"{seed}/{number}"), server.client()
    while not stop.is_set():
        key = f"w{number}/k{choose.randrange(12)}"
        try:
            choose.choice((put, put, put, remove, copy, multipart))(s3, ledger, key, choose)
        except (ClientError, BotoCoreError, OSError, KeyError):  # KeyError: an answer that was cut off
            if stop.is_set():
                return


def put(s3, ledger, key, choose):
    data = choose.randbytes(choose.choice(SIZES))
    state = hashlib.sha256(data).hexdigest()
    ledger.attempt(key, state, "put")
    s3.put_object(Bucket="bucket", Key=key, Body=data)
    ledger.acknowledge(key, state)


def remove(s3, ledger, key, _choose):
    ledger.attempt(key, None, "remove")
    s3.delete_object(Bucket="bucket", Key=key)
    ledger.acknowledge(key, None)


def copy(s3, ledger, key, choose):
    writer = key.split("/")[0]
    source = f"{writer}/k{choose.randrange(12)}"
    if source == key or ledger.sure.get(source) is None or ledger.maybe.get(source):
        return
    ledger.attempt(key, ledger.sure[source], "copy")
    s3.copy_object(Bucket="bucket", Key=key, CopySource={"Bucket": "bucket", "Key": source})
    ledger.acknowledge(key, ledger.sure[source])


def multipart(s3, ledger, key, choose):
    parts = [choose.randbytes(1) * PART, choose.randbytes(1000)]
    upload = s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
    told = []
    for number, data in enumerate(parts, 1):
        etag = s3.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=number, Body=data)["ETag"]
        told.append({"PartNumber": number, "ETag": etag})
    state = hashlib.sha256(b"".join(parts)).hexdigest()
    ledger.attempt(key, state, "multipart")
    s3.complete_multipart_upload(Bucket="bucket", Key=key, UploadId=upload, MultipartUpload={"Parts": told})
    ledger.acknowledge(key, state)


def found(s3, key):
    try:
        return hashlib.sha256(s3.get_object(Bucket="bucket", Key=key)["Body"].read()).hexdigest()
    except ClientError as error:
        return None if error.response["Error"]["Code"] == "NoSuchKey" else str(error)
    except BotoCoreError as error:
        return str(error)


def verify(server, ledger):
    """Compare every key with what was told; from now on its state is known. Returns what was lost."""
    s3, wrong = server.client(), []
    listed = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bucket"):
        listed |= {item["Key"]: item["Size"] for item in page.get("Contents", [])}
    for key in sorted({*ledger.sure, *ledger.maybe, *listed}):
        state = found(s3, key)
        if state not in ledger.allowed(key):
            wrong.append(f"{key}: found {state}, told {ledger.allowed(key)}; {ledger.history.get(key)}")
        if (state is None) != (key not in listed):
            wrong.append(f"{key}: the listing does not agree with the object")
        ledger.sure[key], ledger.maybe[key] = state, []
    return wrong


def run(rounds, seed, *, kind="ext4", volumes=1, workers=1, seconds=(0.3, 1.5), lose_index=False):
    """Cut the power ``rounds`` times; return the number of acknowledged writes and the list of what was lost."""
    choose, ledger, lost = random.Random(seed), Ledger(), []
    with Disk(kind) as disk, ExitStack() as stack:
        roots = [disk.root / f"volume{number}" for number in range(volumes)]
        server = Server(roots, workers)
        stack.callback(lambda: server.kill())
        server.client().create_bucket(Bucket="bucket")
        for number in range(rounds):
            stop = threading.Event()
            writers = [
                threading.Thread(target=write_until, args=(stop, server, ledger, n, f"{seed}/{number}"))
                for n in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            time.sleep(choose.uniform(*seconds))
            ledger.dark = True
            disk.cut()
            stop.set()
            server.kill()
            for writer in writers:
                writer.join()
            disk.unmount()
            disk.mount()
            if lose_index:
                for file in (roots[0] / ".s3ish").glob("index.db*"):
                    file.unlink()
            server = Server(roots, workers)
            lost += [f"round {number}: {line}" for line in verify(server, ledger)]
            ledger.dark = False
    return ledger.acknowledged, lost


def begin_unless(reason):
    """Let a run of the shell begin, which a signal ends with its servers and data, or end it for a reason."""
    if reason:
        print(f"skipped: {reason}")
        sys.exit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--fs", choices=OPTIONS, default="ext4")
    parser.add_argument("--volumes", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    begin_unless(can_run(chosen.fs))
    started = time.monotonic()
    acknowledged, lost = run(chosen.rounds, chosen.seed, kind=chosen.fs, volumes=chosen.volumes, workers=chosen.workers)
    print(
        f"{chosen.rounds} power cuts on {chosen.fs}, seed {chosen.seed}, "
        f"{chosen.volumes} volumes, {chosen.workers} workers: {acknowledged} "
        f"acknowledged writes, {len(lost)} lost, {time.monotonic() - started:.0f} s"
    )
    print("\n".join(lost))
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
