"""Queries on a store in memory, whose time tests set."""

from contextlib import closing
from datetime import UTC, datetime

import boto3

from s3ish.testing import Server


def test_utcnow_is_the_time_of_the_service():
    with Server() as server:
        keys = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
        server.clock.set(datetime(2031, 1, 2, tzinfo=UTC))
        s3 = boto3.client("s3", endpoint_url=server.endpoint, region_name=server.region, **keys)
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="k", Body=b"a\n")
        answer = s3.select_object_content(
            Bucket="bucket",
            Key="k",
            Expression="SELECT EXTRACT(year FROM UTCNOW()) FROM S3Object",
            ExpressionType="SQL",
            InputSerialization={"CSV": {}},
            OutputSerialization={"CSV": {}},
        )
        with closing(answer["Payload"]) as stream:
            assert next(iter(stream)) == {"Records": {"Payload": b"2031\n"}}
