"""The image, as far as it can be tried without an engine: what its Dockerfile runs is run as plain commands."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest

from tests.pages.page import ROOT, free_ports
from tests.pages.stand_ins import of_image
from tests.waiting import WAIT_SECONDS

DOCKERFILE = (ROOT / "Dockerfile").read_text()
KEYS = {"S3ISH_ACCESS_KEY": "root", "S3ISH_SECRET_KEY": "a-secret-key-for-this-test"}


@pytest.fixture
def image(tmp_path):
    """A function that starts the image's command with ``/data`` in a folder: after other words, if there are any."""
    entry, command, variables = of_image()
    started = []
    own = {name: value for name, value in os.environ.items() if not name.startswith(("S3ISH", "AWS", "MINIO"))}
    port = free_ports()["9000"]
    environment = {**own, **variables, **KEYS, "S3ISH_VOLUMES": str(tmp_path / "data"), "S3ISH_PORT": port}
    environment["PATH"] = f"{os.path.dirname(sys.executable)}:{own['PATH']}"

    def start(*before, words=None):
        argv = [*before, *entry, *(command if words is None else words)]
        started.append(
            subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_the_entry_point_serves_is_healthy_and_ends_by_the_stop_signal(image, tmp_path):
    (health,) = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", DOCKERFILE, re.M)
    (signal_name,) = re.findall(r"^STOPSIGNAL (\w+)$", DOCKERFILE, re.M)
    entry, *words = json.loads(health)
    assert entry == "s3ish"
    assert image(words=words).wait(WAIT_SECONDS) == 1, "nothing serves yet"
    (tmp_path / "data").mkdir()
    server = image()
    assert any(line == "Ready.\n" for line in server.stdout)
    assert image(words=words).wait(WAIT_SECONDS) == 0
    server.send_signal(signal.Signals[signal_name])
    assert server.wait(WAIT_SECONDS) == 0


@pytest.mark.slow
def test_a_volume_of_root_is_refused_with_what_to_do(image, tmp_path):
    """A user has no right to write into it; root here gives up its capabilities, which is the same."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed, and the tests are run by root")
    (tmp_path / "data").mkdir(mode=0o555)
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    server = image(*without)
    _, said = server.communicate(timeout=WAIT_SECONDS)
    assert server.returncode == 1
    assert said.count("\n") == 1
    assert f"Permission denied; the user with id {os.geteuid()} needs the right to read and write it" in said
    page = (ROOT / "docs/tasks/containers.md").read_text()
    assert "Permission denied; the user with id 10001 needs the right to read and write it" in page


def test_health_checks_of_the_image_of_minio_ask_whether_the_server_is_ready(tmp_path):
    (text,) = re.findall(r"^RUN printf '(.*)' > /opt/mc && chmod 755 ", DOCKERFILE, re.M)
    assert "COPY --from=build /opt/mc /opt/minio /usr/local/bin/" in DOCKERFILE.partition("AS server\n")[2]
    for name, script in (("mc", text.replace("\\n", "\n")), ("s3ish", '#!/bin/sh\necho "asked: $@"\nexit 1\n')):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    asked = subprocess.run(["mc", "ready", "local"], env=path, capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (1, "asked: healthcheck\n")
    other = subprocess.run(["mc", "ls", "local"], env=path, capture_output=True, text=True, check=False)
    assert (other.returncode, other.stdout) == (127, "")
    assert other.stderr == "mc: this image has no client of MinIO; it knows mc ready alone\n"


@pytest.mark.slow
def test_a_container_of_localstack_that_testcontainers_for_java_starts(tmp_path):
    """It replaces the entry point by a script of its own, which runs LocalStack's, and waits for a line of the log."""
    (text,) = re.findall(r"^RUN printf '(.*)' > /opt/docker-entrypoint.sh && chmod 755 ", DOCKERFILE, re.M)
    assert "COPY --from=build /opt/docker-entrypoint.sh /usr/local/bin/" in DOCKERFILE.partition("AS test\n")[2]
    script = tmp_path / "docker-entrypoint.sh"
    script.write_text(text.replace("\\n", "\n"))
    script.chmod(0o755)
    _, _, variables = of_image("test")
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    port = free_ports()["9000"]
    given = {"PATH": path, **variables, "SERVICES": "s3", "GATEWAY_LISTEN": f"0.0.0.0:{port}"}
    server = subprocess.Popen([script], env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert any(line == "Ready.\n" for line in server.stdout)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_localstack/health") as answer:
            assert b'"s3": "running"' in answer.read()
    finally:
        server.terminate()
        server.communicate()
    assert server.returncode == 0


def test_the_image_is_slim_and_its_user_is_not_root():
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) <= {"python:3.13-slim", "server"}
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.M) == ["10001:10001"]
    assert "--no-install-recommends curl" in DOCKERFILE
