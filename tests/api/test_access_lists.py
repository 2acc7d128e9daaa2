"""Access lists as documents and headers: what is refused of them, and what ownership makes of them."""

import json

import pytest

from tests.api.iam_support import client, code_of

EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
LIST = (
    '<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>{owner}</ID></Owner>'
    '<AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="{kind}">'
    "{grantee}</Grantee><Permission>{permission}</Permission></Grant></AccessControlList></AccessControlPolicy>"
)


def own(s3, bucket, ownership):
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]})


@pytest.fixture
def listed(s3, new_bucket):
    """A bucket in which access lists count, with an object."""
    bucket = new_bucket()
    own(s3, bucket, "ObjectWriter")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    return bucket


@pytest.mark.parametrize(
    "grant",
    [
        {"ACL": "public-read"},
        {"ACL": "authenticated-read"},
        {"ACL": "log-delivery-write"},
        {"GrantRead": "id=other"},
    ],
)
def test_no_bucket_whose_list_gives_others_something_is_its_owners_alone(s3, listed, refused, grant):
    s3.put_bucket_acl(Bucket=listed, **grant)
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    refused(
        "InvalidBucketAclWithObjectOwnership",
        400,
        s3.put_bucket_ownership_controls,
        Bucket=listed,
        OwnershipControls=enforced,
    )
    assert s3.get_bucket_ownership_controls(Bucket=listed)["OwnershipControls"]["Rules"] != enforced["Rules"]
    own(s3, listed, "BucketOwnerPreferred")
    s3.put_bucket_acl(Bucket=listed, ACL="private")
    own(s3, listed, "BucketOwnerEnforced")


def test_where_lists_have_no_meaning_they_show_the_owner_of_the_bucket(s3, other, listed):
    s3.put_bucket_acl(Bucket=listed, GrantWrite="id=other")
    s3.put_object_acl(Bucket=listed, Key="k", ACL="public-read")
    other.put_object(Bucket=listed, Key="theirs", Body=b"x")
    s3.put_bucket_acl(Bucket=listed, ACL="private")
    own(s3, listed, "BucketOwnerEnforced")
    whole = s3.get_bucket_acl(Bucket=listed)
    for key in ("k", "theirs"):
        found = s3.get_object_acl(Bucket=listed, Key=key)
        assert (found["Owner"], found["Grants"]) == (whole["Owner"], whole["Grants"])
    own(s3, listed, "ObjectWriter")
    assert {"Type": "Group", "URI": EVERYBODY} in [
        grant["Grantee"] for grant in s3.get_object_acl(Bucket=listed, Key="k")["Grants"]
    ]
    s3.put_bucket_acl(Bucket=listed, ACL="public-read")
    s3.delete_bucket_ownership_controls(Bucket=listed)
    assert s3.get_bucket_acl(Bucket=listed)["Grants"] == whole["Grants"]


@pytest.mark.parametrize("path", ["?acl", "/k?acl"])
@pytest.mark.parametrize(
    "text",
    [
        "<AccessControlPolicy/>",
        "<AccessControlPolicy><AccessControlList/></AccessControlPolicy>",
        "<AccessControlPolicy><Owner/><AccessControlList/></AccessControlPolicy>",
        "<Other/>",
        "no document",
        "<AccessControlPolicy>",
        LIST.format(owner="x", kind="CanonicalUser", grantee="<ID>other</ID>", permission="EVERYTHING"),
        LIST.format(owner="x", kind="CanonicalUser", grantee="<Name>other</Name>", permission="READ"),
        LIST.format(owner="x", kind="Somebody", grantee="<ID>other</ID>", permission="READ"),
        LIST.format(owner="x", kind="CanonicalUser", grantee="", permission="READ"),
    ],
)
def test_a_document_that_is_no_access_list(raw, listed, path, text):
    assert raw("PUT", f"/{listed}{path}", text).outcome == (400, "MalformedACLError")


@pytest.mark.parametrize("path", ["?acl", "/k?acl"])
@pytest.mark.parametrize(
    ("kind", "grantee", "argument", "value"),
    [
        ("CanonicalUser", "<ID>nobody</ID>", "CanonicalUser/ID", "nobody"),
        ("CanonicalUser", "<ID>no body</ID>", "CanonicalUser/ID", "no body"),
        ("Group", "<URI>http://group</URI>", "Group/URI", "http://group"),
    ],
)
def test_a_grantee_in_a_document_who_is_not_there(s3, raw, listed, path, kind, grantee, argument, value):
    owner = s3.get_bucket_acl(Bucket=listed)["Owner"]["ID"]
    text = LIST.format(owner=owner, kind=kind, grantee=grantee, permission="READ")
    answer = raw("PUT", f"/{listed}{path}", text)
    assert answer.outcome == (400, "InvalidArgument")
    assert (answer.xml.findtext("ArgumentName"), answer.xml.findtext("ArgumentValue")) == (argument, value)


@pytest.mark.parametrize("path", ["?acl", "/k?acl", "/new"])
@pytest.mark.parametrize("header", ["x-amz-grant-read", "x-amz-grant-full-control", "x-amz-grant-read-acp"])
@pytest.mark.parametrize(
    ("text", "argument", "value"),
    [
        ("somebody", None, "somebody"),
        ("name=somebody", None, "name=somebody"),
        ("id=nobody", "id", "nobody"),
        ('URI="http://group"', "uri", "http://group"),
    ],
)
def test_a_grantee_in_a_header_who_is_not_there(raw, listed, path, header, text, argument, value):
    answer = raw("PUT", f"/{listed}{path}", "x" if path == "/new" else b"", headers={header: text})
    assert answer.outcome == (400, "InvalidArgument")
    assert (answer.xml.findtext("ArgumentName"), answer.xml.findtext("ArgumentValue")) == (argument or header, value)


# --- who makes an object for a bucket of another account --------------------------------------------------------------


def allow(s3, bucket, *more, **condition):
    """Allow another account to write to a bucket, and nothing else."""
    named = {"Principal": {"CanonicalUser": "other"}, "Resource": f"arn:aws:s3:::{bucket}/*"}
    writes = {"Effect": "Allow", "Action": "s3:PutObject", **named, "Condition": condition}
    statements = [writes, *(statement | named for statement in more)]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))


@pytest.mark.parametrize("ownership", ["ObjectWriter", "BucketOwnerPreferred", "BucketOwnerEnforced"])
def test_who_may_write_may_give_the_owner_of_the_bucket_full_control(s3, other, listed, ownership):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies-condition-keys.html"""
    own(s3, listed, ownership)
    allow(s3, listed, StringEquals={"s3:x-amz-acl": "bucket-owner-full-control"})
    where, full = {"Bucket": listed, "Key": "new"}, {"ACL": "bucket-owner-full-control"}
    assert code_of(other.put_object, **where, Body=b"x") == "AccessDenied"
    other.put_object(**where, Body=b"x", **full)
    other.put_object(**where, Body=b"xy", **full)
    other.create_multipart_upload(**where, **full)
    assert s3.get_object(**where)["Body"].read() == b"xy"
    allow(s3, listed, {"Effect": "Deny", "Action": "s3:PutObjectAcl"})
    assert code_of(other.put_object, **where, Body=b"x", **full) == "AccessDenied"


def test_who_may_write_may_name_the_owner_of_the_bucket_in_a_grant(s3, other, listed):
    grant = f"id={s3.get_bucket_acl(Bucket=listed)['Owner']['ID']}"
    allow(s3, listed, StringEquals={"s3:x-amz-grant-full-control": grant})
    assert code_of(other.put_object, Bucket=listed, Key="new", Body=b"x") == "AccessDenied"
    other.put_object(Bucket=listed, Key="new", Body=b"x", GrantFullControl=grant)
    assert code_of(other.put_object_acl, Bucket=listed, Key="k", ACL="public-read") == "AccessDenied"


def test_a_user_needs_the_right_to_write_lists_from_its_own_account(s3, server, other, new_user, new_bucket):
    bucket = f"{new_bucket()}-other"
    other.create_bucket(Bucket=bucket, ObjectOwnership="ObjectWriter")
    writes = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
    _, keys = new_user(json.dumps({"Version": "2012-10-17", "Statement": [writes]}))
    lists = writes | {"Action": ["s3:PutObject", "s3:PutObjectAcl"]}
    _, more = new_user(json.dumps({"Version": "2012-10-17", "Statement": [lists]}))
    shared = writes | {"Principal": "*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    other.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [shared]}))
    put = {"Bucket": bucket, "Key": "k", "Body": b"x", "ACL": "bucket-owner-full-control"}
    assert code_of(client(server, "s3", keys).put_object, **put) == "AccessDenied"
    client(server, "s3", more).put_object(**put)
    assert other.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_who_began_an_upload_may_look_at_it_and_end_it(s3, other, listed):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions"""
    allow(s3, listed)
    where = {"Bucket": listed, "Key": "new"}
    foreign = s3.create_multipart_upload(**where)["UploadId"]
    for call in (other.list_parts, other.abort_multipart_upload):
        assert code_of(call, **where, UploadId=foreign) == "AccessDenied"
        assert code_of(call, **where, UploadId="none") == "AccessDenied"
    own = other.create_multipart_upload(**where)["UploadId"]
    other.upload_part(**where, UploadId=own, PartNumber=1, Body=b"x")
    assert [part["Size"] for part in other.list_parts(**where, UploadId=own)["Parts"]] == [1]
    assert code_of(other.list_parts, Bucket=listed, Key="k", UploadId=own) == "AccessDenied"
    allow(s3, listed, {"Effect": "Deny", "Action": ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]})
    for call in (other.list_parts, other.abort_multipart_upload):
        assert code_of(call, **where, UploadId=own) == "AccessDenied"
    allow(s3, listed)
    other.abort_multipart_upload(**where, UploadId=own)
    assert [upload["UploadId"] for upload in s3.list_multipart_uploads(Bucket=listed)["Uploads"]] == [foreign]
