"""The examples of docs/buckets.md work as they stand there."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import wait_until

PAGE = Path(__file__).parent.parent / "docs" / "buckets.md"
KEYS = {"AWS_ACCESS_KEY_ID": "s3ishadmin", "AWS_SECRET_ACCESS_KEY": "s3ishadmin", "AWS_DEFAULT_REGION": "us-east-1"}


def blocks(section, language):
    """Return the examples of a section in a language."""
    text = PAGE.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found
    return found


def free_port():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


@pytest.fixture
def script(tmp_path):
    """A function that starts an example as a program; its output goes to the file that it returns."""
    started = []

    def start(text, name):
        output = tmp_path / name
        with output.open("wb") as file:
            command = [sys.executable, "-c", text]
            started.append(subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | KEYS))
        return output, started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_replication(start_server, script, tmp_path):
    entry = sys.executable, "-m", "s3ish"
    (client,) = blocks("Replication", "python")
    server = start_server(tmp_path / "data")
    found, process = script(client.replace("http://127.0.0.1:9000", server.endpoint), "client")
    assert process.wait(60) == 0, found.read_text()
    assert found.read_text() == "REPLICA\n"
    (again,) = blocks("Replication", "sh")
    for line in again.replace("./data", str(tmp_path / "data")).splitlines():
        done = subprocess.run([*entry, *line.partition("#")[0].split()[1:]], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_replication_to_another_server(start_server, script, tmp_path):
    (config,), (policy,), (client,) = (
        blocks("Replication to another server", language) for language in ("toml", "json", "python")
    )
    user = "access_key = 'replicator'\nsecret_key = 'a long random text'\nid = 'replicator'\n"
    (tmp_path / "there.toml").write_text(f"[[auth.users]]\n{user}policies = ['''{policy}''']\n")
    buckets = {"S3ISH_DEFAULT_BUCKETS": "backup:versioned"}
    there = start_server(tmp_path / "there", "--config", tmp_path / "there.toml", **buckets)
    (tmp_path / "here.toml").write_text(config.replace("http://127.0.0.1:9001", there.endpoint))
    here = start_server(tmp_path / "here", "--config", tmp_path / "here.toml")
    found, process = script(client.replace("http://127.0.0.1:9000", here.endpoint), "client")
    assert process.wait(60) == 0, found.read_text()
    assert found.read_text() == "COMPLETED\n"


def test_notifications(start_server, script, tmp_path):
    port, (config,) = str(free_port()), blocks("Notifications", "toml")
    receiver, client, consumer = blocks("Notifications", "python")
    (tmp_path / "s3ish.toml").write_text(config.replace("8080", port).replace("/var/lib/s3ish", str(tmp_path)))
    server = start_server(tmp_path / "data", "--config", tmp_path / "s3ish.toml")
    output, _ = script(receiver.replace("8080", port), "receiver")
    told, process = script(client.replace("http://127.0.0.1:9000", server.endpoint), "client")
    assert process.wait(60) == 0, told.read_text()
    events = ["ObjectCreated:Put 2026/first.json", "ObjectRemoved:Delete 2026/first.json"]
    wait_until(lambda: [line for line in output.read_text().splitlines() if line[:6] == "Object"] == events)
    found, process = script(consumer.replace("http://127.0.0.1:9000", server.endpoint), "consumer")
    assert process.wait(60) == 0, found.read_text()
    assert found.read_text().splitlines()[-1] == "['42.pdf']"
    wait_until(
        lambda: (tmp_path / "events.jsonl").exists() and (tmp_path / "events.jsonl").read_text().count("\n") == 2
    )
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["detail-type"] for line in lines] == ["Object Created", "Object Deleted"]


def test_lists_of_objects(start_server, script, tmp_path):
    (client,) = blocks("Lists of objects", "python")
    server = start_server(tmp_path / "data", S3ISH_JOBS_DAY_SECONDS="20")
    told, process = script(client.replace("http://127.0.0.1:9000", server.endpoint), "client")
    assert process.wait(60) == 0, told.read_text()
    keys = ("a.jpg", "b%20c.jpg")
    wanted = [{"Bucket": "photos", "Key": key, "Size": "1000", "StorageClass": "STANDARD"} for key in keys]
    assert told.read_text().splitlines() == list(map(str, wanted))


def test_lifecycle(start_server, script, tmp_path):
    (client,) = blocks("Lifecycle", "python")
    server = start_server(tmp_path / "data")
    told, process = script(client.replace("http://127.0.0.1:9000", server.endpoint), "client")
    assert process.wait(60) == 0, told.read_text()
    expires, left = told.read_text().splitlines()
    assert re.fullmatch(r'expiry-date=".* 00:00:00 GMT", rule-id="temporary"', expires)
    assert left == "['2026/b.pdf', 'tmp/c']"


def test_websites(start_server, script, tmp_path):
    (config,), (client,) = blocks("Websites", "toml"), blocks("Websites", "python")
    (tmp_path / "s3ish.toml").write_text(config)
    server = start_server(tmp_path / "data", "--config", tmp_path / "s3ish.toml")
    told, process = script(client.replace("127.0.0.1:9000", server.endpoint.removeprefix("http://")), "client")
    assert process.wait(60) == 0, told.read_text()
    site = "http://blog.sites.example.com"
    assert told.read_text().splitlines() == [
        "200 home",
        "200 posts",
        f"302 {site}/posts/",
        f"301 {site}/posts/a.html",
        "404 nothing here",
    ]


def test_access_logs(start_server, script, tmp_path):
    (client,) = blocks("Access logs", "python")
    server = start_server(tmp_path / "data", S3ISH_JOBS_ACCESS_LOG_SECONDS="1")
    told, process = script(client.replace("http://127.0.0.1:9000", server.endpoint), "client")
    assert process.wait(60) == 0, told.read_text()
    assert "REST.PUT.OBJECT order%201" in told.read_text().splitlines()
