"""A server beside a drive that does not answer, or takes no writes.

The first is a frozen file system, on which whatever writes waits; the other is mounted read-only.
"""

import re
import subprocess
import sys
import time
from contextlib import closing, suppress

import pytest

from tests.torture import drives, hanging
from tests.torture.client import CUT, Client
from tests.torture.drives import LASTING, Host
from tests.torture.powercut import can_run
from tests.waiting import WAIT_SECONDS, wait_until

SIZES = (100, 300_000)
PATIENCE_SECONDS = 2
"""Drives that are well answer within this time on busy machines, too."""
REQUESTS = 22
"""How many requests ``use`` sends."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if reason := can_run():
        pytest.skip(reason)
    return tmp_path_factory.mktemp("hanging")


@pytest.fixture
def host(folder, tmp_path):
    with (tmp_path / "log").open("w+") as errors:
        host = Host(tmp_path, 3, 1, errors, PATIENCE_SECONDS)
        yield host
        host.close()


@pytest.fixture
def client(host):
    client = Client(host.endpoint)
    yield client
    client.close()


def use(client, name):
    """Write, read, list, overwrite and delete, all of which must work; two keys are left."""
    for size in SIZES:
        for step in ("first", "again"):
            body = f"{name} {step} ".encode().ljust(size, b".")
            assert client.request("PUT", f"/things/{name}-{size}", body).ok
            assert client.request("GET", f"/things/{name}-{size}").body == body
        assert client.request("PUT", f"/things/{name}-{size}-gone", body).ok
        assert client.request("DELETE", f"/things/{name}-{size}-gone").ok
        assert client.request("GET", f"/things/{name}-{size}-gone").status == 404
    listing = client.request("GET", f"/things?prefix={name}").body
    assert re.findall(rb"<Key>(.*?)</Key>", listing) == sorted(f"{name}-{size}".encode() for size in SIZES)


def states(host):
    """Return what the command says of each volume."""
    roots = [str(drive.volume) for drive in host.drives]
    answer = subprocess.run(
        [sys.executable, "-m", "s3ish", "volumes", *roots],
        env={"S3ISH_STORAGE_DRIVE_TIMEOUT_SECONDS": str(PATIENCE_SECONDS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_SECONDS,
    )
    return re.findall(r"^ +\d  (.*?)  ", answer.stdout, re.M), answer.returncode


def remount_read_only(root):
    """Wait until no process that was killed holds a file open, then mount a file system anew."""
    command = ["mount", "-o", "remount,ro", root]
    wait_until(lambda: not subprocess.run(command, capture_output=True, check=False).returncode)


def test_requests_go_on_and_what_the_drive_lacks_is_repaired(host, client):  # case 29
    assert client.request("PUT", "/things").ok
    use(client, "before")
    wait_until(lambda: host.in_use == {0, 1, 2})
    host.drives[1].fail("hanging")
    for name in ("meanwhile", "later"):
        begun = time.monotonic()
        use(client, name)
        assert time.monotonic() - begun < REQUESTS * PATIENCE_SECONDS, "at most one of them waits for it"
    wait_until(lambda: host.in_use == {0, 2})
    wait_until(lambda: states(host) == (["ok", "does not answer", "ok"], 1))
    host.drives[1].recover()
    host.settle()
    use(client, "after")
    wait_until(lambda: states(host) == (["ok", "ok", "ok"], 0))
    for name in ("before", "meanwhile", "later"):
        for size in SIZES:
            found = client.request("GET", f"/things/{name}-{size}").body
            assert found == f"{name} again ".encode().ljust(size, b".")


@pytest.mark.parametrize("drive", [0, 2])  # the first has the index
def test_a_server_starts_beside_it(host, client, drive):  # case 29
    assert client.request("PUT", "/things").ok
    use(client, "before")
    host.kill()
    host.drives[drive].fail("hanging")
    host.start()
    with closing(Client(host.endpoint)) as client:
        use(client, "meanwhile")
        for size in SIZES:
            assert client.request("GET", f"/things/before-{size}").body == b"before again ".ljust(size, b".")
        wait_until(lambda: host.in_use == {0, 1, 2} - {drive})
        host.drives[drive].recover()
        host.settle()
        use(client, "after")


def test_a_server_starts_with_a_drive_that_is_read_only(host, client):  # cases 26, 135
    assert client.request("PUT", "/things").ok
    use(client, "before")
    host.kill()
    remount_read_only(host.drives[0].root)
    wait_until(lambda: states(host) == (["takes no writes: Read-only file system", "ok", "ok"], 1))
    host.start()
    with closing(Client(host.endpoint)) as client:
        use(client, "meanwhile")
        assert client.request("GET", f"/things/before-{SIZES[1]}").ok
    host.kill()
    subprocess.run(["mount", "-o", "remount,rw", host.drives[0].root], check=True)
    host.start()
    with closing(Client(host.endpoint)) as client:
        use(client, "after")
    wait_until(lambda: states(host) == (["ok", "ok", "ok"], 0))


def test_no_request_fails_while_a_drive_hangs(folder):  # case 29
    phases, wrong = hanging.run(2, 4)
    assert wrong == []
    assert phases["until it is noticed"][3] >= drives.PATIENCE_SECONDS
    assert all(count for count, *_ in phases.values())


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", ["hanging", *LASTING])
def test_requests_go_on_without_the_drive_of_the_index(folder, tmp_path, how, workers):  # cases 26, 29
    with (tmp_path / "log").open("w+") as errors, closing(Host(tmp_path, 3, workers, errors, PATIENCE_SECONDS)) as host:
        with closing(Client(host.endpoint)) as client:
            assert client.request("PUT", "/things").ok
            use(client, "before")
        host.drives[0].fail(how)
        wait_until(lambda: writes(host))
        with closing(Client(host.endpoint)) as client:
            for size in SIZES:
                found = client.request("GET", f"/things/before-{size}").body
                assert found == b"before again ".ljust(size, b".")
            use(client, "meanwhile")
            if how != "aborted":  # of that one the blobs can still be read
                wait_until(lambda: host.in_use == {1, 2})
            if how == "hanging":
                host.drives[0].recover()
                host.settle()
                use(client, "after")
        host.kill()
        if how in LASTING:
            host.drives[0].recover()
        host.start()
        with closing(Client(host.endpoint)) as client:
            use(client, "again")
            for size in SIZES:
                found = client.request("GET", f"/things/meanwhile-{size}").body
                assert found == b"meanwhile again ".ljust(size, b".")


def writes(host):
    """Whether requests are served, by a connection of their own."""
    with suppress(*CUT), closing(Client(host.endpoint, timeout_seconds=5)) as client:
        return client.request("PUT", "/things/probe", b"").ok
    return False
