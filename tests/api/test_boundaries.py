"""Permissions boundaries of users and roles: what they leave of policies, who may set them, where they are shown."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.api.conftest import ROOT
from tests.api.iam_support import allowing, client, code_of, of_session

READING, ALL = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", "arn:aws:iam::aws:policy/AmazonS3FullAccess"
SHOWN = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": READING}


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


EVERYTHING = document(allowing("*"))


@pytest.fixture
def role(iam):
    """A role that the account may assume and that may everything, within reading."""
    trust = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}
    made = iam.create_role(RoleName="bounded", AssumeRolePolicyDocument=document(trust), PermissionsBoundary=READING)[
        "Role"
    ]
    iam.put_role_policy(RoleName="bounded", PolicyName="own", PolicyDocument=EVERYTHING)
    yield made
    iam.delete_role_policy(RoleName="bounded", PolicyName="own")
    iam.delete_role(RoleName="bounded")


def may(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] != "AccessDenied"
    return True


def reads_and_writes(s3, bucket):
    """Return whether a client may read, and whether it may write."""
    return may(s3.get_object, Bucket=bucket, Key="k"), may(s3.put_object, Bucket=bucket, Key="k", Body=b"x")


def test_a_user_may_what_its_policies_and_its_boundary_give(server, s3, iam, new_user, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    name, keys = new_user(EVERYTHING)
    theirs = client(server, "s3", keys)
    session = of_session(server, "s3", client(server, "sts", keys).get_session_token()["Credentials"])
    assert "PermissionsBoundary" not in iam.get_user(UserName=name)["User"]
    assert reads_and_writes(theirs, bucket) == (True, True)
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=READING)
    assert iam.get_user(UserName=name)["User"]["PermissionsBoundary"] == SHOWN
    assert reads_and_writes(theirs, bucket) == reads_and_writes(session, bucket) == (True, False)
    assert code_of(client(server, "iam", keys).list_users) == "AccessDenied"
    iam.delete_user_permissions_boundary(UserName=name)
    assert reads_and_writes(theirs, bucket) == reads_and_writes(session, bucket) == (True, True)
    assert code_of(iam.delete_user_permissions_boundary, UserName=name) == "NoSuchEntity"


def test_a_role_may_what_its_policies_and_its_boundary_give(server, s3, iam, role, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert role["PermissionsBoundary"] == iam.get_role(RoleName="bounded")["Role"]["PermissionsBoundary"] == SHOWN
    sts = client(server, "sts", ROOT)
    session = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="job")["Credentials"]
    theirs = of_session(server, "s3", session)
    assert reads_and_writes(theirs, bucket) == (True, False)
    iam.put_role_permissions_boundary(RoleName="bounded", PermissionsBoundary=ALL)
    assert reads_and_writes(theirs, bucket) == (True, True)
    iam.delete_role_permissions_boundary(RoleName="bounded")
    assert "PermissionsBoundary" not in iam.get_role(RoleName="bounded")["Role"]


def test_explain_names_the_boundary(raw, s3, new_user, bucket):
    name, keys = new_user(EVERYTHING, PermissionsBoundary=READING)
    answer = raw("PUT", f"/{bucket}/k", b"x", keys=keys)
    assert answer.outcome == (403, "AccessDenied")
    path = f"/-/admin/explain/{answer.headers['x-amz-request-id']}"
    assert json.loads(raw("GET", path).body)["refusal"]["reason"].endswith(
        f"the permissions boundary of {name} does not give it"
    )
    asked = {"caller": name, "action": "s3:PutObject", "resource": f"arn:aws:s3:::{bucket}/k"}
    told = json.loads(raw("POST", "/-/admin/explain", json.dumps(asked).encode()).body)
    assert (told["decision"], "permissions boundary" in told["by"]) == ("denied", True)


def test_a_policy_that_bounds_is_counted_listed_and_not_deleted(iam, new_user):
    arn = iam.create_policy(PolicyName="bounds", PolicyDocument=EVERYTHING)["Policy"]["Arn"]
    name, _ = new_user(PermissionsBoundary=arn)
    shown = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (shown["AttachmentCount"], shown["PermissionsBoundaryUsageCount"]) == (0, 1)
    for usage, users in (("PermissionsBoundary", [name]), ("PermissionsPolicy", []), (None, [name])):
        asked = {"PolicyUsageFilter": usage} if usage else {}
        found = iam.list_entities_for_policy(PolicyArn=arn, **asked)["PolicyUsers"]
        assert [it["UserName"] for it in found] == users
    assert code_of(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    iam.delete_user_permissions_boundary(UserName=name)
    iam.delete_policy(PolicyArn=arn)
    assert code_of(iam.put_user_permissions_boundary, UserName=name, PermissionsBoundary=arn) == "NoSuchEntity"


def test_who_makes_users_can_be_held_to_bounded_ones(server, iam, new_user):
    bounded = {"Condition": {"StringEquals": {"iam:PermissionsBoundary": READING}}}
    acts = ["iam:CreateUser", "iam:PutUserPolicy", "iam:AttachUserPolicy", "iam:PutUserPermissionsBoundary"]
    _, keys = new_user(document(allowing(acts, **bounded), allowing("iam:DeleteUser*")))
    free, _ = new_user()
    theirs = client(server, "iam", keys)
    assert code_of(theirs.create_user, UserName="made") == "AccessDenied"
    assert code_of(theirs.create_user, UserName="made", PermissionsBoundary=ALL) == "AccessDenied"
    theirs.create_user(UserName="made", PermissionsBoundary=READING)
    try:
        policy = {"PolicyName": "own", "PolicyDocument": EVERYTHING}
        theirs.put_user_policy(UserName="made", **policy)
        assert code_of(theirs.put_user_policy, UserName=free, **policy) == "AccessDenied"
        assert code_of(theirs.attach_user_policy, UserName=free, PolicyArn=ALL) == "AccessDenied"
        change = theirs.put_user_permissions_boundary
        assert code_of(change, UserName="made", PermissionsBoundary=ALL) == "AccessDenied"
        assert iam.get_user(UserName="made")["User"]["PermissionsBoundary"] == SHOWN
    finally:
        iam.delete_user_policy(UserName="made", PolicyName="own")
        iam.delete_user(UserName="made")
