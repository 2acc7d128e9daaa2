"""The command line as a newcomer meets it: what it prints, how it ends."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3ish import __version__
from s3ish.cli import cert
from s3ish.cli.health import ask
from s3ish.cli.main import main
from s3ish.clock import Clock
from s3ish.config import ALIASES, fields, variables
from tests.waiting import wait_until


def client(endpoint, access_key="s3ishadmin", secret_key="s3ishadmin"):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}),
    )


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:  # it has just ended
        return b""


def workers(pid):
    return [child for child in children(pid) if b"serve" in command_of(child)]


def test_the_greeting_says_what_to_do_next(start_server, tmp_path):
    server = start_server(tmp_path)
    text = "".join(server.greeting)
    assert f"s3ish {__version__} serves {tmp_path}" in text
    assert "access key  s3ishadmin" in text
    assert "keys        none in S3ISH_ACCESS_KEY, " in text
    assert f"aws --endpoint-url {server.endpoint} s3 ls" in text
    assert "storage.fsync is off" in text
    code, _ = server.stop()
    assert code == 0


def test_a_configured_secret_is_never_printed(start_server, tmp_path):
    server = start_server(tmp_path, S3ISH_ACCESS_KEY="root", S3ISH_SECRET_KEY="hush-hush")
    client(server.endpoint, "root", "hush-hush").create_bucket(Bucket="seen")
    with pytest.raises(Exception, match="SignatureDoesNotMatch"):
        client(server.endpoint, "root", "hush-hust").list_buckets()
    code, log = server.stop()
    assert code == 0
    assert "hush" not in "".join(server.greeting) + log
    assert 'AWS_ACCESS_KEY_ID=root AWS_SECRET_ACCESS_KEY="${S3ISH_SECRET_KEY:?}" ' in server.greeting[-1]
    assert '"operation":"CreateBucket"' in log


def test_data_is_there_after_a_restart_and_after_the_index_is_rebuilt(start_server, run_s3ish, tmp_path):
    first = start_server(tmp_path)
    s3 = client(first.endpoint)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="small", Body=b"x", Metadata={"who": "me"})
    large = os.urandom(3_000_000)
    s3.put_object(Bucket="kept", Key="large", Body=large)
    upload = s3.create_multipart_upload(Bucket="kept", Key="parts")["UploadId"]
    etag = s3.upload_part(Bucket="kept", Key="parts", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    first.stop()
    rebuilt = run_s3ish("index", "rebuild", tmp_path)
    assert rebuilt.returncode == 0
    assert "1 buckets" in rebuilt.stdout
    s3 = client(start_server(tmp_path).endpoint)
    assert s3.get_object(Bucket="kept", Key="large")["Body"].read() == large
    assert s3.head_object(Bucket="kept", Key="small")["Metadata"] == {"who": "me"}
    done = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(Bucket="kept", Key="parts", UploadId=upload, MultipartUpload=done)
    assert s3.get_object(Bucket="kept", Key="parts")["Body"].read() == b"part"


def test_a_lost_index_is_rebuilt_at_start(start_server, tmp_path):  # case 23
    first = start_server(tmp_path)
    s3 = client(first.endpoint)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="a", Body=b"x")
    first.stop()
    for file in (tmp_path / ".s3ish").glob("index.db*"):
        file.unlink()
    s3 = client(start_server(tmp_path).endpoint)
    assert s3.get_object(Bucket="kept", Key="a")["Body"].read() == b"x"


def test_a_second_server_on_the_same_data_is_refused(start_server, run_s3ish, tmp_path):  # case 140
    start_server(tmp_path)
    second = run_s3ish("serve", tmp_path, "--port", "0")
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "in use by another s3ish server" in second.stderr


@pytest.mark.parametrize("where", [("data", "--workers", "1"), ("data", "--workers", "2"), ("--test",)])
def test_an_audit_log_that_cannot_be_written_ends_a_start(run_s3ish, tmp_path, where):
    file = tmp_path / "missing" / "audit.jsonl"
    ended = run_s3ish("serve", *where, "--port", "0", S3ISH_LOG_AUDIT=str(file))
    told = f"s3ish: cannot write the audit log {file} (log.audit): No such file or directory\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", told)
    assert not (tmp_path / "data").exists()


def test_a_taken_port_is_named(run_s3ish, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_s3ish("serve", tmp_path / "data", "--port", port)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid", "a..b", "x" * 300, "127.0.0.1 "])
def test_an_address_that_cannot_be_had_is_named_in_one_line(run_s3ish, tmp_path, host):
    ended = run_s3ish("serve", tmp_path / "data", "--host", host, S3ISH_ACCESS_KEY="a", S3ISH_SECRET_KEY="b" * 8)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"s3ish: cannot listen on {host}:9000: ")
    assert ended.stderr.endswith("; choose another with --port or --host\n")
    assert ended.stderr.count("\n") == 1


def test_a_start_that_fails_leaves_nothing_to_look_for(start_server, run_s3ish, tmp_path):
    (tmp_path / "s3ish.toml").write_text("[[auth.users]]\naccess_key = 'u'\nsecret_key = 'v'\nid = 'u'\n")
    server = start_server(tmp_path / "data", "--config", tmp_path / "s3ish.toml")
    client(server.endpoint, "u", "v").create_bucket(Bucket="theirs")
    assert server.stop()[0] == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run_s3ish("serve", tmp_path / "data", "--port", taken.getsockname()[1]).returncode == 1
    assert not {"unclean", "sweep"} & states(tmp_path / "data")
    refused = run_s3ish("serve", tmp_path / "data", "--port", "0", S3ISH_DEFAULT_BUCKETS="theirs")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert not {"unclean", "sweep"} & states(tmp_path / "data")


def test_a_start_that_fails_after_a_crash_leaves_the_crash_to_be_looked_for(start_server, run_s3ish, tmp_path):
    (tmp_path / "s3ish.toml").write_text("[[auth.users]]\naccess_key = 'u'\nsecret_key = 'v'\nid = 'u'\n")
    server = start_server(tmp_path / "data", "--config", tmp_path / "s3ish.toml")
    client(server.endpoint, "u", "v").create_bucket(Bucket="theirs")
    server.stop(signal.SIGKILL)
    assert run_s3ish("serve", tmp_path / "data", "--port", "0", S3ISH_DEFAULT_BUCKETS="theirs").returncode == 1
    assert "sweep" in states(tmp_path / "data")


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (["--host", "0.0.0.0"], {}, "S3ISH_SECRET_KEY"),
        ([], {"S3ISH_COLOUR": "red"}, "unknown variable S3ISH_COLOUR"),
        (["--config", "none.toml"], {}, "cannot read none.toml"),
        (["--port", "70000"], {}, "server.port"),
    ],
)
def test_settings_that_cannot_be_used_end_with_78_and_one_line(run_s3ish, arguments, variables, says):
    ended = run_s3ish("serve", *arguments, **variables)
    assert ended.returncode == 78
    assert says in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_a_directory_that_is_none_is_refused(run_s3ish, tmp_path):
    (tmp_path / "file").write_text("")
    ended = run_s3ish("serve", "file", "--port", "0")
    assert ended.returncode == 1
    assert ended.stderr.startswith("s3ish: ")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(start_server, tmp_path, number):
    server = start_server(tmp_path, "--workers", "2" if number == signal.SIGTERM else "1")
    client(server.endpoint).create_bucket(Bucket="bucket")
    code, log = server.stop(number)
    assert code == 0
    assert "Traceback" not in log
    database = sqlite3.connect(tmp_path / ".s3ish" / "index.db")
    assert database.execute("select count(*) from sqlite_master").fetchone()[0] > 0
    database.close()


def test_a_killed_worker_is_replaced_while_the_others_serve(start_server, tmp_path):  # case 10
    server = start_server(tmp_path, "--workers", "2")
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="bucket")
    pid = server.process.pid
    marks = tmp_path / ".s3ish"
    wait_until(lambda: len(workers(pid)) == len(list(marks.glob("worker.*"))) == 2)
    before, victim = set(marks.glob("worker.*")), workers(pid)[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(workers(pid)) == 2 and victim not in workers(pid))
    files = {path.name for path in (tmp_path / ".s3ish").glob("index.db*")}
    assert files == {"index.db", "index.db-wal", "index.db-shm", "index.db-queue", "index.db-marks"}
    client(server.endpoint).put_object(Bucket="bucket", Key="after", Body=b"x")
    wait_until(lambda: set(marks.glob("worker.*")) - before)
    wait_until(lambda: "sweep" in states(tmp_path) or len(list(marks.glob("worker.*"))) == 2)
    code, log = server.stop()
    assert code == 0
    assert "a worker died" in log
    assert ("unclean" in states(tmp_path)) == bool(list(marks.glob("worker.*"))), "unless its sweep was done"


def test_whichever_worker_is_asked_shows_the_metrics_of_all(start_server, tmp_path):
    server = start_server(tmp_path, "--workers", "2")
    wait_until(lambda: len(list((tmp_path / ".s3ish").glob("worker.*"))) == 2)
    for _ in range(20):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(server.endpoint)  # a connection each, so both workers get some

    def counted():
        with urllib.request.urlopen(f"{server.endpoint}/-/metrics") as answer:
            return re.search(rb'^s3ish_requests_total{.*status="403"} (.*)$', answer.read(), re.M)[1]

    wait_until(lambda: counted() == b"20.0")  # a request is counted just after its answer
    assert {counted() for _ in range(10)} == {b"20.0"}


def test_a_clean_stop_is_remembered(start_server, tmp_path):
    server = start_server(tmp_path, "--workers", "2")
    assert "unclean" in states(tmp_path)
    assert server.stop()[0] == 0
    assert not {"unclean", "sweep"} & states(tmp_path)
    assert not list((tmp_path / ".s3ish").glob("worker.*"))


def states(root):
    """Return the names of the marks in the index."""
    database = sqlite3.connect(root / ".s3ish" / "index.db")
    found = {bytes(key).decode() for (key,) in database.execute("select key from state")}
    database.close()
    return found


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_healthcheck_tells_by_its_exit_code(start_server, run_s3ish, tmp_path, tls):
    files = cert.write(tmp_path / "tls", ["s3.test"], datetime.now(UTC), 1)
    secured = {"S3ISH_TLS_CERTIFICATES": str(files.certificate), "S3ISH_TLS_KEYS": str(files.key)} if tls else {}
    server = start_server(tmp_path / "data", **secured)
    same = secured | {"S3ISH_PORT": server.endpoint.rpartition(":")[2], "S3ISH_URL": "https://s3.test"}
    ready = run_s3ish("healthcheck", **same)
    assert (ready.returncode, ready.stdout, ready.stderr) == (0, "", "")
    found = json.loads(run_s3ish("healthcheck", "--json", **same).stdout)
    assert found.pop("seconds") > 0
    assert found == {"ready": True, "endpoint": server.endpoint, "status": 200, "reason": ""}
    server.stop()
    ended = run_s3ish("healthcheck", **same)
    assert ended.returncode == 1
    assert "does not answer" in ended.stderr
    asked = run_s3ish("healthcheck", "--json", **same)
    assert asked.returncode == 1
    assert json.loads(asked.stdout)["ready"] is False


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 503 Service Unavailable\r\n\r\n", None])
def test_healthcheck_fails_in_words_for_any_answer(answer):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        if answer is not None:
            threading.Thread(target=_answer_once, args=(listening, answer), daemon=True).start()
        health = ask(f"http://127.0.0.1:{listening.getsockname()[1]}", 5 if answer is not None else 0.1, Clock())
    assert not health.ready
    assert "is not ready: status 503" in health.reason if answer and b"503" in answer else "does not" in health.reason


def _answer_once(listening, answer):
    connection, _ = listening.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(answer)


def test_healthcheck_cannot_guess_a_port(run_s3ish):
    asked = run_s3ish("healthcheck", S3ISH_PORT="0")
    assert asked.returncode == 2
    assert "--endpoint-url" in asked.stderr


def test_the_log_of_a_terminal_says_in_a_line_what_happened(start_server, tmp_path):
    for workers in ("1", "2"):
        server = start_server(tmp_path, "--workers", workers, S3ISH_LOG_FORMAT="console")
        with pytest.raises(ClientError, match="NoSuchBucket"):
            client(server.endpoint).get_object(Bucket="tour", Key="missing.txt")
        code, log = server.stop()
        assert code == 0
        asked, stopped = log.splitlines()
        assert re.fullmatch(r"\d\d:\d\d:\d\d 404 GET tour/missing.txt NoSuchBucket \d+(\.\d)? ms", asked)
        assert re.fullmatch(r"\d\d:\d\d:\d\d stopped", stopped)


def test_the_log_names_key_error_and_client(start_server, tmp_path):
    server = start_server(tmp_path)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client(server.endpoint).get_object(Bucket="tour", Key="missing.txt")
    lines = [json.loads(line) for line in server.stop()[1].splitlines()]
    assert [line["event"] for line in lines] == ["request", "stopped"]
    told = ("method", "bucket", "key", "status", "error", "client", "user")
    asked = ("GET", "tour", "missing.txt", 404, "NoSuchBucket", "127.0.0.1", "s3ishadmin")
    assert tuple(lines[0][name] for name in told) == asked


@pytest.mark.parametrize(
    ("trusted", "scheme", "address"), [("127.0.0.0/8", "https", "192.0.2.7"), ("", "http", "127.0.0.1")]
)
def test_what_a_trusted_proxy_says_of_a_client_is_believed(start_server, tmp_path, trusted, scheme, address):
    server = start_server(tmp_path, S3ISH_SERVER_TRUSTED_PROXIES=trusted)
    s3 = client(server.endpoint)
    forwarded = {"X-Forwarded-For": "203.0.113.1, 192.0.2.7", "X-Forwarded-Proto": "https"}
    s3.meta.events.register("before-send.s3", lambda request, **_: request.headers.update(forwarded))
    s3.create_bucket(Bucket="bucket")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="k")["UploadId"]
    etag = s3.upload_part(Bucket="bucket", Key="k", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    done = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    answer = s3.complete_multipart_upload(Bucket="bucket", Key="k", UploadId=upload, MultipartUpload=done)
    assert answer["Location"] == server.endpoint.replace("http", scheme) + "/bucket/k"
    lines = [json.loads(line) for line in server.stop()[1].splitlines()]
    assert {line["client"] for line in lines if line["event"] == "request"} == {address}


def test_presign_makes_urls_that_work(start_server, run_s3ish, tmp_path):
    server = start_server(tmp_path)
    client(server.endpoint).create_bucket(Bucket="bucket")
    upload = run_s3ish("presign", "s3://bucket/a b+c", "--method", "put", "--endpoint-url", server.endpoint)
    assert upload.returncode == 0
    request = urllib.request.Request(upload.stdout.strip(), data=b"by url", method="PUT")
    assert urllib.request.urlopen(request).status == 200
    url = run_s3ish("presign", "s3://bucket/a b+c", AWS_ENDPOINT_URL=server.endpoint).stdout.strip()
    assert urllib.request.urlopen(url).read() == b"by url"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url.replace("Expires=3600", "Expires=3601"))


def test_presign_addresses_the_server_of_its_own_settings(run_s3ish, tmp_path):
    def address(**variables):
        ended = run_s3ish("presign", "s3://bucket/key", **variables)
        return ended.stdout.partition("/bucket/")[0] or ended.stderr

    assert address() == "http://127.0.0.1:9000"
    assert address(S3ISH_PORT="9001") == "http://127.0.0.1:9001"
    keys = {"S3ISH_ACCESS_KEY": "a", "S3ISH_SECRET_KEY": "b" * 8}
    assert address(S3ISH_HOST="0.0.0.0", **keys) == "http://127.0.0.1:9000"
    assert address(S3ISH_HOST="s3.test", S3ISH_PORT="80", **keys) == "http://s3.test"
    assert address(S3ISH_HOST="::1", S3ISH_PORT="9001") == "http://[::1]:9001"
    assert address(S3ISH_PORT="9001", AWS_ENDPOINT_URL="https://s3.example") == "https://s3.example"
    assert "server.port is 0, any free one: give --endpoint-url" in address(S3ISH_PORT="0")


@pytest.mark.parametrize(
    "arguments",
    [
        ["bucket/key"],
        ["s3://"],
        ["s3://Bucket_/key"],
        ["s3://bucket/key", "--expires", "604801"],
        ["s3://bucket/key", "--method", "FETCH"],
        ["s3://bucket/key", "--method", "GET "],
        ["s3://bucket/key", "--method", ""],
        ["s3://bucket/key", "--endpoint-url", "127.0.0.1:9000"],
        ["s3://bucket/key", "--endpoint-url", "ftp://s3.test"],
        ["s3://bucket/key", "--endpoint-url", "http://"],
        ["s3://bucket/key", "--endpoint-url", "http://s3.test/path"],
    ],
)
def test_presign_refuses_what_it_cannot_sign(run_s3ish, arguments):
    ended = run_s3ish("presign", *arguments)
    assert ended.returncode == 2
    assert "Error: " in ended.stderr


def test_rebuild_refuses_a_running_server(start_server, run_s3ish, tmp_path):
    start_server(tmp_path)
    ended = run_s3ish("index", "rebuild", tmp_path)
    assert ended.returncode == 1
    assert "in use" in ended.stderr


def test_default_buckets_are_made_once(start_server, tmp_path):
    for _ in range(2):
        server = start_server(tmp_path, S3ISH_DEFAULT_BUCKETS="plain,history:versioned")
        s3 = client(server.endpoint)
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["history", "plain"]
        assert s3.get_bucket_versioning(Bucket="history")["Status"] == "Enabled"
        assert "Status" not in s3.get_bucket_versioning(Bucket="plain")
        server.stop()


def test_the_garbage_job_can_be_run_by_hand(start_server, run_s3ish, tmp_path):
    server = start_server(tmp_path)
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="a", Body=bytes(2_000_000))
    s3.delete_object(Bucket="bucket", Key="a")
    ended = run_s3ish("job", "garbage", "--once", "--volume", tmp_path)
    assert ended.returncode == 0
    assert re.fullmatch(r"garbage: nothing more to do, after \d+ steps?\n", ended.stdout)
    assert not list(tmp_path.rglob("data.*"))
    unknown = run_s3ish("job", "sweeping", "--once", "--volume", tmp_path)
    assert unknown.returncode == 2
    assert "'sweeping' is not one of 'garbage', " in unknown.stderr


def test_check_names_damage_heal_repairs_it_and_volumes_says_what_is_missing(start_server, run_s3ish, tmp_path):
    roots = [tmp_path / f"drive{number}" for number in range(3)]
    server = start_server(*roots)
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="bucket")
    data = os.urandom(2_500_000)
    s3.put_object(Bucket="bucket", Key="large", Body=data)
    s3.put_object(Bucket="bucket", Key="small", Body=b"x")
    whole = run_s3ish("check", *roots)  # beside the running server
    assert (whole.returncode, whole.stdout) == (0, "3 blobs of 2500001 bytes: all good\n")
    server.stop()
    shutil.rmtree(roots[1])
    missing = run_s3ish("volumes", *roots)
    assert missing.returncode == 1
    assert "out of reach" in missing.stdout
    found = run_s3ish("check", *roots)
    assert found.returncode == 1
    lacking = int(re.search(r"^volume 1: (\d+) blobs lacked a shard or sidecar: \1 damaged$", found.stdout, re.M)[1])
    assert lacking >= 1
    assert f" {lacking} incomplete blobs " in run_s3ish("volumes", *roots).stdout
    roots[1].mkdir()
    healed = run_s3ish("heal", *roots)
    assert healed.returncode == 0
    assert "repaired: bucket/large" in healed.stdout
    assert f"volume 1: {lacking} blobs lacked a shard or sidecar: {lacking} repaired" in healed.stdout
    complete = run_s3ish("volumes", *roots)
    assert complete.returncode == 0
    assert complete.stdout.count(" 0 incomplete blobs ") == 3
    shard = next(path for path in roots[0].rglob("large@*/*") if path.name != "metadata.json")
    shard.write_bytes(b"\0" * shard.stat().st_size)
    damaged = run_s3ish("check", *roots)
    assert damaged.returncode == 1
    assert f"damaged: bucket/large version null: {shard.name}" in damaged.stdout
    assert run_s3ish("check", "--repair", *roots).returncode == 0
    assert run_s3ish("check", *roots).returncode == 0


def test_a_server_begins_with_too_few_drives_only_if_it_must(start_server, run_s3ish, tmp_path):  # case 165
    roots = [tmp_path / f"drive{number}" for number in range(3)]
    server = start_server(*roots)
    client(server.endpoint).create_bucket(Bucket="bucket")
    assert server.stop()[0] == 0
    for root in roots[1:]:
        shutil.rmtree(root)
    refused = run_s3ish("serve", *roots, "--port", "0")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "2 of the 3 volumes are lost" in refused.stderr
    assert "--accept-loss" in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drive0"]
    again = start_server(*roots, "--accept-loss")
    client(again.endpoint).put_object(Bucket="bucket", Key="new", Body=b"x")
    assert again.stop()[0] == 0
    assert client(start_server(*roots).endpoint).get_object(Bucket="bucket", Key="new")["Body"].read() == b"x"


def test_a_rebuild_after_a_power_cut_begins_with_what_only_the_index_says(start_server, run_s3ish, tmp_path):
    server = start_server(tmp_path)
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="small", Body=b"durable in its row")
    server.stop(signal.SIGKILL)
    for path in tmp_path.rglob("small@*/metadata.json"):
        path.write_bytes(b"")  # it was not flushed
    told = run_s3ish("index", "rebuild", tmp_path).stdout
    assert "1 versions" in told
    assert "unreadable" not in told
    assert client(start_server(tmp_path).endpoint).get_object(Bucket="bucket", Key="small")["Body"].read()


def test_what_a_rebuild_could_not_read_is_told_kept_and_found_again(start_server, run_s3ish, tmp_path):
    server = start_server(tmp_path)
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="large", Body=bytes(2_000_000))
    server.stop()
    sidecar = next(path for path in tmp_path.rglob("large@*/metadata.json"))
    text = sidecar.read_bytes()
    sidecar.write_bytes(text[:100])
    for path in (tmp_path / ".s3ish").glob("index.db*"):  # which would say what the sidecar said
        path.unlink()
    assert "1 unreadable" in run_s3ish("index", "rebuild", tmp_path).stdout
    told = run_s3ish("volumes", tmp_path)
    assert (told.returncode, "the index has 1 gaps" in told.stdout) == (1, True)
    found = run_s3ish("check", "--repair", tmp_path)
    assert found.returncode == 1
    assert "damaged: bucket/large@: " in found.stdout
    assert f"orphan: {sidecar.parent.relative_to(tmp_path)}" in found.stdout
    server = start_server(tmp_path, S3ISH_DEFAULT_BUCKETS="bucket")
    assert "index has gaps" in server.stop()[1]
    sidecar.write_bytes(text)
    assert "unreadable" not in run_s3ish("index", "rebuild", tmp_path).stdout
    assert run_s3ish("check", tmp_path).returncode == 0
    assert (
        client(start_server(tmp_path).endpoint).get_object(Bucket="bucket", Key="large")["ContentLength"] == 2_000_000
    )


def test_help_is_there_for_every_command(run_s3ish):
    text = run_s3ish("--help").stdout
    commands = re.findall(r"^  ([a-z]+) ", text, re.M)
    assert {"serve", "presign", "healthcheck", "index", "job"} <= set(commands)
    for command in commands:
        shown = run_s3ish(command, "--help")
        assert shown.returncode == 0
        assert "Usage: " in shown.stdout
    assert run_s3ish("--version").stdout == f"s3ish, version {__version__}\n"


@pytest.mark.parametrize("command", [("check",), ("heal",), ("volumes",), ("du",), ("jobs",), ("index", "rebuild")])
def test_volumes_are_arguments_or_named_one_by_one(run_s3ish, tmp_path, command):
    volumes = [tmp_path / name for name in ("one", "two", "three")]
    as_arguments = run_s3ish(*command, *volumes)
    named = run_s3ish(*command, *[word for volume in volumes for word in ("--volume", volume)])
    assert str(volumes[0]) in named.stderr
    assert (named.returncode, named.stderr) == (as_arguments.returncode, as_arguments.stderr)


def test_help_is_whole_on_a_narrow_terminal(run_s3ish):
    text = run_s3ish("--help", COLUMNS="80").stdout
    listed = re.findall(r"^  ([a-z]+) +(.*)$", text.partition("Commands:\n")[2], re.M)
    assert {name for name, _ in listed} == set(main.commands)
    for name, words in listed:
        assert words.endswith("."), name
        assert "..." not in words
    for name in main.commands:
        assert max(map(len, run_s3ish(name, "--help", COLUMNS="80").stdout.splitlines())) <= 80, name


def test_the_help_of_serve_has_an_example_and_the_environment(run_s3ish):
    text = run_s3ish("serve", "--help").stdout
    assert "\n    s3ish serve /mnt/drive1 /mnt/drive2 /mnt/drive3 --port 9001\n" in text
    named = set(re.findall(r"S3ISH_[A-Z_]+\b", text))
    known = {name for dotted in fields() for name in variables(dotted)} | {"S3ISH_CONFIG", "S3ISH_SECRET_KEY_FILE"}
    assert named <= known
    assert {short for dotted in fields() for short in ALIASES.get(dotted, ())[:1]} <= named


def test_every_option_of_serve_names_a_setting(run_s3ish):
    text = run_s3ish("serve", "--help").stdout
    options = set(re.findall(r"--([a-z-]+)", text)) - {"help", "config", "accept-loss"}
    options = {
        {"bucket": "default_buckets", "test": "profile", "volume": "volumes"}.get(option, option) for option in options
    }
    assert options <= {dotted.split(".")[1] for dotted in fields()}


def test_reads_that_are_refused_leave_no_file_open(start_server, tmp_path):  # case 113
    server = start_server(tmp_path)
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="large", Body=bytes(200_000))

    def refuse():
        with pytest.raises(ClientError, match="control characters"):
            s3.get_object(Bucket="bucket", Key="large", ResponseContentType="a\x01b")
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))

    before = refuse()
    assert [refuse() for _ in range(5)][-1] <= before
