"""Who may have the server write logs and lists into a bucket: only those who may write there themselves."""

import json
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError

from tests.api.iam_support import allowing, client
from tests.waiting import wait_until


def _policy(*resources, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [allowing("s3:*", list(resources)) | more]})


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


def _replicate(s3, bucket, target):
    filtered = {"ID": "all", "Status": "Enabled", "Priority": 1, "Filter": {"Prefix": "x/"}}
    rule = filtered | {
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{target}"},
    }
    configuration = {"Role": "arn:aws:iam::000000000000:role/any", "Rules": [rule]}
    s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration=configuration)


def _goes(ask, *arguments):
    with suppress(ClientError):
        ask(*arguments)
        return True
    return False


@pytest.mark.parametrize("ask", [_log, _list, _replicate])
def test_nobody_has_reports_written_where_they_may_not_write(server, new_bucket, new_user, refused, iam, ask):
    bucket, target = new_bucket("Enabled"), new_bucket("Enabled")
    own = f"arn:aws:s3:::{bucket}"
    name, keys = new_user(_policy(own, f"{own}/*"))
    s3 = client(server, "s3", keys)
    refused("AccessDenied", 403, ask, s3=s3, bucket=bucket, target=target)
    there = _policy(f"arn:aws:s3:::{target}/x*")
    iam.put_user_policy(UserName=name, PolicyName="there", PolicyDocument=there)
    wait_until(lambda: _goes(ask, s3, bucket, target))


@pytest.mark.parametrize("ask", [_log, _list, _replicate])
@pytest.mark.parametrize("denies", ["user", "bucket"])
def test_a_denial_of_a_part_of_where_it_goes_denies_the_whole(server, s3, new_bucket, new_user, iam, ask, denies):
    """The server writes there later, and does not ask then whom the user may not write as."""
    bucket, target = new_bucket("Enabled"), new_bucket("Enabled")
    name, keys = new_user(_policy("*"))
    user = client(server, "s3", keys)
    wait_until(lambda: _goes(ask, user, bucket, target))
    part = [f"arn:aws:s3:::{target}/x/20*", f"arn:aws:s3:::{target}/x/{bucket}/all/data/*"]
    if denies == "user":
        iam.put_user_policy(UserName=name, PolicyName="no", PolicyDocument=_policy(*part, Effect="Deny"))
    else:
        whom = {"Principal": {"AWS": f"arn:aws:iam::000000000000:user/{name}"}}
        s3.put_bucket_policy(Bucket=target, Policy=_policy(*part, Effect="Deny", **whom))
    wait_until(lambda: not _goes(ask, user, bucket, target))


def test_no_list_goes_where_a_bucket_comes_later(server, new_bucket, new_user, refused):
    bucket = new_bucket()
    _, keys = new_user(_policy(f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"))
    refused("AccessDenied", 403, _list, s3=client(server, "s3", keys), bucket=bucket, target=f"{bucket}-later")
