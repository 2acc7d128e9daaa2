"""Who may have the server write logs and lists into a bucket: only those who may write there themselves."""

import json
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError

from tests.api.iam_support import allowing, client
from tests.waiting import wait_until


def _policy(*resources):
    return json.dumps({"Version": "2012-10-17", "Statement": [allowing("s3:*", list(resources))]})


def _log(s3, bucket, target):
    s3.put_bucket_logging(
        Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": "x/"}}
    )


def _list(s3, bucket, target):
    where = {"Bucket": f"arn:aws:s3:::{target}", "Format": "CSV", "Prefix": "x"}
    s3.put_bucket_inventory_configuration(
        Bucket=bucket,
        Id="all",
        InventoryConfiguration={
            "Id": "all",
            "IsEnabled": True,
            "IncludedObjectVersions": "Current",
            "Schedule": {"Frequency": "Daily"},
            "Destination": {"S3BucketDestination": where},
        },
    )


def _goes(ask, *arguments):
    with suppress(ClientError):
        ask(*arguments)
        return True
    return False


@pytest.mark.parametrize("ask", [_log, _list])
def test_nobody_has_reports_written_where_they_may_not_write(server, new_bucket, new_user, refused, iam, ask):
    bucket, target = new_bucket(), new_bucket()
    own = f"arn:aws:s3:::{bucket}"
    name, keys = new_user(_policy(own, f"{own}/*"))
    s3 = client(server, "s3", keys)
    refused("AccessDenied", 403, ask, s3=s3, bucket=bucket, target=target)
    there = _policy(f"arn:aws:s3:::{target}/x*")
    iam.put_user_policy(UserName=name, PolicyName="there", PolicyDocument=there)
    wait_until(lambda: _goes(ask, s3, bucket, target))
