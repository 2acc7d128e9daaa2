"""Users at run time by the IAM query API, as boto3 speaks it: made, allowed, stopped, removed."""

import json
import uuid

import pytest

from tests.api.conftest import LIMITED, OTHER, READER, ROOT
from tests.api.iam_support import client, code_of, remove

S3_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})


def test_a_user_is_made_and_shown(iam):
    made = iam.create_user(UserName="alice", Path="/team/a/", Tags=[{"Key": "cost", "Value": "42"}])["User"]
    assert made["Arn"] == "arn:aws:iam::000000000000:user/team/a/alice"
    assert made["UserId"].startswith("AIDA")
    assert len(made["UserId"]) == 20
    shown = iam.get_user(UserName="alice")["User"]
    assert {**shown, "CreateDate": 0} == {**made, "CreateDate": 0}
    assert [user["UserName"] for user in iam.list_users(PathPrefix="/team/")["Users"]] == ["alice"]
    assert code_of(iam.create_user, UserName="alice") == "EntityAlreadyExists"
    assert code_of(iam.create_user, UserName="ALICE") == "EntityAlreadyExists"
    iam.delete_user(UserName="alice")
    assert code_of(iam.get_user, UserName="alice") == "NoSuchEntity"
    assert code_of(iam.delete_user, UserName="alice") == "NoSuchEntity"


def test_a_key_works_as_far_as_policies_allow(server, iam, bucket, new_user):
    name, keys = new_user()
    theirs = client(server, "s3", keys)
    assert keys[0].startswith("AKIA")
    assert code_of(theirs.list_objects_v2, Bucket=bucket) == "AccessDenied"
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    assert theirs.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert code_of(theirs.put_object, Bucket=bucket, Key="k", Body=b"") == "AccessDenied"
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=S3_ALL)
    theirs.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert iam.list_user_policies(UserName=name)["PolicyNames"] == ["own"]
    assert iam.get_user_policy(UserName=name, PolicyName="own")["PolicyDocument"] == json.loads(S3_ALL)
    attached = iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["AmazonS3ReadOnlyAccess"]
    iam.delete_user_policy(UserName=name, PolicyName="own")
    iam.detach_user_policy(UserName=name, PolicyArn=attached[0]["PolicyArn"])
    assert code_of(theirs.list_objects_v2, Bucket=bucket) == "AccessDenied"


def test_a_policy_of_a_user_can_ask_for_the_tags_of_an_object(server, iam, s3, bucket, new_user):
    condition = {"StringEquals": {"s3:ExistingObjectTag/secret": "yes"}}
    denial = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*", "Condition": condition}
    _, allowed_but = new_user(
        json.dumps({"Version": "2012-10-17", "Statement": [*json.loads(S3_ALL)["Statement"], denial]})
    )
    _, allowed = new_user(json.dumps({"Version": "2012-10-17", "Statement": [denial | {"Effect": "Allow"}]}))
    s3.put_object(Bucket=bucket, Key="secret", Body=b"x", Tagging="secret=yes")
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    for keys, may, may_not in ((allowed_but, "plain", "secret"), (allowed, "secret", "plain")):
        theirs = client(server, "s3", keys)
        assert theirs.get_object(Bucket=bucket, Key=may)["Body"].read() == b"x"
        assert code_of(theirs.get_object, Bucket=bucket, Key=may_not) == "AccessDenied"


def test_the_source_of_a_copy_is_asked_for_the_tags_of_the_version_that_is_copied(server, iam, s3, versioned, new_user):
    condition = {"StringEquals": {"s3:ExistingObjectTag/secret": "yes"}}
    denial = {"Effect": "Deny", "Action": "s3:GetObject*", "Resource": "*", "Condition": condition}
    statements = [*json.loads(S3_ALL)["Statement"], denial]
    _, keys = new_user(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    theirs = client(server, "s3", keys)
    where = {"Bucket": versioned, "Key": "k"}
    secret = s3.put_object(**where, Body=b"secret", Tagging="secret=yes")["VersionId"]
    plain = s3.put_object(**where, Body=b"plain")["VersionId"]
    copy = {"Bucket": versioned, "Key": "copy"}
    part = copy | {"UploadId": theirs.create_multipart_upload(**copy)["UploadId"], "PartNumber": 1}
    for call, to in ((theirs.copy_object, copy), (theirs.upload_part_copy, part)):
        call(**to, CopySource=where)
        call(**to, CopySource=where | {"VersionId": plain})
        assert code_of(call, **to, CopySource=where | {"VersionId": secret}) == "AccessDenied"


def test_a_key_that_is_switched_off_or_removed_stops_at_once(server, iam, bucket, new_user):
    name, keys = new_user(S3_ALL)
    theirs = client(server, "s3", keys)
    url = theirs.generate_presigned_url("list_objects_v2", {"Bucket": bucket})
    theirs.list_objects_v2(Bucket=bucket)
    iam.update_access_key(UserName=name, AccessKeyId=keys[0], Status="Inactive")
    assert code_of(theirs.list_objects_v2, Bucket=bucket) == "InvalidAccessKeyId"
    (shown,) = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    assert (shown["AccessKeyId"], shown["Status"]) == (keys[0], "Inactive")
    iam.update_access_key(UserName=name, AccessKeyId=keys[0], Status="Active")
    theirs.list_objects_v2(Bucket=bucket)
    second = iam.create_access_key(UserName=name)["AccessKey"]
    client(server, "s3", (second["AccessKeyId"], second["SecretAccessKey"])).list_objects_v2(Bucket=bucket)
    iam.delete_access_key(UserName=name, AccessKeyId=keys[0])
    assert code_of(theirs.list_objects_v2, Bucket=bucket) == "InvalidAccessKeyId"
    assert url
    assert code_of(iam.delete_access_key, UserName=name, AccessKeyId=keys[0]) == "NoSuchEntity"


def test_the_last_use_of_a_key_is_known(server, iam, bucket, new_user):
    name, keys = new_user(S3_ALL)
    never = iam.get_access_key_last_used(AccessKeyId=keys[0])
    assert (never["UserName"], never["AccessKeyLastUsed"]["ServiceName"]) == (name, "N/A")
    client(server, "s3", keys).list_objects_v2(Bucket=bucket)
    used = iam.get_access_key_last_used(AccessKeyId=keys[0])["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("s3", "us-east-1")
    assert used["LastUsedDate"]
    assert code_of(iam.get_access_key_last_used, AccessKeyId="AKIANOBODYHASTHATKEY") == "NoSuchEntity"


def test_a_user_with_anything_left_is_not_removed(iam, new_user):
    name, keys = new_user(S3_ALL)
    assert code_of(iam.delete_user, UserName=name) == "DeleteConflict"
    iam.delete_access_key(UserName=name, AccessKeyId=keys[0])
    assert code_of(iam.delete_user, UserName=name) == "DeleteConflict"
    iam.delete_user_policy(UserName=name, PolicyName="own")
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/readonly")
    assert code_of(iam.delete_user, UserName=name) == "DeleteConflict"
    iam.detach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/readonly")
    iam.delete_user(UserName=name)


def test_a_user_made_anew_has_nothing_of_the_one_before(server, iam, bucket, new_user):
    name, keys = new_user(S3_ALL)
    session = client(server, "sts", keys).get_session_token()["Credentials"]
    theirs = client(server, "s3", (session["AccessKeyId"], session["SecretAccessKey"]), token=session["SessionToken"])
    theirs.list_objects_v2(Bucket=bucket)
    before = iam.get_user(UserName=name)["User"]["UserId"]
    remove(iam, name)
    assert code_of(theirs.list_objects_v2, Bucket=bucket) == "InvalidAccessKeyId"
    assert iam.create_user(UserName=name)["User"]["UserId"] != before
    key = iam.create_access_key(UserName=name)["AccessKey"]
    again = client(server, "s3", (key["AccessKeyId"], key["SecretAccessKey"]))
    assert code_of(again.list_objects_v2, Bucket=bucket) == "AccessDenied"
    assert code_of(client(server, "s3", keys).list_objects_v2, Bucket=bucket) == "InvalidAccessKeyId"
    assert code_of(theirs.list_objects_v2, Bucket=bucket) == "InvalidAccessKeyId"


def test_users_are_renamed_and_keep_their_keys(server, iam, bucket, new_user):
    policy = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::*/${aws:username}/*"}
    name, keys = new_user(json.dumps({"Version": "2012-10-17", "Statement": policy}))
    theirs = client(server, "s3", keys)
    theirs.put_object(Bucket=bucket, Key=f"{name}/k", Body=b"")
    iam.update_user(UserName=name, NewUserName="renamed", NewPath="/new/")
    try:
        assert iam.get_user(UserName="renamed")["User"]["Path"] == "/new/"
        theirs.put_object(Bucket=bucket, Key="renamed/k", Body=b"")
        assert code_of(theirs.put_object, Bucket=bucket, Key=f"{name}/k", Body=b"") == "AccessDenied"
        assert code_of(iam.get_user, UserName=name) == "NoSuchEntity"
    finally:
        iam.update_user(UserName="renamed", NewUserName=name)


def test_a_tag_that_answers_cannot_hold_is_refused(iam, new_user):
    name, _ = new_user()
    for tag in ({"Key": "a", "Value": "\x1f"}, {"Key": "a\x0b", "Value": ""}, {"Key": "a", "Value": "\x85"}):
        assert code_of(iam.tag_user, UserName=name, Tags=[tag]) == "ValidationError"
    iam.tag_user(UserName=name, Tags=[{"Key": "ö b", "Value": "\u3000c"}])


def test_tags_of_users_reach_policies(server, iam, bucket, new_user):
    policy = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::*/${aws:PrincipalTag/team}/*"}
    name, keys = new_user(json.dumps({"Version": "2012-10-17", "Statement": policy}))
    theirs = client(server, "s3", keys)
    assert code_of(theirs.put_object, Bucket=bucket, Key="red/k", Body=b"") == "AccessDenied"
    iam.tag_user(UserName=name, Tags=[{"Key": "team", "Value": "red"}, {"Key": "x", "Value": ""}])
    theirs.put_object(Bucket=bucket, Key="red/k", Body=b"")
    iam.tag_user(UserName=name, Tags=[{"Key": "team", "Value": "blue"}])
    assert iam.list_user_tags(UserName=name)["Tags"] == [{"Key": "x", "Value": ""}, {"Key": "team", "Value": "blue"}]
    iam.untag_user(UserName=name, TagKeys=["x", "not there"])
    assert iam.list_user_tags(UserName=name)["Tags"] == [{"Key": "team", "Value": "blue"}]


def test_lists_come_in_pages(iam, new_user):
    names = sorted(new_user(Path="/pages/")[0] for _ in range(5))
    pages = list(iam.get_paginator("list_users").paginate(PathPrefix="/pages/", PaginationConfig={"PageSize": 2}))
    assert [len(page["Users"]) for page in pages] == [2, 2, 1]
    assert [user["UserName"] for page in pages for user in page["Users"]] == names
    assert code_of(iam.list_users, Marker="no marker!") == "ValidationError"


@pytest.mark.parametrize("action", ["ListUsers", "ListGroups", "ListRoles", "ListPolicies"])
def test_lists_are_of_paths_that_begin_with_a_slash(raw_iam, action):
    for prefix in ("/", "/none/", "/no"):
        assert raw_iam(Action=action, PathPrefix=prefix) == (200, None)
    for prefix in ("", "none", "/a b", "/" + "x" * 512):
        assert raw_iam(Action=action, PathPrefix=prefix) == (400, "ValidationError")


def test_users_of_the_configuration_are_shown_and_cannot_be_changed(iam):
    names = {user["UserName"] for user in iam.list_users()["Users"]}
    assert {"other", "reader", "ci"} <= names
    for call, arguments in (
        (iam.create_access_key, {}),
        (iam.put_user_policy, {"PolicyName": "p", "PolicyDocument": S3_ALL}),
        (iam.attach_user_policy, {"PolicyArn": "arn:aws:iam::aws:policy/readonly"}),
        (iam.delete_access_key, {"AccessKeyId": LIMITED[0]}),
        (iam.update_access_key, {"AccessKeyId": LIMITED[0], "Status": "Inactive"}),
        (iam.update_user, {"NewUserName": "else"}),
        (iam.tag_user, {"Tags": [{"Key": "k", "Value": "v"}]}),
        (iam.delete_user, {}),
    ):
        assert code_of(call, UserName="ci", **arguments) == "UnmodifiableEntity"
    assert code_of(iam.create_user, UserName="ci") == "EntityAlreadyExists"
    assert code_of(iam.create_access_key) == "UnmodifiableEntity"  # of the root user
    assert iam.get_user()["User"]["Arn"] == "arn:aws:iam::000000000000:root"


@pytest.mark.parametrize("keys", [OTHER, READER, LIMITED])
def test_who_has_no_policy_for_it_changes_no_user(server, keys):
    theirs = client(server, "iam", keys)
    for call, arguments in (
        (theirs.create_user, {"UserName": "mallory"}),
        (theirs.list_users, {}),
        (theirs.get_user, {"UserName": "ci"}),
        (theirs.create_access_key, {}),
        (theirs.attach_user_policy, {"UserName": "ci", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
    ):
        assert code_of(call, **arguments) == "AccessDenied"


def test_a_user_who_may_manage_its_own_keys_gains_nothing_else(server, iam, bucket, new_user):  # case 138
    own = {
        "Effect": "Allow",
        "Action": ["iam:*AccessKey*", "iam:GetUser"],
        "Resource": "arn:aws:iam::*:user/${aws:username}",
    }
    name, keys = new_user(json.dumps({"Version": "2012-10-17", "Statement": own}))
    victim, _ = new_user(S3_ALL)
    theirs = client(server, "iam", keys)
    made = theirs.create_access_key()["AccessKey"]
    assert made["UserName"] == name
    assert len(theirs.list_access_keys()["AccessKeyMetadata"]) == 2
    theirs.delete_access_key(AccessKeyId=made["AccessKeyId"])
    for call, arguments in (
        (theirs.create_access_key, {"UserName": victim}),
        (theirs.create_access_key, {"UserName": victim.upper()}),
        (theirs.create_access_key, {"UserName": "${aws:username}"}),
        (theirs.create_access_key, {"UserName": "*"}),
        (theirs.list_access_keys, {"UserName": victim}),
        (theirs.put_user_policy, {"UserName": name, "PolicyName": "p", "PolicyDocument": S3_ALL}),
        (theirs.attach_user_policy, {"UserName": name, "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        (theirs.update_user, {"UserName": name, "NewUserName": "other-name"}),
        (theirs.create_user, {"UserName": "mallory"}),
    ):
        assert code_of(call, **arguments) == "AccessDenied"
    assert code_of(client(server, "s3", keys).list_objects_v2, Bucket=bucket) == "AccessDenied"


def test_who_may_give_rights_is_held_to_some(server, iam, new_user):  # case 138
    reading = "arn:aws:iam::aws:policy/readonly"
    lead = {
        "Effect": "Allow",
        "Action": ["iam:AttachUserPolicy", "iam:DetachUserPolicy"],
        "Resource": "*",
        "Condition": {"ArnEquals": {"iam:PolicyARN": reading}},
    }
    name, keys = new_user(json.dumps({"Version": "2012-10-17", "Statement": lead}))
    other, _ = new_user()
    theirs = client(server, "iam", keys)
    theirs.attach_user_policy(UserName=other, PolicyArn=reading)
    for user in (name, other):
        for wider in ("AdministratorAccess", "readwrite"):
            arn = f"arn:aws:iam::aws:policy/{wider}"
            assert code_of(theirs.attach_user_policy, UserName=user, PolicyArn=arn) == "AccessDenied"
    assert code_of(theirs.put_user_policy, UserName=name, PolicyName="p", PolicyDocument=S3_ALL) == "AccessDenied"
    theirs.detach_user_policy(UserName=other, PolicyArn=reading)


def test_a_session_does_not_become_a_lasting_key(server, new_user):
    name, keys = new_user('{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}')
    session = client(server, "sts", keys).get_session_token()["Credentials"]
    temporary = (session["AccessKeyId"], session["SecretAccessKey"])
    theirs = client(server, "iam", temporary, token=session["SessionToken"])
    assert code_of(theirs.create_access_key, UserName=name) == "AccessDenied"
    assert client(server, "iam", keys).create_access_key(UserName=name)


@pytest.mark.parametrize("name", ["a b", "a/b", "a\\b", "*", "a\u00e4", "a\x00b", "", "x" * 65, "../x", "a\nb"])
def test_names_that_are_none_are_refused(raw_iam, name):
    status, code = raw_iam(Action="CreateUser", UserName=name)
    assert (status, code) == (400, "ValidationError")


@pytest.mark.parametrize("path", ["x", "/x", "x/", "//", "/a b/", "/" + "x" * 600 + "/"])
def test_paths_that_are_none_are_refused(raw_iam, path):
    assert raw_iam(Action="CreateUser", UserName="path", Path=path) == (400, "ValidationError")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{}", "MalformedPolicyDocument"),
        ("not json", "MalformedPolicyDocument"),
        (
            '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}}',
            "MalformedPolicyDocument",
        ),
        ('{"Statement": {"Effect": "Allow", "Action": "Nothing", "Resource": "*"}}', "MalformedPolicyDocument"),
        ('{"Statement": {"Effect": "Allow", "Action": "nothing", "Resource": "*"}}', "MalformedPolicyDocument"),
        (json.dumps({"Id": "x" * 2048, "Statement": []}), "LimitExceeded"),
        ("[" * 2000, "MalformedPolicyDocument"),
    ],
)
def test_documents_that_are_none_are_refused(iam, new_user, document, code):
    name, _ = new_user()
    assert code_of(iam.put_user_policy, UserName=name, PolicyName="p", PolicyDocument=document) == code
    assert iam.list_user_policies(UserName=name)["PolicyNames"] == []


def test_policies_of_other_services_are_kept(iam, new_user):
    name, _ = new_user()
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "logs:*", "s3-object-lambda:Get*"],
                "Resource": "*",
                "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}},
            }
        ],
    }
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    assert iam.get_user_policy(UserName=name, PolicyName="p")["PolicyDocument"] == document


def test_what_is_not_there_is_refused_and_not_ignored(iam, raw_iam):
    bounded = {"UserName": "bounded", "PermissionsBoundary": "arn:aws:iam::aws:policy/none"}
    assert raw_iam(Action="CreateUser", **bounded) == (404, "NoSuchEntity")
    assert raw_iam(Action="NoSuchAction") == (400, "InvalidAction")
    assert raw_iam() == (400, "MissingAction")
    assert code_of(iam.get_user, UserName="bounded") == "NoSuchEntity"


def test_the_region_of_the_client_does_not_matter(server):
    assert client(server, "iam", ROOT, region="eu-central-1").list_users()["Users"]


def test_what_no_user_has_is_told_to_programs_that_remove_one(iam, new_user):
    """Terraform asks all of it for ``force_destroy``."""
    name, _ = new_user()
    for call, field in (
        (iam.list_mfa_devices, "MFADevices"),
        (iam.list_ssh_public_keys, "SSHPublicKeys"),
        (iam.list_signing_certificates, "Certificates"),
        (iam.list_service_specific_credentials, "ServiceSpecificCredentials"),
    ):
        assert call(UserName=name)[field] == []
        assert code_of(call, UserName="who-is-not-there") == "NoSuchEntity"
    for call in (iam.get_login_profile, iam.delete_login_profile):
        assert code_of(call, UserName=name) == "NoSuchEntity"
    assert iam.list_virtual_mfa_devices()["VirtualMFADevices"] == []
    assert iam.list_account_aliases()["AccountAliases"] == []
    assert iam.list_instance_profiles()["InstanceProfiles"] == []


def test_what_no_user_has_is_not_told_to_everybody(server, new_user):
    name, keys = new_user()
    asked = client(server, "iam", keys)
    for call in (asked.list_mfa_devices, asked.get_login_profile, asked.list_ssh_public_keys):
        assert code_of(call, UserName=name) == "AccessDenied"
    assert code_of(asked.list_account_aliases) == "AccessDenied"


@pytest.mark.parametrize(
    ("arguments", "further"),
    [
        ({"ACL": "public-read", "ObjectOwnership": "ObjectWriter"}, ["PutBucketAcl", "PutBucketOwnershipControls"]),
        ({"GrantRead": "id=other", "ObjectOwnership": "ObjectWriter"}, ["PutBucketAcl", "PutBucketOwnershipControls"]),
        ({"GrantWrite": "id=other", "ObjectOwnership": "ObjectWriter"}, ["PutBucketAcl", "PutBucketOwnershipControls"]),
        ({"ObjectOwnership": "BucketOwnerPreferred"}, ["PutBucketOwnershipControls"]),
        ({"ObjectLockEnabledForBucket": True}, ["PutBucketObjectLockConfiguration", "PutBucketVersioning"]),
        ({"ACL": "private"}, []),
        ({}, []),
    ],
)
def test_who_makes_a_bucket_needs_the_rights_to_what_it_is_to_have(s3, server, iam, new_user, arguments, further):
    actions = ["s3:CreateBucket", *(f"s3:{action}" for action in further)]
    name, keys = new_user()
    theirs, bucket = client(server, "s3", keys), f"b-{uuid.uuid4().hex[:20]}"

    def may(given):
        statement = {"Effect": "Allow", "Action": given, "Resource": f"arn:aws:s3:::{bucket}"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)

    for missing in actions[1:]:
        may([action for action in actions if action != missing])
        assert code_of(theirs.create_bucket, Bucket=bucket, **arguments) == "AccessDenied"
        assert code_of(s3.head_bucket, Bucket=bucket) == "404"
    may(actions)
    theirs.create_bucket(Bucket=bucket, **arguments)
    s3.head_bucket(Bucket=bucket)


def test_items_of_a_list_count_also_where_numbers_are_left_out(raw_iam, iam, new_user):
    name, _ = new_user()
    pairs = {
        "Tags.member.10.Key": "b",
        "Tags.member.10.Value": "2",
        "Tags.member.3.Key": "a",
        "Tags.member.3.Value": "1",
    }
    assert raw_iam(Action="TagUser", UserName=name, **pairs) == (200, None)
    assert [(tag["Key"], tag["Value"]) for tag in iam.list_user_tags(UserName=name)["Tags"]] == [("a", "1"), ("b", "2")]
    assert raw_iam(Action="UntagUser", UserName=name, **{"TagKeys.member.7": "a"}) == (200, None)
    assert [tag["Key"] for tag in iam.list_user_tags(UserName=name)["Tags"]] == ["b"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"Action": "TagUser"},
        {"Action": "TagUser", "Tags": ""},
        {"Action": "TagUser", "Tags.member.1.Key": "a"},
        {"Action": "TagUser", "Tags.member.1.Value": "a"},
        {"Action": "TagUser", "Tags.member.x.Key": "a", "Tags.member.x.Value": "b"},
        {"Action": "UntagUser"},
        {"Action": "UntagUser", "TagKeys.member.": "a"},
        {"Action": "CreateUser", "Tags.member.1.Key": "a"},
    ],
)
def test_lists_that_are_not_whole_are_refused(raw_iam, iam, new_user, parameters):
    name, _ = new_user()
    assert raw_iam(**{"UserName": name, **parameters}) == (400, "ValidationError")
    assert iam.list_user_tags(UserName=name)["Tags"] == []


def test_what_is_missing_is_named_as_iam_names_it(iam, refused):
    answer = refused("ValidationError", 400, iam.get_user_policy, UserName="any", PolicyName="p" * 129)
    assert "Value at 'policyName' failed" in answer["Error"]["Message"]
