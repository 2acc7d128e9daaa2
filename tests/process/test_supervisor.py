"""What a worker does that cannot go on. What the supervisor does then is shown by tests/process/test_moving.py."""

import os
import signal
import socket
import threading
from types import SimpleNamespace

from s3ish.process import supervisor


def test_a_worker_that_leaves_tells_its_parent_and_hangs_up(monkeypatch):
    told, parent = threading.Event(), os.getppid()
    monkeypatch.setattr(supervisor.os, "kill", lambda *asked: told.set() if asked == (parent, signal.SIGUSR1) else None)
    monkeypatch.setattr(supervisor.multiprocessing, "parent_process", lambda: SimpleNamespace(pid=parent))
    monkeypatch.setattr(supervisor, "_KILL_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as peer:
        monkeypatch.setattr(supervisor.os, "listdir", lambda _: [str(found) for found in descriptors])
        accepted, _ = listening.accept()
        pipe = os.pipe()
        with accepted, open(os.devnull) as plain:
            descriptors = [listening.fileno(), accepted.fileno(), *pipe, plain.fileno(), 999_999]
            supervisor.leave()
            assert told.is_set()
            assert peer.recv(1) == b""
        again = socket.create_connection(listening.getsockname())  # it listens still
        again.close()
        for end in pipe:
            os.close(end)
