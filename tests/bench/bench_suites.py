"""A suite of 200 small tests, run three ways: ``python -m tests.bench.bench_suites [ROUNDS]``.

By the fixtures of s3ish, by ``mock_aws`` of moto in each test, and by one server process for the run with a bucket for
each test. Prints medians of the wall time and of the processor time of the whole run, taken in turns. Needs moto.
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.inner_pytest import run_pytest

TESTS = 200

BODY = """
    s3.put_object(Bucket=bucket, Key="a", Body=b"x" * 1000, Metadata={"n": "1"})
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x" * 1000
    s3.head_object(Bucket=bucket, Key="a")
    s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    s3.delete_object(Bucket=bucket, Key="a")
    s3.delete_object(Bucket=bucket, Key="b")
"""

WAYS = {
    "the fixtures of s3ish": f"""
import pytest

@pytest.mark.parametrize("number", range({TESTS}))
def test_it(number, s3ish_client, s3ish_bucket):
    s3, bucket = s3ish_client, s3ish_bucket
{BODY}
""",
    "mock_aws of moto": f"""
import boto3, pytest
from moto import mock_aws

@pytest.mark.parametrize("number", range({TESTS}))
@mock_aws
def test_it(number):
    s3, bucket = boto3.client("s3", region_name="us-east-1"), "bucket"
    s3.create_bucket(Bucket=bucket)
{BODY}
""",
    "one server process, a bucket a test": f"""
import os, re, subprocess, sys
import boto3, pytest

@pytest.fixture(scope="session")
def s3():
    command = [sys.executable, "-m", "s3ish", "serve", "--test", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        endpoint = next(re.search("endpoint +(.*)", line)[1] for line in process.stdout if "endpoint" in line)
        yield boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        process.terminate()
        process.stdout.read()

@pytest.mark.parametrize("number", range({TESTS}))
def test_it(number, s3):
    bucket = f"bucket-{{number}}"
    s3.create_bucket(Bucket=bucket)
{BODY}
    s3.delete_bucket(Bucket=bucket)
""",
}


def run(name, folder):
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    ended = run_pytest(folder, name, environment=environment, **keys)
    assert f"{TESTS} passed" in ended.stdout, ended.stdout[-2000:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, cpu


def main(rounds):
    taken = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(WAYS.values()):
            (Path(folder) / f"test_{number}.py").write_text(text)
        for _ in range(rounds):
            for number, way in enumerate(WAYS):
                taken[way].append(run(f"test_{number}.py", folder))
    for way, figures in taken.items():
        for kind, values in zip(("wall", "processor"), zip(*figures, strict=True), strict=True):
            print(f"{way:38} {kind:9} {statistics.median(values):6.1f} s ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
