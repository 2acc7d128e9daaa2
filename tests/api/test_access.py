"""Who may do what with a bucket: its policy, its access list, ownership and the public access block."""

import base64
import hashlib
import json

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.api.conftest import OTHER, ROOT

WAYS = ("header", "url", "form")

OTHER_ARN = "arn:aws:iam::000000000000:user/other"
DO_NOT_APPLY = "Conditions do not apply to combination of actions and resources in statement"
EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"


def policy_of(bucket, action, principal="*", effect="Allow", resource="/*", **more):
    resources = [f"arn:aws:s3:::{bucket}{resource}"]
    statement = {"Effect": effect, "Principal": principal, "Action": action, "Resource": resources} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def shared(s3, new_bucket):
    """A bucket of the root user with an object in it."""
    bucket = new_bucket()
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    return bucket


def test_a_policy_comes_back_as_it_was_put(s3, shared, refused):
    refused("NoSuchBucketPolicy", 404, s3.get_bucket_policy, Bucket=shared)
    policy = policy_of(shared, "s3:GetObject")
    answer = s3.put_bucket_policy(Bucket=shared, Policy=policy)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_bucket_policy(Bucket=shared)["Policy"] == policy
    assert s3.get_bucket_policy_status(Bucket=shared)["PolicyStatus"]["IsPublic"] is True
    s3.delete_bucket_policy(Bucket=shared)
    refused("NoSuchBucketPolicy", 404, s3.get_bucket_policy, Bucket=shared)


def test_a_policy_is_as_long_as_s3_lets_it_be(s3, shared, refused):
    policy = policy_of(shared, "s3:GetObject")
    s3.put_bucket_policy(Bucket=shared, Policy=policy.ljust(20_480))
    answer = refused("MalformedPolicy", 400, s3.put_bucket_policy, Bucket=shared, Policy=policy.ljust(20_481))
    assert answer["Error"]["Message"] == "Policy exceeds the maximum allowed document size."
    assert len(s3.get_bucket_policy(Bucket=shared)["Policy"]) == 20_480


def test_a_public_read_bucket_is_read_by_anonymous_callers_and_not_written(s3, shared, raw):
    assert raw("GET", f"/{shared}/k", keys=None).outcome == (403, "AccessDenied")
    s3.put_bucket_policy(Bucket=shared, Policy=policy_of(shared, "s3:GetObject"))
    answer = raw("GET", f"/{shared}/k", keys=None)
    assert (answer.status, answer.body) == (200, b"body")
    assert raw("PUT", f"/{shared}/new", "x", keys=None).outcome == (403, "AccessDenied")
    assert raw("GET", f"/{shared}", keys=None).outcome == (403, "AccessDenied")
    s3.delete_bucket_policy(Bucket=shared)
    assert raw("GET", f"/{shared}/k", keys=None).outcome == (403, "AccessDenied")


@pytest.mark.parametrize("keys", [None, OTHER], ids=["anonymous", "another account"])
def test_of_a_batch_those_keys_are_removed_that_a_policy_gives(s3, shared, raw, keys):
    for key in ("inbox/a", "inbox/b", "inbox/kept"):
        s3.put_object(Bucket=shared, Key=key, Body=b"x")
    statements = [
        {"Effect": effect, "Principal": "*", "Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{shared}/{key}"}
        for effect, key in (("Allow", "inbox/*"), ("Deny", "inbox/kept"))
    ]
    s3.put_bucket_policy(Bucket=shared, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    named = "".join(
        f"<Object><Key>{key}</Key></Object>" for key in ("inbox/a", "k", "inbox/kept", "inbox/b", "inbox/c")
    )
    body = f"<Delete>{named}<Object><Key>inbox/a</Key><VersionId>null</VersionId></Object></Delete>".encode()
    digest = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    answer = raw("POST", f"/{shared}?delete", body, digest, keys=keys)
    assert answer.status == 200
    assert [it.text for it in answer.xml.findall("Deleted/Key")] == ["inbox/a", "inbox/b", "inbox/c"]
    errors = [[part.text for part in it] for it in answer.xml.findall("Error")]
    denied = ["AccessDenied", "Access Denied"]
    assert errors == [["k", *denied], ["inbox/kept", *denied], ["inbox/a", "null", *denied]]
    assert [it["Key"] for it in s3.list_objects_v2(Bucket=shared)["Contents"]] == ["inbox/kept", "k"]


def test_who_may_not_list_does_not_learn_what_is_missing(s3, shared, raw, other):
    s3.put_bucket_policy(Bucket=shared, Policy=policy_of(shared, "s3:GetObject"))
    assert raw("GET", f"/{shared}/missing", keys=None).outcome == (403, "AccessDenied")
    both = json.loads(policy_of(shared, "s3:GetObject"))
    both["Statement"] += json.loads(policy_of(shared, "s3:ListBucket", resource=""))["Statement"]
    s3.put_bucket_policy(Bucket=shared, Policy=json.dumps(both))
    assert raw("GET", f"/{shared}/missing", keys=None).outcome == (404, "NoSuchKey")


def test_who_may_list_by_an_access_list_learns_what_is_missing(s3, new_bucket, raw, other, limited, refused):
    """There is no object then whose own list could give the right."""
    bucket = new_bucket()
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_object(Bucket=bucket, Key="closed", Body=b"x")
    assert raw("GET", f"/{bucket}/missing", keys=None).outcome == (403, "AccessDenied")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert raw("GET", f"/{bucket}/missing", keys=None).outcome == (404, "NoSuchKey")
    assert raw("HEAD", f"/{bucket}/missing", keys=None).status == 404
    assert raw("GET", f"/{bucket}/closed", keys=None).outcome == (403, "AccessDenied")
    refused("NoSuchKey", 404, other.get_object, Bucket=bucket, Key="missing")
    refused("NoSuchKey", 404, other.get_object_acl, Bucket=bucket, Key="missing")
    refused("AccessDenied", 403, other.get_object, Bucket=bucket, Key="closed")
    refused("AccessDenied", 403, limited.get_object, Bucket=bucket, Key="missing")
    deny = policy_of(bucket, "s3:GetObject", effect="Deny", Sid="closed")
    s3.put_bucket_policy(Bucket=bucket, Policy=deny)
    assert raw("GET", f"/{bucket}/missing", keys=None).outcome == (403, "AccessDenied")


def test_anonymous_callers_learn_which_buckets_there_are(shared, raw):
    for method, path in (("GET", ""), ("GET", "/k"), ("PUT", "/k"), ("GET", "?location"), ("DELETE", "/k")):
        assert raw(method, f"/{shared}-absent{path}", keys=None).outcome == (404, "NoSuchBucket")
        assert raw(method, f"/{shared}{path}", keys=None).outcome == (403, "AccessDenied")
    assert raw("HEAD", f"/{shared}-absent", keys=None).status == 404


def test_another_user_has_what_a_policy_gives_it(s3, other, shared, refused):
    refused("AccessDenied", 403, other.put_object, Bucket=shared, Key="new", Body=b"")
    s3.put_bucket_policy(Bucket=shared, Policy=policy_of(shared, "s3:PutObject", {"AWS": OTHER_ARN}))
    other.put_object(Bucket=shared, Key="new", Body=b"")
    refused("AccessDenied", 403, other.get_object, Bucket=shared, Key="new")
    assert s3.get_object_acl(Bucket=shared, Key="new")["Owner"] == s3.list_buckets()["Owner"]


def test_what_a_policy_denies_is_denied_to_the_owner_too_but_for_the_policy_itself(s3, shared, refused):
    s3.put_bucket_policy(Bucket=shared, Policy=policy_of(shared, "s3:*", effect="Deny", Sid="closed"))
    refused("AccessDenied", 403, s3.get_object, Bucket=shared, Key="k")
    s3.put_bucket_policy(Bucket=shared, Policy=policy_of(shared, "s3:*", effect="Deny", resource=""))
    refused("AccessDenied", 403, s3.get_bucket_location, Bucket=shared)
    assert s3.get_bucket_policy(Bucket=shared)["Policy"]
    s3.delete_bucket_policy(Bucket=shared)
    s3.get_object(Bucket=shared, Key="k")


def test_conditions_are_asked(s3, shared, raw):
    condition = {"StringLike": {"aws:UserAgent": "good*"}}
    s3.put_bucket_policy(Bucket=shared, Policy=policy_of(shared, "s3:GetObject", Condition=condition))
    assert raw("GET", f"/{shared}/k", headers={"User-Agent": "goodness"}, keys=None).status == 200
    assert raw("GET", f"/{shared}/k", headers={"User-Agent": "bad"}, keys=None).status == 403


def by(server, version):
    """A client of the root user that signs by a version."""
    config = Config(signature_version=version, retries={"max_attempts": 0}, s3={"addressing_style": "path"})
    keys = {"aws_access_key_id": ROOT[0], "aws_secret_access_key": ROOT[1]}
    return boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", config=config, **keys)


def is_denied(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


@pytest.mark.parametrize(
    ("operator", "key", "value", "denied"),
    [
        ("StringEquals", "s3:signatureversion", "AWS", {"header 2", "url 2", "form 2"}),
        ("StringNotEquals", "s3:signatureversion", "AWS4-HMAC-SHA256", {"header 2", "url 2", "form 2"}),
        ("StringEquals", "s3:authType", "REST-HEADER", {"header 2", "header 4"}),
        ("StringEquals", "s3:authType", "REST-QUERY-STRING", {"url 2", "url 4"}),
        ("StringEquals", "s3:authType", "POST", {"form 2", "form 4"}),
        ("StringEquals", "s3:x-amz-content-sha256", "UNSIGNED-PAYLOAD", {"url 4"}),
        ("NumericLessThan", "s3:signatureAge", "60000", {f"{way} {n}" for way in WAYS for n in (2, 4)}),
        ("NumericEquals", "s3:signatureAge", "0", {"header 2", "url 2", "form 2"}),
        ("NumericGreaterThan", "s3:signatureAge", "60000", set()),
        ("StringEquals", "aws:RequestedRegion", "us-east-1", {f"{way} {n}" for way in WAYS for n in (2, 4)}),
        ("StringEquals", "aws:RequestedRegion", "eu-west-1", set()),
    ],
)
def test_conditions_on_how_a_request_is_signed(server, s3, shared, operator, key, value, denied):
    condition = {"Condition": {operator: {key: value}}}
    s3.put_bucket_policy(
        Bucket=shared, Policy=policy_of(shared, ["s3:GetObject", "s3:PutObject"], effect="Deny", **condition)
    )
    found = set()
    for number, version in ((2, "s3"), (4, "s3v4")):
        client = by(server, version)
        if is_denied(client.get_object, Bucket=shared, Key="k"):
            found.add(f"header {number}")
        url = client.generate_presigned_url("get_object", Params={"Bucket": shared, "Key": "k"})
        form = client.generate_presigned_post(shared, "form")
        for way, answer in (
            ("url", urllib3.request("GET", url)),
            ("form", urllib3.request("POST", form["url"], fields=form["fields"] | {"file": ("f", b"x")})),
        ):
            assert answer.status in (200, 204, 403)
            found |= {f"{way} {number}"} if answer.status == 403 else set()
    assert found == denied


def test_what_anonymous_callers_may_not_whatever_a_policy_gives(s3, raw, shared):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpu-process
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    """
    s3.put_bucket_policy(Bucket=shared, Policy=policy_of(shared, "s3:*", principal="*"))
    upload = s3.create_multipart_upload(Bucket=shared, Key="m")["UploadId"]
    source = {"x-amz-copy-source": f"{shared}/k"}
    for method, path, headers, what in (
        ("POST", f"/{shared}/new?uploads", {}, "initiate multipart uploads"),
        ("PUT", f"/{shared}/new", source, "copy objects"),
        ("PUT", f"/{shared}/m?partNumber=1&uploadId={upload}", source, "copy objects"),
    ):
        answer = raw(method, path, headers=headers, keys=None)
        assert answer.outcome == (403, "AccessDenied")
        assert answer.xml.findtext("Message") == f"Anonymous users cannot {what}.  Please authenticate."
    assert raw("PUT", f"/{shared}/m?partNumber=1&uploadId={upload}", "x", keys=None).status == 200
    assert raw("PUT", f"/{shared}/new", "x", keys=None).status == 200


def test_the_keys_of_a_batch_are_decided_one_by_one(s3, other, shared):
    s3.put_object(Bucket=shared, Key="keep", Body=b"")
    s3.put_bucket_policy(Bucket=shared, Policy=policy_of(shared, "s3:DeleteObject", {"AWS": OTHER_ARN}, resource="/k"))
    answer = other.delete_objects(Bucket=shared, Delete={"Objects": [{"Key": "k"}, {"Key": "keep"}]})
    assert [item["Key"] for item in answer["Deleted"]] == ["k"]
    assert [(item["Key"], item["Code"]) for item in answer["Errors"]] == [("keep", "AccessDenied")]
    s3.get_object(Bucket=shared, Key="keep")


def test_the_source_of_a_copy_needs_a_right_of_its_own(s3, other, shared, refused, new_bucket):
    target = new_bucket()
    s3.put_bucket_policy(Bucket=target, Policy=policy_of(target, "s3:PutObject", {"AWS": OTHER_ARN}))
    source = {"Bucket": shared, "Key": "k"}
    refused("AccessDenied", 403, other.copy_object, Bucket=target, Key="k", CopySource=source)
    s3.put_bucket_policy(Bucket=shared, Policy=policy_of(shared, "s3:GetObject", {"AWS": OTHER_ARN}))
    other.copy_object(Bucket=target, Key="k", CopySource=source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Effect": "Maybe"}, "Invalid effect: Maybe"),
        ({"Action": "s3:Nothing"}, "Policy has invalid action"),
        ({"Action": "ec2:Start"}, "Policy has invalid action"),
        ({"NotAction": ["s3:GetObject", "s3:PutObjcet"]}, "Policy has invalid action"),
        ({"Resource": "arn:aws:s3:::another/*"}, "Policy has invalid resource"),
        ({"Principal": {"AWS": "nobody"}}, "Invalid principal in policy"),
        ({"Principal": None}, "Invalid policy syntax."),
        ({"Condition": {"StringNearly": {"aws:UserAgent": "x"}}}, "Invalid Condition type : StringNearly"),
        ({"Condition": {"StringEquals": {"aws:Nothing": "x"}}}, "Policy has an invalid condition key"),
        ({"Strange": 1}, "Unknown field Strange"),
        ({"Sid": ["a"]}, "Invalid policy syntax."),
        ({"\ud800": 1}, "This policy contains invalid Json"),
        ({"Action": "s3:ListBucket"}, "Action does not apply to any resource(s) in statement"),
        ({"Action": ["s3:GetObject", "s3:ListBucket"]}, "Action does not apply to any resource(s) in statement"),
        ({"Action": ["s3:*", "s3:PutBucket*"]}, "Action does not apply to any resource(s) in statement"),
        ({"Action": "s3:ListAllMyBuckets"}, "Action does not apply to any resource(s) in statement"),
        ({"Condition": {"StringLike": {"s3:prefix": "a*"}}}, DO_NOT_APPLY),
        ({"Condition": {"StringEquals": {"s3:x-amz-acl": "private"}}}, DO_NOT_APPLY),
        ({"Condition": {"StringLike": {"s3:RequestObjectTag/a": "b"}}}, DO_NOT_APPLY),
        ({"Condition": {"StringEquals": {"s3:VersionId": "v"}}}, DO_NOT_APPLY),
        ({"Action": ["s3:PutObject", "s3:GetObject"], "Condition": {"Null": {"s3:x-amz-acl": "true"}}}, DO_NOT_APPLY),
        ({"Action": "s3:*", "Condition": {"StringLike": {"s3:prefix": "a*"}}}, DO_NOT_APPLY),  # of objects alone
    ],
)
def test_a_policy_that_is_none(s3, shared, refused, change, message):
    document = json.loads(policy_of(shared, "s3:GetObject"))
    if "NotAction" in change:
        del document["Statement"][0]["Action"]
    document["Statement"][0] |= change
    answer = refused("MalformedPolicy", 400, s3.put_bucket_policy, Bucket=shared, Policy=json.dumps(document))
    assert answer["Error"]["Message"] == message
    refused("NoSuchBucketPolicy", 404, s3.get_bucket_policy, Bucket=shared)


@pytest.mark.parametrize(
    ("actions", "resources", "condition"),
    [
        ("s3:*", ["/*"], {}),
        (["s3:Get*", "s3:ListBucket"], ["", "/*"], {}),
        ("s3:GetObject", ["", "/*"], {}),
        ("s3:*", ["", "/*"], {"StringLike": {"s3:prefix": "a*"}}),
        ("s3:List*", ["", "/*"], {"StringLike": {"s3:prefix": "a*"}}),
        (["s3:ListBucket", "s3:ListBucketVersions"], [""], {"StringLike": {"s3:prefix": "a*"}}),
        ("s3:GetObjectVersion", ["/*"], {"StringEquals": {"s3:VersionId": "v"}}),
        ("s3:PutObject", ["/*"], {"StringEquals": {"s3:x-amz-acl": "private", "aws:Referer": "x"}}),
    ],
)
def test_a_policy_whose_actions_resources_and_conditions_fit(s3, shared, actions, resources, condition):
    own = [f"arn:aws:s3:::{shared}{resource}" for resource in resources]
    statement = {"Effect": "Deny", "Principal": "*", "Action": actions, "Resource": own, "Condition": condition}
    s3.put_bucket_policy(Bucket=shared, Policy=json.dumps({"Statement": statement}))
    refusing = [{**statement, "NotAction": ["s3:GetObject"]}, {**statement, "NotResource": own}]
    for inverted, field in zip(refusing, ("Action", "Resource"), strict=True):
        del inverted[field]
        s3.put_bucket_policy(Bucket=shared, Policy=json.dumps({"Statement": {**inverted, "Condition": {}}}))


@pytest.mark.parametrize("text", ["", "[]", "{", "<x/>", '{"Statement": []}', "{" * 30_000, '{"a": 1, "a": 2}'])
def test_what_is_no_policy_at_all(raw, shared, text):
    assert raw("PUT", f"/{shared}?policy=", text).status == 400


def test_ownership_is_enforced_where_nothing_else_was_said(s3, shared, refused):
    found = s3.get_bucket_ownership_controls(Bucket=shared)["OwnershipControls"]
    assert found == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.delete_bucket_ownership_controls(Bucket=shared)
    refused("OwnershipControlsNotFoundError", 404, s3.get_bucket_ownership_controls, Bucket=shared)
    refused("AccessControlListNotSupported", 400, s3.put_bucket_acl, Bucket=shared, ACL="public-read")
    refused("AccessControlListNotSupported", 400, s3.put_object, Bucket=shared, Key="p", Body=b"", ACL="public-read")
    refused("AccessControlListNotSupported", 400, s3.put_bucket_acl, Bucket=shared, ACL="private")
    refused("AccessControlListNotSupported", 400, s3.put_object_acl, Bucket=shared, Key="k", ACL="private")
    s3.put_object_acl(Bucket=shared, Key="k", ACL="bucket-owner-full-control")
    s3.put_object(Bucket=shared, Key="p", Body=b"", ACL="private")
    s3.put_object(Bucket=shared, Key="p", Body=b"", ACL="bucket-owner-full-control")


def test_access_lists_count_where_writers_own(s3, new_bucket, raw, other):
    bucket = new_bucket()
    controls = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=controls)
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"] == controls
    s3.put_object(Bucket=bucket, Key="open", Body=b"x", ACL="public-read")
    s3.put_object(Bucket=bucket, Key="closed", Body=b"x")
    assert raw("GET", f"/{bucket}/open", keys=None).status == 200
    assert raw("GET", f"/{bucket}/closed", keys=None).status == 403
    assert raw("GET", f"/{bucket}", keys=None).status == 403
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert raw("GET", f"/{bucket}", keys=None).status == 200
    assert raw("PUT", f"/{bucket}/new", "x", keys=None).status == 403
    grants = s3.get_object_acl(Bucket=bucket, Key="open")["Grants"]
    assert {"Grantee": {"Type": "Group", "URI": EVERYBODY}, "Permission": "READ"} in grants
    s3.put_bucket_acl(Bucket=bucket, GrantWrite='id="other"')
    other.put_object(Bucket=bucket, Key="theirs", Body=b"x")
    assert s3.get_object_acl(Bucket=bucket, Key="open")["Owner"]["ID"] != "other"


def test_who_may_write_to_a_bucket_replaces_and_removes_only_what_it_owns(s3, new_bucket, raw, other, refused):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#permissions"""
    bucket = new_bucket("Enabled")
    controls = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=controls)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    refused("AccessDenied", 403, other.put_object, Bucket=bucket, Key="k", Body=b"y")
    refused("AccessDenied", 403, other.create_multipart_upload, Bucket=bucket, Key="k")
    refused("AccessDenied", 403, other.delete_object, Bucket=bucket, Key="k")
    refused("AccessDenied", 403, other.delete_object, Bucket=bucket, Key="k", VersionId=version)
    errors = other.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})["Errors"]
    assert [error["Code"] for error in errors] == ["AccessDenied"]
    assert raw("PUT", f"/{bucket}/k", "y", keys=None).outcome == (403, "AccessDenied")
    assert raw("DELETE", f"/{bucket}/k", keys=None).outcome == (403, "AccessDenied")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    for _ in range(2):
        other.put_object(Bucket=bucket, Key="theirs", Body=b"x")
    other.delete_object(Bucket=bucket, Key="theirs")
    other.delete_object(Bucket=bucket, Key="none")
    other.put_object(Bucket=bucket, Key="theirs", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="theirs")
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)


def test_a_bucket_is_made_with_an_access_list_only_where_it_counts(s3, refused, new_bucket):
    name = new_bucket() + "-acl"
    refused("InvalidBucketAclWithObjectOwnership", 400, s3.create_bucket, Bucket=name, ACL="public-read")
    s3.create_bucket(Bucket=name, ACL="public-read", ObjectOwnership="BucketOwnerPreferred")
    assert any("URI" in grant["Grantee"] for grant in s3.get_bucket_acl(Bucket=name)["Grants"])
    s3.create_bucket(Bucket=name + "-2", ACL="private")


def test_the_public_access_block_has_four_effects(s3, new_bucket, raw, refused):
    bucket = new_bucket()
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_object(Bucket=bucket, Key="open", Body=b"x", ACL="public-read")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy_of(bucket, "s3:GetObject", resource="/by-policy"))
    s3.put_object(Bucket=bucket, Key="by-policy", Body=b"x")

    def block(**settings):
        names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        wanted = {name: settings.get(name, False) for name in names}
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=wanted)
        assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == wanted

    def status(key):
        return raw("GET", f"/{bucket}/{key}", keys=None).status

    block(BlockPublicAcls=True)
    refused("AccessDenied", 403, s3.put_object, Bucket=bucket, Key="n", Body=b"", ACL="public-read")
    refused("AccessDenied", 403, s3.put_bucket_acl, Bucket=bucket, ACL="public-read")
    assert (status("open"), status("by-policy")) == (200, 200)
    block(IgnorePublicAcls=True)
    assert (status("open"), status("by-policy")) == (403, 200)
    block(BlockPublicPolicy=True)
    policy = policy_of(bucket, "s3:GetObject")
    refused("AccessDenied", 403, s3.put_bucket_policy, Bucket=bucket, Policy=policy)
    assert (status("open"), status("by-policy")) == (200, 200)
    block(RestrictPublicBuckets=True)
    assert (status("open"), status("by-policy")) == (200, 403)
    s3.delete_public_access_block(Bucket=bucket)
    refused("NoSuchPublicAccessBlockConfiguration", 404, s3.get_public_access_block, Bucket=bucket)
    assert (status("open"), status("by-policy")) == (200, 200)


def test_only_the_owner_changes_who_may(other, shared, refused):
    refused("AccessDenied", 403, other.put_bucket_policy, Bucket=shared, Policy=policy_of(shared, "s3:GetObject"))
    refused("AccessDenied", 403, other.get_bucket_policy, Bucket=shared)
    refused("AccessDenied", 403, other.get_bucket_acl, Bucket=shared)
    refused("AccessDenied", 403, other.delete_public_access_block, Bucket=shared)


def test_a_wrong_signature_is_no_anonymous_caller(s3, shared, raw):
    s3.put_bucket_policy(Bucket=shared, Policy=policy_of(shared, "s3:GetObject"))
    assert raw("GET", f"/{shared}/k", keys=(ROOT[0], "wrong")).outcome == (403, "SignatureDoesNotMatch")


# --- users of the account ---------------------------------------------------------------------------------------------


def test_a_user_who_may_read_reads_all_of_the_account_and_changes_nothing(s3, reader, other, shared, refused):
    assert reader.get_object(Bucket=shared, Key="k")["Body"].read() == b"body"
    assert shared in {bucket["Name"] for bucket in reader.list_buckets()["Buckets"]}
    refused("AccessDenied", 403, reader.put_object, Bucket=shared, Key="k", Body=b"")
    refused("AccessDenied", 403, reader.delete_object, Bucket=shared, Key="k")
    refused("AccessDenied", 403, reader.create_bucket, Bucket=shared + "-new")
    foreign = shared + "-foreign"
    other.create_bucket(Bucket=foreign)
    refused("AccessDenied", 403, reader.list_objects_v2, Bucket=foreign)


def test_a_user_works_below_its_prefix(s3, limited, shared, refused):
    limited.put_object(Bucket=shared, Key="ci/build.log", Body=b"log")
    assert limited.get_object(Bucket=shared, Key="ci/build.log")["Body"].read() == b"log"
    refused("AccessDenied", 403, limited.get_object, Bucket=shared, Key="k")
    refused("AccessDenied", 403, limited.put_object, Bucket=shared, Key="cia/x", Body=b"")
    keys = [item["Key"] for item in limited.list_objects_v2(Bucket=shared, Prefix="ci/")["Contents"]]
    assert keys == ["ci/build.log"]
    refused("AccessDenied", 403, limited.list_objects_v2, Bucket=shared)
    refused("AccessDenied", 403, limited.list_buckets)
    assert s3.get_object_acl(Bucket=shared, Key="ci/build.log")["Owner"] == s3.list_buckets()["Owner"]


def test_a_policy_of_the_bucket_denies_and_gives_to_users_of_the_account(s3, reader, limited, shared, refused):
    s3.put_bucket_policy(
        Bucket=shared,
        Policy=policy_of(shared, "s3:GetObject", {"AWS": "arn:aws:iam::000000000000:user/reader"}, effect="Deny"),
    )
    refused("AccessDenied", 403, reader.get_object, Bucket=shared, Key="k")
    s3.put_bucket_policy(
        Bucket=shared, Policy=policy_of(shared, "s3:GetObject", {"AWS": "arn:aws:iam::000000000000:user/ci"})
    )
    assert limited.get_object(Bucket=shared, Key="k")["Body"].read() == b"body"


def test_the_access_lists_by_default(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    owner = s3.list_buckets()["Owner"]
    for answer in (s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="k")):
        assert answer["Owner"] == owner
        assert answer["Grants"] == [{"Grantee": owner | {"Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]


def test_a_key_is_read_once_for_policy_and_storage(raw, s3, bucket):  # case 76
    resource = f"arn:aws:s3:::{bucket}/public/*"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    s3.put_object(Bucket=bucket, Key="secret", Body=b"hidden")
    s3.put_object(Bucket=bucket, Key="public/seen", Body=b"shown")
    assert raw("GET", f"/{bucket}/public/seen", keys=None).body == b"shown"
    climbing = ("public/../secret", "public/%2e%2e/secret", "public%2f..%2fsecret", "./secret", "x/../public/../secret")
    for key in (*climbing, "/public/seen", "Public/seen", "public", "public%00/seen", "public\\..\\secret"):
        answer = raw("GET", f"/{bucket}/{key}", keys=None)
        assert answer.status in (400, 403, 404), key
        assert b"hidden" not in answer.body
        assert b"shown" not in answer.body


def test_a_grant_is_to_somebody(s3, other, new_bucket, refused):
    """Of a bucket or an object, in headers or in a document, when it is made or later."""
    bucket = new_bucket()
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", GrantRead='id="other"')
    owner = s3.list_buckets()["Owner"]

    def granted(name):
        grants = [{"Grantee": {"Type": "CanonicalUser", "ID": name}, "Permission": "READ"}]
        return {"AccessControlPolicy": {"Owner": {"ID": owner["ID"]}, "Grants": grants}}

    calls = (
        (s3.put_object, {"Key": "new", "Body": b"x", "GrantRead": 'id="nobody"'}),
        (s3.create_multipart_upload, {"Key": "new", "GrantRead": "id=nobody"}),
        (s3.copy_object, {"Key": "new", "CopySource": f"{bucket}/k", "GrantFullControl": "id=nobody"}),
        (s3.put_object_acl, {"Key": "k", "GrantRead": "id=other, id=nobody"}),
        (s3.put_object_acl, {"Key": "k"} | granted("nobody")),
        (s3.put_bucket_acl, granted("nobody")),
        (s3.put_bucket_acl, {"GrantWrite": "id=nobody"}),
    )
    for call, arguments in calls:
        error = refused("InvalidArgument", 400, call, Bucket=bucket, **arguments)["Error"]
        assert (error["Message"], error["ArgumentValue"]) == ("Invalid id", "nobody")
    call = {"Bucket": f"{bucket}-2", "GrantRead": "id=nobody", "ObjectOwnership": "ObjectWriter"}
    refused("InvalidArgument", 400, s3.create_bucket, **call)
    s3.put_bucket_acl(Bucket=bucket, **granted("other"))
    assert other.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"] == "k"
    s3.put_object_acl(Bucket=bucket, Key="k", **granted(owner["ID"]))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_policy_is_its_owners_whatever_it_gives_to_others(s3, shared, raw, method):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html"""
    policy = json.loads(policy_of(shared, "s3:*"))
    policy["Statement"][0]["Resource"] = [f"arn:aws:s3:::{shared}", f"arn:aws:s3:::{shared}/*"]
    s3.put_bucket_policy(Bucket=shared, Policy=json.dumps(policy))
    for keys in (OTHER, None):
        answer = raw(method, f"/{shared}?policy", json.dumps(policy) if method == "PUT" else b"", keys=keys)
        assert answer.outcome == (405, "MethodNotAllowed")
        assert (answer.xml.findtext("Method"), answer.xml.findtext("ResourceType")) == (method, "BUCKETPOLICY")
        assert raw("GET", f"/{shared}?policyStatus", keys=keys).status == 200
    assert json.loads(s3.get_bucket_policy(Bucket=shared)["Policy"]) == policy
    s3.delete_bucket_policy(Bucket=shared)
    for keys in (OTHER, None):
        assert raw("GET", f"/{shared}?policy", keys=keys).outcome == (403, "AccessDenied")
