"""TLS from start to end: a stock client, several workers, conditions of policies, signals."""

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from s3ish.cli import cert
from s3ish.testing import Running
from tests.waiting import WAIT_SECONDS, wait_until


@pytest.fixture
def files(tmp_path):
    return make(tmp_path / "tls")


def make(folder):
    return cert.write(folder, ["localhost", "127.0.0.1"], datetime.now(UTC), days=1, replace=True)


def client(endpoint, files):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        verify=str(files.authority),
        region_name="us-east-1",
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        config=Config(retries={"max_attempts": 1}),
    )


def settings(files, **others):
    return {"S3ISH_TLS_CERTIFICATES": str(files.certificate), "S3ISH_TLS_KEYS": str(files.key), **others}


def get(url, files, version=None):
    """Ask once, on a connection of its own; return the status and the body."""
    trust = ssl.create_default_context(cafile=files.authority)
    if version:
        trust.minimum_version = trust.maximum_version = version
    try:
        with urllib.request.urlopen(url, context=trust) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def is_shown(endpoint, files):
    try:
        return get(f"{endpoint}/-/ready", files)[0] == 200
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLCertVerificationError):
            raise
        return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stock_client_stores_and_reads(start_server, tmp_path, files, workers):
    server = start_server(tmp_path / "data", **settings(files, S3ISH_WORKERS=workers))
    assert server.endpoint.startswith("https://127.0.0.1:")
    s3 = client(server.endpoint, files)
    s3.create_bucket(Bucket="bucket")
    body = os.urandom(100 << 20)
    s3.put_object(Bucket="bucket", Key="long", Body=body)
    assert s3.get_object(Bucket="bucket", Key="long")["Body"].read() == body
    url = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "long"})
    status, got = get(url, files)
    assert (status, len(got)) == (200, len(body))
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    tag = s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    done = s3.complete_multipart_upload(
        Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}
    )
    assert done["Location"].startswith(server.endpoint)
    code, log = server.stop()
    assert code == 0
    assert not re.search('"level":"(error|warning)"', log), log


@pytest.mark.parametrize("scripts", [{}, {"01.sh": "case $AWS_ENDPOINT_URL in http://127*) ;; *) exit 1; esac\n"}])
def test_the_profile_for_tests_speaks_tls_too(start_server, tmp_path, files, scripts):
    """Scripts of the start have plain HTTP on loopback: they need trust nothing."""
    (tmp_path / "init.d").mkdir()
    for name, text in scripts.items():
        (tmp_path / "init.d" / name).write_text(text)
    given = settings(files, S3ISH_SERVER_INIT_FOLDERS=str(tmp_path / "init.d"), S3ISH_SECRET_KEY="s3ishadmin")
    server = start_server("--test", S3ISH_ACCESS_KEY="s3ishadmin", **given)
    assert server.endpoint.startswith("https://127.0.0.1:")
    s3 = client(server.endpoint, files)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x" * 1_000_000)
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"x" * 1_000_000


def test_conditions_of_policies_see_the_transport(start_server, tmp_path, files):
    server = start_server(tmp_path / "data", **settings(files))
    s3 = client(server.endpoint, files)
    for bucket, condition in (
        ("secure", {"Bool": {"aws:SecureTransport": "true"}}),
        ("clear", {"Bool": {"aws:SecureTransport": "false"}}),
        ("new", {"NumericGreaterThanEquals": {"s3:TlsVersion": "1.3"}}),
        ("old", {"NumericLessThan": {"s3:TlsVersion": "1.3"}}),
    ):
        s3.create_bucket(Bucket=f"b-{bucket}")
        s3.put_object(Bucket=f"b-{bucket}", Key="k", Body=b"")
        s3.delete_public_access_block(Bucket=f"b-{bucket}")
        allow = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::b-{bucket}/*",
        }
        policy = {"Version": "2012-10-17", "Statement": [allow | {"Condition": condition}]}
        s3.put_bucket_policy(Bucket=f"b-{bucket}", Policy=json.dumps(policy))

    def seen(version):
        found = {
            name: get(f"{server.endpoint}/b-{name}/k", files, version)[0] for name in ("secure", "clear", "new", "old")
        }
        return {name for name, status in found.items() if status == 200}

    assert seen(ssl.TLSVersion.TLSv1_3) == {"secure", "new"}
    assert seen(ssl.TLSVersion.TLSv1_2) == {"secure", "old"}


def test_a_client_that_speaks_plain_http_is_told_so(start_server, tmp_path, files):
    server = start_server(tmp_path / "data", **settings(files))
    connection = http.client.HTTPConnection(server.endpoint.removeprefix("https://"), timeout=WAIT_SECONDS)
    connection.request("GET", "/bucket/key")
    answer = connection.getresponse()
    assert answer.status == 400
    assert b"https://" in answer.read()
    connection.close()
    _, log = server.stop()
    assert '"status":400,"error":"InvalidRequest"' in log


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("asked", [True, False], ids=["asked", "unasked"])
def test_new_files_are_used_by_every_worker(start_server, tmp_path, files, workers, asked):
    server = start_server(tmp_path / "data", **settings(files, S3ISH_WORKERS=workers))
    assert is_shown(server.endpoint, files)
    renewed = make(tmp_path / "tls")
    if asked:
        server.process.send_signal(signal.SIGHUP)
    for _ in range(20):
        wait_until(lambda: is_shown(server.endpoint, renewed))
    assert server.process.poll() is None
    code, log = server.stop()
    assert code == 0
    assert "the certificates have been read again" in log


def test_files_that_cannot_be_used_keep_the_server_from_starting(run_s3ish, tmp_path, files):
    other = make(tmp_path / "other")
    ran = run_s3ish("serve", "data", "--port", "0", **settings(files._replace(key=other.key)))
    assert (ran.returncode, ran.stdout) == (78, "")
    assert ran.stderr == f"s3ish: {other.key} is not the key of {files.certificate} (KEY_VALUES_MISMATCH)\n"
    assert not (tmp_path / "data").exists()


def test_cert_makes_what_serve_wants_and_says_how_to_trust_it(run_s3ish, start_server, tmp_path):
    ran = run_s3ish("cert", "--host", "s3.test", "--out", "tls")
    assert ran.returncode == 0, ran.stderr
    given = dict(re.findall(r"(\w+)=(\S+)", ran.stdout))
    assert Path(given["S3ISH_TLS_KEYS"]).stat().st_mode & 0o777 == 0o600
    server = start_server(
        tmp_path / "data", **{name: given[name] for name in ("S3ISH_TLS_CERTIFICATES", "S3ISH_TLS_KEYS")}
    )
    told = subprocess.run(
        [sys.executable, "-c", "import boto3; boto3.client('s3').list_buckets(); print('trusted')"],
        env=os.environ
        | {
            "AWS_CA_BUNDLE": given["AWS_CA_BUNDLE"],
            "AWS_ENDPOINT_URL": server.endpoint.replace("127.0.0.1", "localhost"),
            "AWS_ACCESS_KEY_ID": "s3ishadmin",
            "AWS_SECRET_ACCESS_KEY": "s3ishadmin",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_SECONDS,
    )
    assert told.stdout == "trusted\n", told.stderr
    checked = subprocess.run(
        [
            *("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "s3.test"),
            *("-CAfile", given["AWS_CA_BUNDLE"], given["S3ISH_TLS_CERTIFICATES"]),
        ],
        capture_output=True,
        check=False,
        timeout=WAIT_SECONDS,
    )
    assert checked.returncode == 0, checked.stderr


def test_commands_and_controls_trust_what_clients_do(run_s3ish, start_server, files, monkeypatch):
    server = start_server("--test", **settings(files))
    given = {"AWS_ENDPOINT_URL": server.endpoint, "S3ISH_ACCESS_KEY": "test", "S3ISH_SECRET_KEY": "test"}
    refused = run_s3ish("user", "ls", **given)
    assert (refused.returncode, "certificate verify failed" in refused.stderr) == (1, True)
    trusted = run_s3ish("user", "ls", "--json", **given, AWS_CA_BUNDLE=str(files.authority))
    assert (trusted.returncode, trusted.stdout) == (0, "[]\n"), trusted.stderr
    wrong = run_s3ish("user", "ls", **given, AWS_CA_BUNDLE="none.pem")
    assert wrong.stderr == "s3ish: AWS_CA_BUNDLE: cannot read none.pem: No such file or directory\n"
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with pytest.raises(ssl.SSLCertVerificationError):
        Running(server.endpoint).reset()
    monkeypatch.setenv("AWS_CA_BUNDLE", "none.pem")
    with pytest.raises(OSError, match=r"^AWS_CA_BUNDLE: cannot read none\.pem: No such file or directory$"):
        Running(server.endpoint).reset()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(files.authority))
    Running(server.endpoint).reset()


def test_cert_replaces_nothing_unless_told_to(run_s3ish, tmp_path):
    assert run_s3ish("cert").returncode == 0
    before = (tmp_path / "s3ish-tls/key.pem").read_bytes()
    refused = run_s3ish("cert")
    assert refused.returncode == 1
    assert "is there already; --force replaces" in refused.stderr
    assert (tmp_path / "s3ish-tls/key.pem").read_bytes() == before
    assert run_s3ish("cert", "--force").returncode == 0
    assert (tmp_path / "s3ish-tls/key.pem").read_bytes() != before


@pytest.mark.parametrize("host", ["", "a b", "a/b", "\u00fc.test", "*"])
def test_cert_refuses_what_is_no_host(run_s3ish, host):
    ran = run_s3ish("cert", "--host", host)
    assert ran.returncode == 2
    assert "is neither the name nor the address of a host" in ran.stderr
