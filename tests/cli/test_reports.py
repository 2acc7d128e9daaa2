"""What the commands of the shell show of a store beside a running server."""

import json
import urllib.request

from tests.cli.test_main import client


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


def test_du_of_no_store_fails_with_a_line(run_s3ish, tmp_path):
    ended = run_s3ish("du", tmp_path / "nothing")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
