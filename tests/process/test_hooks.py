"""Scripts that prepare a server before others reach it, in a store on volumes and in memory."""

import json
import os
import socket
import subprocess
import sys
import urllib.request

import boto3
import pytest

from s3ish.config import ServerSettings, Settings
from s3ish.process.hooks import HookFailed, find_hooks
from tests.waiting import wait_until

WRITE = """
import hashlib, hmac, os, sys, urllib.request
from datetime import datetime, timezone
from s3ish.auth.credentials import User
from s3ish.auth.presign import presign
from s3ish.model import Owner

key = os.environ["AWS_ACCESS_KEY_ID"]
user = User(key, os.environ["AWS_SECRET_ACCESS_KEY"], Owner(key), root=True)

def put(bucket, key="", body=b""):
    url = presign(user, "PUT", os.environ["AWS_ENDPOINT_URL"], bucket, key, expires_seconds=60,
                  now=datetime.now(timezone.utc), region=os.environ["AWS_DEFAULT_REGION"])
    urllib.request.urlopen(urllib.request.Request(url, body, method="PUT"))
"""


@pytest.fixture(params=["memory", "volumes"])
def begin(request, start_server, run_s3ish, tmp_path):
    """A function that starts a server with scripts; it returns what came of that."""
    folder = tmp_path / "init.d"
    folder.mkdir()

    def begin(scripts, *, fails=False, **variables):
        for name, text in scripts.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            if text.startswith("#!"):
                path.chmod(0o755)
        arguments = ["--test"] if request.param == "memory" else [tmp_path / "data"]
        variables |= {"S3ISH_SERVER_INIT_FOLDERS": f"{folder},{tmp_path}/none"}
        if fails:
            return run_s3ish("serve", *arguments, "--port", "0", S3ISH_FSYNC="false", S3ISH_WORKERS="1", **variables)
        return start_server(*arguments, **variables)

    begin.in_memory = request.param == "memory"
    return begin


def keys(server, bucket):
    root = "test" if "from memory" in server.greeting[0] else "s3ishadmin"
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=root,
        aws_secret_access_key=root,
        region_name="us-east-1",
    )
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_what_is_told_of_the_scripts_is_what_the_start_found(begin, tmp_path):
    server = begin({"a.sh": "true", "b.py": ""})

    def told():
        with urllib.request.urlopen(f"{server.endpoint}/_localstack/init") as answer:
            return [script["name"] for script in json.load(answer)["scripts"]]

    assert told() == ["a.sh", "b.py"]  # the worker has begun
    (tmp_path / "init.d" / "later.sh").write_text("exit 1")
    assert told() == ["a.sh", "b.py"]


def test_what_scripts_make_is_there_when_the_server_is_announced(begin, tmp_path):
    server = begin(
        {
            "20-object.py": WRITE + "put('made', 'by-python', b'x')\n",
            "10-bucket.sh": f"set -e\n{sys.executable} {tmp_path}/init.d/bucket.txt\necho done\n",
            "bucket.txt": WRITE + "put('made')\n",
            "later/30.sh": f"#!/bin/sh\nexec {sys.executable} {tmp_path}/init.d/30.txt\n",
            "30.txt": WRITE + "put('made', 'by-an-executable', b'x')\n",
        }
    )
    assert keys(server, "made") == ["by-an-executable", "by-python"]
    assert "done" not in "".join(server.greeting)
    if begin.in_memory:
        urllib.request.urlopen(urllib.request.Request(f"{server.endpoint}/-/test/reset", method="POST"))
        assert keys(server, "made") == ["by-an-executable", "by-python"], "a reset comes back to what scripts made"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("exit 3\n", "01.sh ended with exit code 3"),
        ("kill -9 $$\n", "01.sh was ended by signal 9"),
        ("#!/no/such/shell\n", "cannot run"),
        ("sleep 600\n", "01.sh has not ended within 0.5 seconds (server.init_timeout_seconds)"),
    ],
)
def test_a_script_that_fails_ends_the_start(begin, text, says):
    ended = begin({"01.sh": text, "02.sh": "echo not-reached\n"}, fails=True, S3ISH_SERVER_INIT_TIMEOUT_SECONDS="0.5")
    assert ended.returncode == 1
    assert says in ended.stderr
    assert "not-reached" not in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Ready." not in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--test"], []])
def test_the_port_is_closed_while_scripts_run(tmp_path, arguments):
    """Others are refused until the last script has ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = f"touch {tmp_path}/runs; while [ ! -e {tmp_path}/seen ]; do sleep 0.02; done\n"
    (tmp_path / "init.d").mkdir()
    (tmp_path / "init.d" / "01.sh").write_text(script)
    process = subprocess.Popen(
        [sys.executable, "-m", "s3ish", "serve", *arguments, "--port", str(port)],
        env=os.environ | {"S3ISH_SERVER_INIT_FOLDERS": str(tmp_path / "init.d"), "S3ISH_VOLUMES": f"{tmp_path}/data"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        wait_until((tmp_path / "runs").exists)
        assert not answers(port)
        (tmp_path / "seen").touch()
        assert any(line == "Ready.\n" for line in process.stdout)
        assert answers(port)
        process.terminate()


def answers(port):
    with socket.socket() as other:
        return other.connect_ex(("127.0.0.1", port)) == 0


def test_scripts_are_found_in_order(tmp_path):
    from s3ish.config_sources import load

    for name in ("b.sh", "a/2.py", "a/1.sh", "a.sh", "note.txt", "z/x.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    settings = load(environment={"S3ISH_SERVER_INIT_FOLDERS": str(tmp_path)})
    assert [str(path.relative_to(tmp_path)) for path in find_hooks(settings)] == [
        "a.sh",
        "b.sh",
        "a/1.sh",
        "a/2.py",
        "z/x.sh",
    ]
    (tmp_path / "z").chmod(0)
    try:
        if not os.access(tmp_path / "z", 4):
            with pytest.raises(HookFailed, match="cannot read the scripts in"):
                find_hooks(settings)
    finally:
        (tmp_path / "z").chmod(0o755)


def test_a_script_of_a_mounted_configmap_runs_once(tmp_path):
    held = tmp_path / "..2026_11_30_11_00_00.1"
    held.mkdir()
    (held / "init.sh").write_text("true")
    (tmp_path / "..data").symlink_to(held.name)
    (tmp_path / "init.sh").symlink_to("..data/init.sh")
    (tmp_path / "itself").symlink_to(".")
    settings = Settings(server=ServerSettings(init_folders=(str(tmp_path),)))
    assert find_hooks(settings) == [tmp_path / "init.sh"]
