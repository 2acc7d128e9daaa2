"""What policies cost a server: processor time of small GETs that a policy decides, beside those that none does."""

import contextlib
import http.client
import json
import time
from urllib.parse import urlsplit

import boto3
import pytest

from tests.bench.bench_policies import CASES, document, scope, user_of

LEAST_TURNS, MOST_TURNS, REQUESTS = 20, 120, 10
"""What else the machine does can only add to the least of many turns: they go on until it is little enough."""
MOST = {"one": 1.10, "public": 1.10, "many": 1.25, "folders": 1.25, "callers": 1.25}
"""How many times the cost without a policy a request may cost, by the bucket of the case."""


def settings():
    """Return a file of settings with the users."""
    tables = []
    for case in CASES:
        user = user_of(case)
        policies = [document(case.policy)] if case.policy else []
        given = {"access_key": user.access_key, "secret_key": user.secret_key, "id": case.bucket, "policies": policies}
        tables.append("[[auth.users]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items()))
    return "\n".join(tables)


def consumed(pid):
    """Return the processor time of a process so far, in seconds: of the clock that clock_getcpuclockid(3) names."""
    return time.clock_gettime((~pid << 3) | 2)


@pytest.mark.slow
def test_a_policy_costs_a_tenth_of_a_request_and_one_of_100_statements_a_quarter(start_server, tmp_path):
    (tmp_path / "s3ish.toml").write_text(settings())
    variables = {"S3ISH_CONFIG": str(tmp_path / "s3ish.toml"), "S3ISH_FSYNC": "false"}
    server = start_server(tmp_path / "data", "--workers", "1", **variables)
    keys = {"aws_access_key_id": "s3ishadmin", "aws_secret_access_key": "s3ishadmin", "region_name": "us-east-1"}
    s3 = boto3.client("s3", endpoint_url=server.endpoint, **keys)
    for case in CASES:
        owner = s3
        if not case.policy and not case.bucket_policy:  # who makes a bucket owns it, and needs no policy
            own = {"aws_access_key_id": user_of(case).access_key, "aws_secret_access_key": user_of(case).secret_key}
            owner = boto3.client("s3", endpoint_url=server.endpoint, **keys | own)
        owner.create_bucket(Bucket=case.bucket)
        owner.put_object(Bucket=case.bucket, Key="k", Body=bytes(1024))
        if case.bucket_policy:
            owner.put_bucket_policy(Bucket=case.bucket, Policy=document(case.bucket_policy))
    netloc = urlsplit(server.endpoint).netloc
    asked = {case.bucket: scope(user_of(case), f"/{case.bucket}/k", netloc) for case in CASES}
    least = dict.fromkeys(asked, 1e9)
    with contextlib.closing(http.client.HTTPConnection(netloc, timeout=20)) as connection:
        for turn in range(MOST_TURNS):
            for bucket, it in asked.items():
                headers = {name.decode(): value.decode() for name, value in it["headers"]}
                began = consumed(server.process.pid)
                for _ in range(REQUESTS):
                    connection.request("GET", it["path"], headers=headers)
                    answer = connection.getresponse()
                    assert (answer.status, len(answer.read())) == (200, 1024), bucket
                least[bucket] = min(least[bucket], consumed(server.process.pid) - began)
            times = {bucket: least[bucket] / least["none"] for bucket in MOST}
            if turn >= LEAST_TURNS and all(times[bucket] <= most for bucket, most in MOST.items()):
                break
    print({bucket: f"{seconds / REQUESTS * 1e6:.1f} µs" for bucket, seconds in least.items()})
    assert {bucket: value for bucket, value in times.items() if value > MOST[bucket]} == {}, times
