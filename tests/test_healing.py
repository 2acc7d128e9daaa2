"""A running server repairs what a read has met, and shows it in its metrics."""

import http.client
import re
import sqlite3
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.waiting import WAIT_SECONDS, wait_until

BODY = bytes(range(256)) * 2000


def metric(endpoint, name):
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=WAIT_SECONDS)
    connection.request("GET", "/-/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(rf"^{name} (\S+)$", text, re.M)
    return float(found[1]) if found else None


def connect(server):
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def test_a_damaged_row_is_repaired_by_asking_for_the_object(start_server, tmp_path):  # case 22
    server = start_server(tmp_path)
    s3 = connect(server)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=BODY)
    database = sqlite3.connect(tmp_path / ".s3ish" / "index.db")
    ((key, value),) = database.execute("select key, value from versions")
    database.execute("update versions set value=?", (value[:-1] + bytes([value[-1] ^ 1]),))
    database.commit()
    with pytest.raises(ClientError, match="InternalError"):
        s3.get_object(Bucket="bucket", Key="k")
    wait_until(lambda: database.execute("select value from versions where key=?", (key,)).fetchone() == (value,))
    database.close()
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == BODY
    code, log = server.stop()
    assert code == 0
    assert "Traceback" not in log


def test_a_flipped_bit_is_repaired_by_reading_the_object(start_server, tmp_path):  # case 17
    roots = [tmp_path / f"drive{number}" for number in range(3)]
    server = start_server(*roots, "--workers", "2", S3ISH_LOG_FORMAT="json")
    s3 = connect(server)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=BODY)
    shards = [path for root in roots for path in root.rglob("data.0")]
    assert len(shards) == 1
    good = shards[0].read_bytes()
    shards[0].write_bytes(good[:1000] + bytes([good[1000] ^ 1]) + good[1001:])
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == BODY
    wait_until(lambda: shards[0].read_bytes() == good)
    wait_until(lambda: metric(server.endpoint, "s3ish_repaired_total") == 1)
    wait_until(lambda: metric(server.endpoint, "s3ish_repairs_waiting") == 0)
    assert metric(server.endpoint, "s3ish_damage_total") == 1
    assert 0 <= metric(server.endpoint, "s3ish_scrub_progress_ratio") <= 1
    code, log = server.stop()
    assert code == 0
    assert '"event":"repaired"' in log
    assert "Traceback" not in log
