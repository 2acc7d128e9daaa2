"""Servers of others that events are sent to, started and stopped by tests."""

import asyncio
import getpass
import glob
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from s3ish.targets.protocol import Message, Undelivered


def free_port():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


def needs(program):
    """Skip a test, with the reason, where the server is not installed."""
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


def messages(*numbers, order="b/k"):
    return [Message(f"{number:026x}", order, b'{"number":%d}' % number) for number in numbers]


async def to_be_taken(target, *sent):
    """Send until the target, which begins, takes it."""
    for _ in range(200):
        try:
            return await target.send(sent)
        except Undelivered:
            await asyncio.sleep(0.05)
    raise AssertionError("it never was")


class Broker:
    """A server on a port, which can be stopped and started again."""

    def __init__(self, *command, environment=None, user=None):
        self.command, self.process = [str(word) for word in command], None
        self.environment, self.user = environment, user

    def start(self, port):
        log = subprocess.DEVNULL
        self.process = subprocess.Popen(
            self.command, stdout=log, stderr=log, stdin=log, env=self.environment, user=self.user
        )
        end = time.monotonic() + 120
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            assert time.monotonic() < end, self.command
            assert self.process.poll() is None, self.command
            time.sleep(0.02)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class PostgreSQL(Broker):
    """A database cluster below a folder, with the superuser ``s3`` and the password ``p:w``.

    Args:
        folder: empty, and not below one that root alone may enter.
        tls: the files of a certificate; None for a server without.
    """

    def __init__(self, folder, tls=None):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not found:
            pytest.skip("postgresql is not installed")
        self.port, self.bin, data = free_port(), Path(found[-1]).parent, folder / "data"
        user = "postgres" if os.geteuid() == 0 else getpass.getuser()  # it refuses root
        (folder / "password").write_text("p:w")
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, user)
        own = {"env": {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}, "cwd": "/", "user": user if os.geteuid() == 0 else None}
        asked = [self.bin / "initdb", "-D", data, "-U", "s3", "--pwfile", folder / "password", "-A", "scram-sha-256"]
        subprocess.run([*asked, "-E", "UTF8", "--no-sync"], **own, check=True, capture_output=True)
        told = ["-D", data, "-p", self.port, "-h", "127.0.0.1", "-k", folder]
        if tls:
            for name in ("certificate", "key"):
                copied = shutil.copy(getattr(tls, name), folder / name)
                shutil.chown(copied, user)
                Path(copied).chmod(0o600)
            settings = {"ssl": "on", "ssl_cert_file": folder / "certificate", "ssl_key_file": folder / "key"}
            told += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            (data / "pg_hba.conf").write_text("hostssl all all all scram-sha-256\n")
        super().__init__(self.bin / "postgres", *told, environment=own["env"], user=own["user"])

    def begin(self):
        """Start it; it takes connections when this returns."""
        self.start(self.port)
        asked = [str(self.bin / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        end = time.monotonic() + 120
        while subprocess.run(asked, capture_output=True, check=False).returncode:
            assert time.monotonic() < end
            time.sleep(0.05)


class RabbitMQ(Broker):
    """RabbitMQ below a folder, with the user ``guest`` and the virtual host ``/``.

    Args:
        folder: empty.
        tls: the files of a certificate, with which it takes TLS alone; None for a server without.
    """

    def __init__(self, folder, tls=None):
        needs("rabbitmq-server")
        (program,) = glob.glob("/usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server")
        self.port, self.names, self._folder = free_port(), free_port(), folder
        lines = ["loopback_users.guest = true", "distribution.listener.interface = 127.0.0.1\nlog.console = false"]
        if tls:
            lines += ["listeners.tcp = none", f"listeners.ssl.1 = 127.0.0.1:{self.port}"]
            lines += [f"ssl_options.certfile = {tls.certificate}", f"ssl_options.keyfile = {tls.key}"]
            lines += [f"ssl_options.cacertfile = {tls.authority}", "ssl_options.verify = verify_none"]
        else:
            lines += [f"listeners.tcp.1 = 127.0.0.1:{self.port}"]
        (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        own = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "ERL_EPMD_PORT": self.names,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"s3ish-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_MNESIA_BASE": folder / "data",
            "RABBITMQ_LOG_BASE": folder / "log",
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_PID_FILE": folder / "pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        super().__init__(program, environment={name: str(value) for name, value in own.items()})

    def begin(self):
        """Start it; it takes connections when this returns."""
        self.start(self.port)

    def stop(self):
        """Kill it, the program that a script may stand around, and the one that knows its name."""
        super().stop()
        pid = self._folder / "pid"
        if pid.exists():
            subprocess.run(["kill", "-9", pid.read_text().strip()], check=False, capture_output=True)
            pid.unlink()
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)):
                    break
            time.sleep(0.05)
        asked = ["epmd", "-port", str(self.names), "-kill"]
        for _ in range(100):  # it refuses as long as it knows a node
            subprocess.run(asked, check=False, capture_output=True)
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.names)):
                    break
            time.sleep(0.05)
