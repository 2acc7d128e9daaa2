"""What the pages on tests and on replacing other servers show is run: start lines, curl, Python and notes on seeds."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import boto3
import msgspec
import pytest

from s3ish.seed.notes import SeedNotes
from s3ish.testing import Server, mock_s3
from tests.inner_pytest import run_pytest
from tests.waiting import WAIT_SECONDS

DOCS = Path(__file__).parent.parent / "docs"
NEEDS_DOCKER = ("S3ishContainer", "MinioContainer")
"""What cannot be run without Docker; tests/test_testing.py and tests/cli/test_dropin.py run what these start."""


def blocks(page, language=""):
    """Return the code of a language in a page."""
    text = (DOCS / page).read_text()
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [block for kind, block in found if kind == language]


def lines(page, program):
    """Return the commands of a program, those over several lines in one."""
    joined = "".join(blocks(page)).replace("\\\n", " ").splitlines()
    return [line for line in joined if shlex.split(line)[:1] == [program]]


@pytest.mark.parametrize("line", [*lines("testing.md", "s3ish"), *lines("replacing.md", "s3ish")])
@pytest.mark.slow
def test_start_lines(line, tmp_path):
    """Each serves; directories are those of the test, and ports are free ones."""
    for folder in ("data", *(f"mnt/drive{number}" for number in range(1, 5)), "fixtures/seeded"):
        (tmp_path / folder).mkdir(parents=True)
    line = line.replace("/data", f"{tmp_path}/data").replace("/mnt/", f"{tmp_path}/mnt/")
    line = re.sub(r"(--(?:console-)?address) :\d+", r"\1 :0", re.sub(r"--port \d+", "--port 0", line))
    command = shlex.split(line.replace("{", "'{").replace("}", "}'"))[1:]
    if "--port" not in command and ":0" not in command:
        command += ["--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "s3ish", *command],
        env=os.environ | {"MINIO_ROOT_USER": "rooted", "MINIO_ROOT_PASSWORD": "not-well-known", "S3ISH_FSYNC": "false"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        served = any(text == "Ready.\n" for text in process.stdout)
        process.terminate()
    assert served


def test_calls_of_the_controls():
    """One after the other against one server; each is answered with what was asked."""
    called = lines("testing.md", "curl")
    inline = re.findall(r"`(curl [^`]+)`", (DOCS / "testing.md").read_text())
    with Server(buckets=("uploads",)) as server:
        server.world("one").snapshot("x")
        for line in (*called, *inline):
            command = line.replace("localhost:9000", server.endpoint)
            done = subprocess.run(
                ["bash", "-c", command], capture_output=True, text=True, timeout=WAIT_SECONDS, check=False
            )
            assert done.returncode == 0, line
            assert "error" not in json.loads(done.stdout), line
    assert len(called) > 12


def test_python_of_the_page_on_tests(tmp_path):
    """The blocks in their order, in one module; what is a test of pytest's runs in pytest."""
    names = {}
    for block in blocks("testing.md", "python"):
        if any(name in block for name in NEEDS_DOCKER):
            continue
        if "s3ish_client" in block:
            (tmp_path / "test_page.py").write_text(block)
            continue
        exec(compile(block, "testing.md", "exec"), names)
    names["test_upload"]()
    assert names["mock_s3"] is mock_s3
    ended = run_pytest(tmp_path)
    assert "1 passed" in ended.stdout, ended.stdout


@pytest.mark.slow
def test_drives_that_are_harmed(start_server, tmp_path):
    (block,) = blocks("testing.md", "console")
    start, *calls = [line.removeprefix("$ ") for line in block.splitlines()]
    assert calls
    setting, serve = start.split(" ", 1)
    name, value = setting.split("=")
    drives = [tmp_path / drive for drive in serve.removeprefix("s3ish serve ").split()]
    for drive in drives:
        drive.mkdir()
    process = start_server(*drives, "--bucket", "uploads", **{name: value})
    given = {"endpoint_url": process.endpoint, "region_name": "us-east-1"}
    keys = {"aws_access_key_id": "s3ishadmin", "aws_secret_access_key": "s3ishadmin"}
    boto3.client("s3", **given, **keys).put_object(Bucket="uploads", Key="a", Body=b"x" * 100_000)
    for call in calls:
        command = ["bash", "-c", call.replace("localhost:9000", process.endpoint)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS, check=True)
        assert "error" not in json.loads(done.stdout), call


def test_notes_on_a_seed():
    (block,) = blocks("replacing.md", "json")
    notes = msgspec.json.decode(block, type=SeedNotes)
    assert notes.objects
    for key in notes.objects:
        assert notes.of(key).attributes("text/plain")


@pytest.mark.slow
def test_a_script_of_the_start(start_server, tmp_path):
    (line,) = lines("replacing.md", "curl")
    (tmp_path / "01.sh").write_text(f"{line}\n")
    process = start_server("--test", S3ISH_SERVER_INIT_FOLDERS=str(tmp_path))
    s3 = boto3.client(
        "s3",
        endpoint_url=process.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["made-at-start"]


def test_nothing_else_is_shown():
    """Every block is one of those above."""
    for page in ("testing.md", "replacing.md"):
        programs = {shlex.split(line)[0] for block in blocks(page) for line in block.replace("\\\n", " ").splitlines()}
        assert programs <= {"s3ish", "curl"}, page
        languages = set(re.findall(r"^```(\w+)$", (DOCS / page).read_text(), re.MULTILINE))
        assert languages <= {"python", "json", "console"}, page
    others = [block for block in blocks("replacing.md", "python") if not any(name in block for name in NEEDS_DOCKER)]
    assert others == []
