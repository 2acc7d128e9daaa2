"""What conditions ask of a request and its caller, through the server: the values that AWS documents."""

import base64
import hashlib
import json

import pytest
from botocore.exceptions import ClientError

from tests.api.conftest import OTHER, ROOT
from tests.api.iam_support import allowing, client, code_of, of_session
from tests.api.test_post import BOUNDARY, form_of, signed

ACCOUNT = "000000000000"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture
def user(server, new_user):
    """A function that returns a client of a user with some statements."""

    def make(*statements, service="s3"):
        _, keys = new_user(document(*statements))
        return client(server, service, keys)

    return make


def asks(raw, s3, bucket, condition, keys=ROOT):
    """Whether a condition holds of a request for an object: a statement that denies it then."""
    own = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": own}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(statement | {"Condition": condition}))
    try:
        return raw("GET", f"/{bucket}/k", keys=keys).status == 403
    finally:
        s3.delete_bucket_policy(Bucket=bucket)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aws:userid", ACCOUNT),
        ("aws:PrincipalType", "Account"),
        ("aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:root"),
        ("aws:PrincipalAccount", ACCOUNT),
        ("aws:ResourceAccount", ACCOUNT),
        ("s3:ResourceAccount", ACCOUNT),
        ("aws:RequestedRegion", "us-east-1"),
        ("aws:ViaAWSService", "false"),
        ("aws:PrincipalIsAWSService", "false"),
        ("s3:authType", "REST-HEADER"),
        ("s3:signatureversion", "AWS4-HMAC-SHA256"),
    ],
)
def test_what_the_root_user_is(raw, s3, bucket, key, value):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert asks(raw, s3, bucket, {"StringEquals": {key: value}})
    assert not asks(raw, s3, bucket, {"StringNotEquals": {key: value}})


@pytest.mark.parametrize(
    "key",
    [
        "aws:username",
        "aws:CalledVia",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceVpce",
        "aws:PrincipalOrgID",
        "aws:TokenIssueTime",
        "aws:MultiFactorAuthAge",
        "aws:ResourceTag/a",
        "aws:AssumedRoot",
        "lambda:SourceFunctionArn",
        "s3:AccessGrantsInstanceArn",
        "s3:AccessPointTag/a",
        "s3:BucketTag/a",
        "s3:DataAccessPointArn",
        "s3:ExistingJobOperation",
        "s3:JobSuspendedCause",
        "s3:LocationConstraint",
        "s3:ObjectCreationOperation",
        "s3:TlsVersion",
        "s3:destinationRegion",
        "s3:if-match",
        "s3:x-amz-object-ownership",
    ],
)
def test_what_a_plain_read_of_the_root_user_does_not_have(raw, s3, bucket, key):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert asks(raw, s3, bucket, {"Null": {key: "true"}})
    assert not asks(raw, s3, bucket, {"StringLike": {key: "*"}})
    assert asks(raw, s3, bucket, {"StringNotLike": {key: "*"}})


def test_the_root_user_is_the_account_for_sts_too_and_another_one_in_a_role_that_is_but_a_name(server):
    sts = client(server, "sts", ROOT)
    assert sts.get_caller_identity()["UserId"] == ACCOUNT
    made = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/never-made", RoleSessionName="job")
    known = of_session(server, "sts", made["Credentials"]).get_caller_identity()
    assert known["UserId"] == made["AssumedRoleUser"]["AssumedRoleId"] == "never-made:job"
    assert known["Arn"] == made["AssumedRoleUser"]["Arn"]


def test_the_type_of_a_session_is_that_of_a_role_where_it_has_one(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    sts = client(server, "sts", ROOT)
    in_role = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/never-made", RoleSessionName="job")["Credentials"]
    for credentials, kind in ((in_role, "AssumedRole"), (sts.get_session_token()["Credentials"], "Account")):
        session = of_session(server, "s3", credentials)
        condition = {"StringNotEquals": {"aws:PrincipalType": kind}}
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
        s3.put_bucket_policy(Bucket=bucket, Policy=document(deny | {"Condition": condition}))
        assert session.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_signatures_of_version_2_have_no_age(raw, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    assert "AWSAccessKeyId=" in url
    path = "/" + url.split("/", 3)[3]
    for operator, status in (("NumericNotEquals", 200), ("NumericEquals", 403)):
        condition = {operator: {"s3:signatureAge": "0"}}
        s3.put_bucket_policy(Bucket=bucket, Policy=document(deny | {"Condition": condition}))
        assert raw("GET", path, keys=None).status == status


# --- what a body says -------------------------------------------------------------------------------------------------


@pytest.fixture
def named(s3):
    """A function that returns the name of a bucket to be, which is removed if it is made."""
    made = []

    def name(kind):
        made.append(f"conditions-{kind}")
        return made[-1]

    yield name
    for bucket in {*made} & {it["Name"] for it in s3.list_buckets()["Buckets"]}:
        s3.delete_bucket(Bucket=bucket)


def configuration(**parts):
    return {"CreateBucketConfiguration": parts}


def test_where_a_bucket_is_to_be_is_asked(user, named):
    def may(condition, **given):
        return user(allowing("s3:CreateBucket", Condition=condition)), given

    west = configuration(LocationConstraint="eu-west-1")
    inside = {"StringEquals": {"s3:LocationConstraint": "eu-west-1"}}
    # who has the right learns that this server makes none there, who has not learns nothing
    assert code_of(user(allowing("s3:CreateBucket", Condition=inside)).create_bucket, Bucket=named("a"), **west) == (
        "IllegalLocationConstraintException"
    )
    assert code_of(user(allowing("s3:CreateBucket", Condition=inside)).create_bucket, Bucket=named("b")) == (
        "AccessDenied"
    )
    unsaid = {"Null": {"s3:LocationConstraint": "true"}}
    user(allowing("s3:CreateBucket", Condition=unsaid)).create_bucket(Bucket=named("c"))
    refused = user(allowing("s3:CreateBucket", Condition=unsaid))
    assert code_of(refused.create_bucket, Bucket=named("d"), **west) == "AccessDenied"


def test_tags_of_a_new_bucket_need_a_right_and_are_asked(user, named, s3):
    blue = configuration(Tags=[{"Key": "team", "Value": "blue"}])
    assert code_of(user(allowing("s3:CreateBucket")).create_bucket, Bucket=named("a"), **blue) == "AccessDenied"
    both = ["s3:CreateBucket", "s3:TagResource"]
    condition = {
        "StringEquals": {"aws:RequestTag/team": "blue"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]},
    }
    limited = user(allowing(both, Condition=condition))
    limited.create_bucket(Bucket=named("b"), **blue)
    assert s3.get_bucket_tagging(Bucket="conditions-b")["TagSet"] == [{"Key": "team", "Value": "blue"}]
    for tags in (
        [],
        [{"Key": "team", "Value": "red"}],
        [*blue["CreateBucketConfiguration"]["Tags"], {"Key": "x", "Value": "y"}],
    ):
        assert code_of(limited.create_bucket, Bucket=named("c"), **configuration(Tags=tags)) == "AccessDenied"


def test_a_header_says_nothing_of_the_tags_of_a_new_bucket(raw, new_user, named):
    condition = {"StringEquals": {"aws:RequestTag/team": "blue"}}
    _, keys = new_user(document(allowing("s3:CreateBucket", Condition=condition)))
    answer = raw("PUT", f"/{named('a')}", headers={"x-amz-tagging": "team=blue"}, keys=keys)
    assert answer.status in (400, 403)


def test_who_may_not_make_buckets_is_told_so_before_the_body_is_looked_at(raw, named):
    assert raw("PUT", f"/{named('a')}", b"<no", keys=None).outcome == (403, "AccessDenied")


def test_the_fields_of_an_inventory_are_asked(user, s3, bucket):
    def put(client, *fields):
        arn = f"arn:aws:s3:::{bucket}"
        client.put_bucket_inventory_configuration(
            Bucket=bucket,
            Id="a",
            InventoryConfiguration={
                "Destination": {"S3BucketDestination": {"Bucket": arn, "Format": "CSV"}},
                "IsEnabled": True,
                "Id": "a",
                "IncludedObjectVersions": "All",
                "Schedule": {"Frequency": "Daily"},
                **({"OptionalFields": list(fields)} if fields else {}),
            },
        )

    condition = {"ForAnyValue:StringNotEquals": {"s3:InventoryAccessibleOptionalFields": ["Size", "ETag"]}}
    deny = {"Effect": "Deny", "Action": "s3:PutInventoryConfiguration", "Resource": "*", "Condition": condition}
    limited = user(allowing("s3:*"), deny)
    put(limited)
    put(limited, "Size")
    put(limited, "ETag", "Size")
    for fields in (("StorageClass",), ("Size", "StorageClass")):
        with pytest.raises(ClientError, match="AccessDenied"):
            put(limited, *fields)


# --- what makes an object ---------------------------------------------------------------------------------------------


def test_conditional_writes_can_be_demanded_of_what_makes_objects_alone(s3, bucket):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html"""
    condition = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_object(Bucket=bucket, Key="source", Body=b"x" * 5)
    s3.put_bucket_policy(Bucket=bucket, Policy=document(deny | {"Condition": condition}))
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"x") == "AccessDenied"
    source = {"Bucket": bucket, "Key": "source"}
    assert code_of(s3.copy_object, Bucket=bucket, Key="k", CopySource=source) == "AccessDenied"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", IfNoneMatch="*")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    named = {"Bucket": bucket, "Key": "m", "UploadId": upload}
    etag = s3.upload_part(**named, PartNumber=1, Body=b"x" * (5 << 20))["ETag"]
    copied = s3.upload_part_copy(**named, PartNumber=2, CopySource=source)["CopyPartResult"]["ETag"]
    parts = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in ((1, etag), (2, copied))]}
    assert code_of(s3.complete_multipart_upload, **named, MultipartUpload=parts) == "AccessDenied"
    s3.complete_multipart_upload(**named, MultipartUpload=parts, IfNoneMatch="*")
    s3.delete_bucket_policy(Bucket=bucket)


def test_encryption_that_is_demanded_where_a_list_goes_is_that_of_its_files(s3, bucket):
    """Whatever the request says of itself, which is no object."""

    def put(**encryption):
        where = {"Bucket": f"arn:aws:s3:::{bucket}", "Format": "CSV"} | encryption
        listed = {"IsEnabled": True, "Id": "a", "IncludedObjectVersions": "All", "Schedule": {"Frequency": "Daily"}}
        listed |= {"Destination": {"S3BucketDestination": where}}
        return {"Bucket": bucket, "Id": "a", "InventoryConfiguration": listed}

    def add(request, **_):
        request.headers["x-amz-server-side-encryption"] = "AES256"

    condition = {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(deny | {"Condition": condition}))
    s3.put_bucket_inventory_configuration(**put(Encryption={"SSES3": {}}))
    event = "before-sign.s3.PutBucketInventoryConfiguration"
    s3.meta.events.register(event, add)
    try:
        for encryption in ({}, {"Encryption": {"SSEKMS": {"KeyId": "alias/aws/s3"}}}):
            assert code_of(s3.put_bucket_inventory_configuration, **put(**encryption)) == "AccessDenied"
    finally:
        s3.meta.events.unregister(event, add)
    s3.delete_bucket_policy(Bucket=bucket)


UNDER_KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}


@pytest.mark.parametrize(
    ("condition", "begun", "each_part", "otherwise"),
    [
        (
            {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}},
            {"ServerSideEncryption": "AES256"},
            {},
            {"ServerSideEncryption": "aws:kms"},
        ),
        (
            {"Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "true"}},
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/aws/s3"},
            {},
            {"ServerSideEncryption": "AES256"},
        ),
        ({"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "true"}}, UNDER_KEY, UNDER_KEY, {}),
    ],
)
def test_encryption_that_is_demanded_is_that_with_which_an_upload_began(
    s3, bucket, condition, begun, each_part, otherwise
):
    """No part can say it, nor what ends the upload.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
    """
    s3.put_object(Bucket=bucket, Key="source", Body=b"x" * 5)
    plain = s3.create_multipart_upload(Bucket=bucket, Key="plain", **otherwise)["UploadId"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(deny | {"Condition": condition}))
    assert code_of(s3.create_multipart_upload, Bucket=bucket, Key="m", **otherwise) == "AccessDenied"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", **begun)["UploadId"]
    named = {"Bucket": bucket, "Key": "m", "UploadId": upload}
    etag = s3.upload_part(**named, PartNumber=1, Body=b"x" * (5 << 20), **each_part)["ETag"]
    source = {"Bucket": bucket, "Key": "source"}
    copied = s3.upload_part_copy(**named, PartNumber=2, CopySource=source, **each_part)["CopyPartResult"]["ETag"]
    parts = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in ((1, etag), (2, copied))]}
    s3.complete_multipart_upload(**named, MultipartUpload=parts)

    began_otherwise = {"Bucket": bucket, "Key": "plain", "UploadId": plain}
    assert code_of(s3.upload_part, **began_otherwise, PartNumber=1, Body=b"x") == "AccessDenied"
    another = {**began_otherwise, "UploadId": upload}  # of another key, and one that has ended
    assert code_of(s3.upload_part, **another, PartNumber=1, Body=b"x") == "AccessDenied"
    s3.delete_bucket_policy(Bucket=bucket)


@pytest.mark.parametrize("header", ["x-amz-copy-source", "x-amz-metadata-directive"])
def test_a_form_says_nothing_of_a_copy(raw, s3, bucket, new_user, header):
    """Else who may only copy could upload anything."""
    _, keys = new_user(document(allowing("s3:PutObject", Condition={"StringLike": {f"s3:{header}": "*"}})))
    fields = signed(
        {"key": "k", header: "source/public/x"},
        [{"bucket": bucket}, ["starts-with", "$key", ""], {header: "source/public/x"}],
        keys,
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    assert raw("POST", f"/{bucket}", form_of(fields.items()), headers, keys=None).outcome == (400, "InvalidArgument")
    assert code_of(s3.head_object, Bucket=bucket, Key="k") == "404"


# --- tags of buckets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["aws:ResourceTag/team", "s3:BucketTag/Team"])
def test_tags_of_a_bucket_count_where_that_is_enabled(s3, bucket, user, key):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "blue"}]})
    limited = user(allowing(["s3:GetObject", "s3:ListBucket"], Condition={"StringEquals": {key: "blue"}}))
    assert code_of(limited.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    s3.put_bucket_abac(Bucket=bucket, AbacStatus={"Status": "Enabled"})
    assert limited.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert limited.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "red"}]})
    assert code_of(limited.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "blue"}]})
    s3.put_bucket_abac(Bucket=bucket, AbacStatus={"Status": "Disabled"})
    assert code_of(limited.list_objects_v2, Bucket=bucket) == "AccessDenied"


@pytest.mark.parametrize(
    ("condition", "query", "headers"),
    [
        ({"StringLike": {"s3:prefix": "a/*"}}, "?prefix=a%2F", {}),
        ({"NumericEquals": {"s3:max-keys": "1"}}, "?max-keys=1", {}),
        ({"StringEquals": {"s3:x-amz-acl": "private"}}, "", {"x-amz-acl": "private"}),
        ({"StringEquals": {"s3:RequestObjectTag/a": "b"}}, "", {"x-amz-tagging": "a=b"}),
        ({"StringEquals": {"s3:if-none-match": "x"}}, "", {"if-none-match": "x"}),
        ({"StringEquals": {"s3:object-lock-mode": "GOVERNANCE"}}, "", {"x-amz-object-lock-mode": "GOVERNANCE"}),
    ],
)
def test_what_a_read_does_not_read_opens_nothing(raw, s3, bucket, new_user, condition, query, headers):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    _, keys = new_user(document(allowing("s3:*", Condition=condition)))
    assert raw("GET", f"/{bucket}/k{query}", headers=headers, keys=keys).outcome == (403, "AccessDenied")
    assert raw("GET", f"/{bucket}?location", headers=headers, keys=keys).outcome == (403, "AccessDenied")


@pytest.mark.parametrize("query", ["", "?prefix=a%2F"])
def test_what_a_read_does_not_read_tells_nothing_of_what_is_not_there(raw, s3, bucket, new_user, query):
    below = {"StringLike": {"s3:prefix": "a/*"}}
    _, keys = new_user(document(allowing("s3:GetObject"), allowing("s3:ListBucket", Condition=below)))
    assert raw("GET", f"/{bucket}/k{query}", keys=keys).outcome == (403, "AccessDenied")
    assert raw("HEAD", f"/{bucket}{query}", keys=keys).status == 403


def test_conditional_deletes_can_be_demanded_of_each_key_of_many(raw, s3, bucket):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-delete-enforce.html"""
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(deny | {"Condition": {"Null": {"s3:if-match": "true"}}}))
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    headers = {"If-Match": etag, "Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    assert b"<Code>AccessDenied</Code>" in raw("POST", f"/{bucket}?delete", body, headers).body
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"] == etag
    told = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "ETag": etag}]})
    assert [it["Key"] for it in told["Deleted"]] == ["k"]
    s3.delete_bucket_policy(Bucket=bucket)


@pytest.mark.parametrize(
    ("action", "condition", "more"),
    [
        ("CreateUser", {"StringEquals": {"aws:RequestTag/team": "blue"}}, {"Tags.member.1.Key": "team"}),
        ("AttachUserPolicy", {"StringEquals": {"aws:RequestTag/team": "blue"}}, {}),
        ("CreateAccessKey", {"ForAnyValue:StringEquals": {"aws:TagKeys": "team"}}, {}),
        ("UntagUser", {"StringEquals": {"aws:RequestTag/team": "blue"}}, {"TagKeys.member.1": "x"}),
        ("TagUser", {"ForAnyValue:StringEquals": {"aws:TagKeys": "other"}}, {"TagKeys.member.1": "other"}),
    ],
)
def test_tags_that_a_call_does_not_read_open_nothing(raw_iam, new_user, action, condition, more):
    name, keys = new_user(document(allowing("iam:*", Condition=condition)))
    given = {"Tags.member.1.Key": "team", "Tags.member.1.Value": "blue", "UserName": name}
    given |= {"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    expected = (409, "EntityAlreadyExists") if action == "CreateUser" else (403, "AccessDenied")
    assert raw_iam(keys, Action=action, **(given | more)) == expected


@pytest.mark.parametrize(
    ("resource", "listed"),
    [("*", True), ("arn:aws:s3:::*", True), ("arn:aws:s3:::team-*", False), ("arn:aws:s3:::*/*", False)],
)
def test_who_may_list_buckets_by_all_resources_of_the_service(user, resource, listed):
    client = user(allowing("s3:*", resource))
    if listed:
        assert "Buckets" in client.list_buckets()
    else:
        assert code_of(client.list_buckets) == "AccessDenied"


def test_another_account_is_no_user_of_the_account(raw, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    for key, value in (("aws:userid", "other"), ("aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:user/other")):
        s3.put_bucket_policy(Bucket=bucket, Policy=document(allow | {"Condition": {"StringEquals": {key: value}}}))
        assert raw("GET", f"/{bucket}/k", keys=OTHER).status == 200
        assert raw("GET", f"/{bucket}/k", keys=None).status == 403
