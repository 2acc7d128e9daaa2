"""A service manager is notified when the server is ready, by the process that it has started."""

import socket
import struct
import urllib.request

import pytest

from tests.waiting import WAIT_SECONDS


@pytest.fixture
def manager(tmp_path):
    """The socket of a service manager, which is given the id of the process that sends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        listening.settimeout(WAIT_SECONDS)
        listening.bind(str(tmp_path / "notify"))
        yield listening


@pytest.mark.parametrize("arguments", [("--workers", "1"), ("--workers", "2"), ("--test",)])
def test_ready_is_sent_once_by_the_main_process(manager, start_server, tmp_path, arguments):
    server = start_server(tmp_path / "data", *arguments, NOTIFY_SOCKET=manager.getsockname())
    message, extra, _, _ = manager.recvmsg(100, socket.CMSG_SPACE(struct.calcsize("3i")))
    ((_, _, credentials),) = extra
    assert message == b"READY=1"
    assert struct.unpack("3i", credentials)[0] == server.process.pid
    with urllib.request.urlopen(f"{server.endpoint}/-/ready", timeout=WAIT_SECONDS) as answer:
        assert answer.status == 200
    server.stop()
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(100)


def test_a_name_of_linux_is_no_file(start_server, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(WAIT_SECONDS)
        listening.bind(f"\0{tmp_path}")
        start_server(tmp_path / "data", NOTIFY_SOCKET=f"@{tmp_path}")
        assert listening.recv(100) == b"READY=1"


def test_a_server_serves_without_a_manager_that_answers(start_server, tmp_path):
    server = start_server(tmp_path / "data", NOTIFY_SOCKET=str(tmp_path / "gone"))
    with urllib.request.urlopen(f"{server.endpoint}/-/ready", timeout=WAIT_SECONDS) as answer:
        assert answer.status == 200
    code, logged = server.stop()
    assert code == 0
    assert "the service manager cannot be notified" in logged
