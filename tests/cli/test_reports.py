"""What the commands of the shell show of a store beside a running server."""

import json
import urllib.request

import pytest
from botocore.exceptions import ClientError

from s3ish.cli.quotas import read_size
from tests.cli.test_main import client
from tests.waiting import wait_until


def test_du_and_metrics_say_what_buckets_and_owners_hold(start_server, run_s3ish, tmp_path):
    volume = tmp_path / "volume"
    server = start_server(volume)
    s3 = client(server.endpoint)
    for bucket, sizes in (("small", (1, 2)), ("large", (5000,)), ("empty", ())):
        s3.create_bucket(Bucket=bucket)
        for size in sizes:
            s3.put_object(Bucket=bucket, Key=f"{size}", Body=bytes(size))
    s3.create_multipart_upload(Bucket="small", Key="k")
    told = run_s3ish("du", volume, "--json")
    assert told.stderr == ""
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(row.get("bucket"), row.get("owner"), row["bytes"], row["objects"], row["uploads"]) for row in rows] == [
        ("large", None, 5000, 1, 0),
        ("small", None, 3, 2, 1),
        (None, "s3ish-root", 5003, 3, 1),
    ]
    plain = run_s3ish("du", volume).stdout.splitlines()
    assert [line.split()[0] for line in plain] == ["bytes", "5000", "3", "5003"]
    assert plain[1].endswith("bucket large")
    with urllib.request.urlopen(f"{server.endpoint}/-/metrics") as answer:
        text = answer.read().decode()
    assert 's3ish_bucket_bytes{bucket="large"} 5000.0' in text
    assert 's3ish_bucket_objects{bucket="small"} 2.0' in text
    assert 's3ish_requests_total{operation="PutObject",status="200"} 3.0' in text
    server.stop()
    assert run_s3ish("du", volume, "--json").stdout == told.stdout
    assert run_s3ish("du", "--volume", volume, "--json").stdout == told.stdout


def test_du_of_no_store_fails_with_a_line(run_s3ish, tmp_path):
    ended = run_s3ish("du", tmp_path / "nothing")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "nothing does not exist; name the volumes as for s3ish serve, or set S3ISH_VOLUMES" in ended.stderr


def test_nothing_is_healed_or_made_where_no_store_is(run_s3ish, tmp_path):
    roots = [tmp_path / name for name in ("one", "two", "three")]
    ended = run_s3ish("heal", *roots)
    assert ended.returncode == 1
    assert "there is no store to heal; name the volumes" in ended.stderr
    assert not any(root.exists() for root in roots)


def test_a_quota_is_set_beside_a_running_server_and_holds(start_server, run_s3ish, tmp_path):
    volume = tmp_path / "volume"
    server = start_server(volume)
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="bbb")
    s3.put_object(Bucket="bbb", Key="k", Body=b"12345")
    assert run_s3ish("quota", "set", "bucket", "bbb", "--bytes", "1KB", "--volume", volume).stderr == ""
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="bbb", Key="more", Body=bytes(996))
    assert refused.value.response["Error"]["Code"] == "QuotaExceeded"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    s3.put_object(Bucket="bbb", Key="more", Body=bytes(995))
    assert run_s3ish("quota", "set", "owner", "s3ish-root", "--objects", "2", "--volume", volume).returncode == 0
    listed = run_s3ish("quota", "ls", "--volume", volume).stdout.splitlines()
    assert [line.split() for line in listed[1:]] == [
        ["1000", "1000", "-", "2", "bucket", "bbb"],
        ["-", "1000", "2", "2", "owner", "s3ish-root"],
    ]

    def is_refused():
        try:
            s3.put_object(Bucket="bbb", Key="third", Body=b"")
        except ClientError:
            return True
        s3.delete_object(Bucket="bbb", Key="third")
        return False

    wait_until(is_refused)
    missing = run_s3ish("quota", "set", "bucket", "missing", "--bytes", "1", "--volume", volume)
    assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1)
    assert run_s3ish("quota", "set", "bucket", "bbb", "--bytes", "1 parsec", "--volume", volume).returncode == 2
    assert server.stop()[0] == 0
    _, logged = start_server(volume).stop()
    assert "a worker died" not in logged, "a command that was refused has left nothing"


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("17", 17), ("17B", 17), ("2k", 2000), ("500MB", 500 * 10**6), ("10 GiB", 10 << 30)]
)
def test_sizes_are_read_with_their_units(text, size):
    assert read_size(text) == size


def test_jobs_are_shown_beside_a_running_server_and_after_it(start_server, run_s3ish, tmp_path):
    volume = tmp_path / "volume"
    server = start_server(volume, S3ISH_JOBS_DAY_SECONDS="10")
    client(server.endpoint).create_bucket(Bucket="bbb")

    def rows():
        told = run_s3ish("jobs", volume, "--json")
        assert told.returncode == 0, told.stderr
        return {row["job"]: row for row in map(json.loads, told.stdout.splitlines())}

    wait_until(lambda: {"garbage", "orphans", "lifecycle", "inventory", "scrub"} <= rows().keys())
    assert run_s3ish("jobs", volume).stderr == ""
    server.stop()
    found = rows()
    for name in ("garbage", "lifecycle", "inventory"):
        assert found[name]["steps"] > 0, name
        assert found[name]["failures"] == 0, name
        assert found[name]["next_ns"] >= found[name]["ended_ns"] > 1_700_000_000 * 10**9
        assert found[name]["holder"] == "", "the server has ended"
    plain = run_s3ish("jobs", volume)
    assert plain.stderr == "s3ish: no server runs here now; the next one does these jobs\n"
    lifecycle = next(line for line in plain.stdout.splitlines() if line.startswith("lifecycle"))
    assert lifecycle.split()[3] == "-", "nothing is due while no server runs"
    assert [line.split()[0] for line in plain.stdout.splitlines()] == ["job", *found]
    assert run_s3ish("job", "lifecycle", "--once", "--volume", volume).returncode == 0


def test_a_server_that_was_killed_has_no_jobs(start_server, run_s3ish, tmp_path):
    volume = tmp_path / "volume"
    server = start_server(volume, S3ISH_WORKERS="1")
    wait_until(lambda: "no server runs" not in run_s3ish("jobs", volume).stderr)
    server.process.kill()
    server.process.wait()
    assert "no server runs" in run_s3ish("jobs", volume).stderr, "at once, though its leases last"
    rows = [json.loads(line) for line in run_s3ish("jobs", volume, "--json").stdout.splitlines()]
    assert rows
    assert {row["holder"] for row in rows} == {""}


def test_versions_are_replicated_again_beside_a_running_server(start_server, run_s3ish, tmp_path):
    volume = tmp_path / "volume"
    server = start_server(volume)
    s3 = client(server.endpoint)
    for bucket in ("here", "there"):
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="here", Key="old", Body=b"1")
    refused = run_s3ish("replicate", "here", "--volume", volume)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert run_s3ish("replicate", "missing", "--volume", volume).returncode == 1
    assert run_s3ish("replicate", "here", "--status", "PENDING", "--volume", volume).returncode == 2
    rule = {
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": "arn:aws:s3:::there"},
    }
    role = "arn:aws:iam::000000000000:role/r"
    s3.put_bucket_replication(Bucket="here", ReplicationConfiguration={"Role": role, "Rules": [rule]})
    assert run_s3ish("replicate", "here", "--volume", volume).stderr == ""
    wait_until(lambda: s3.head_object(Bucket="here", Key="old").get("ReplicationStatus") == "COMPLETED")
    assert s3.get_object(Bucket="there", Key="old")["Body"].read() == b"1"

    def progress():
        lines = run_s3ish("jobs", volume).stdout.splitlines()
        return "".join(line for line in lines if line.startswith("replicate-again"))

    wait_until(lambda: progress().endswith("here: 1 versions looked at, 1 wait"))
