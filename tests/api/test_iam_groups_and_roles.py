"""Groups, managed policies and roles by the IAM query API: what they give, and what ends that."""

import json

import pytest

from tests.api.conftest import LIMITED, OTHER, ROOT
from tests.api.iam_support import allowing, client, code_of, of_session, remove

ACCOUNT = "000000000000"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trusting(principal, action="sts:AssumeRole", **more):
    return document({"Effect": "Allow", "Principal": principal, "Action": action, **more})


READ = document(allowing(["s3:GetObject", "s3:ListBucket"]))
WRITE = document(allowing("s3:PutObject"))


@pytest.fixture
def new_group(iam):
    """A function that makes a group; all are gone after the test."""
    made = []

    def make(name, **arguments):
        iam.create_group(GroupName=name, **arguments)
        made.append(name)
        return name

    yield make
    for name in made:
        for user in iam.get_group(GroupName=name)["Users"]:
            iam.remove_user_from_group(GroupName=name, UserName=user["UserName"])
        for policy in iam.list_group_policies(GroupName=name)["PolicyNames"]:
            iam.delete_group_policy(GroupName=name, PolicyName=policy)
        for policy in iam.list_attached_group_policies(GroupName=name)["AttachedPolicies"]:
            iam.detach_group_policy(GroupName=name, PolicyArn=policy["PolicyArn"])
        iam.delete_group(GroupName=name)


@pytest.fixture
def new_policy(iam):
    """A function that makes a managed policy; all are gone after the test, detached from users."""
    made = []

    def make(name, text, **arguments):
        arn = iam.create_policy(PolicyName=name, PolicyDocument=text, **arguments)["Policy"]["Arn"]
        made.append(arn)
        return arn

    yield make
    for arn in made:
        for user in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]:
            iam.detach_user_policy(UserName=user["UserName"], PolicyArn=arn)
        for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=arn)


@pytest.fixture
def new_role(iam):
    """A function that makes a role; all are gone after the test."""
    made = []

    def make(name, trust, policy=None, **arguments):
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **arguments)["Role"]["Arn"]
        made.append(name)
        if policy:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
        return arn

    yield make
    for name in made:
        remove_role(iam, name)


def remove_role(iam, name):
    try:
        policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
    except iam.exceptions.NoSuchEntityException:
        return
    for policy in policies:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=name)


def test_a_group_gives_its_users_what_its_policies_allow(server, iam, bucket, new_user, new_group):
    name, keys = new_user()
    theirs = client(server, "s3", keys)
    group = new_group("readers", Path="/team/")
    iam.put_group_policy(GroupName=group, PolicyName="read", PolicyDocument=READ)
    assert code_of(theirs.list_objects_v2, Bucket=bucket) == "AccessDenied"
    iam.add_user_to_group(GroupName=group, UserName=name)
    iam.add_user_to_group(GroupName=group, UserName=name)
    theirs.list_objects_v2(Bucket=bucket)
    assert code_of(theirs.put_object, Bucket=bucket, Key="k") == "AccessDenied"
    iam.attach_group_policy(GroupName=group, PolicyArn="arn:aws:iam::aws:policy/writeonly")
    theirs.put_object(Bucket=bucket, Key="k")
    shown = iam.get_group(GroupName=group)
    assert shown["Group"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/team/readers"
    assert [user["UserName"] for user in shown["Users"]] == [name]
    assert [it["GroupName"] for it in iam.list_groups_for_user(UserName=name)["Groups"]] == [group]
    assert [it["GroupName"] for it in iam.list_groups(PathPrefix="/team/")["Groups"]] == [group]
    assert code_of(iam.delete_group, GroupName=group) == "DeleteConflict"
    assert code_of(iam.delete_user, UserName=name) == "DeleteConflict"
    iam.remove_user_from_group(GroupName=group, UserName=name)
    assert code_of(iam.remove_user_from_group, GroupName=group, UserName=name) == "NoSuchEntity"
    assert code_of(theirs.list_objects_v2, Bucket=bucket) == "AccessDenied"


def test_a_denial_of_a_group_wins_over_what_the_user_is_allowed(server, iam, bucket, new_user, new_group):
    name, keys = new_user(document(allowing("s3:*")))
    theirs = client(server, "s3", keys)
    theirs.put_object(Bucket=bucket, Key="k")
    group = new_group("no-writers")
    denial = {"Effect": "Deny", "Action": "s3:Put*", "Resource": "*"}
    iam.put_group_policy(GroupName=group, PolicyName="no", PolicyDocument=document(denial))
    iam.add_user_to_group(GroupName=group, UserName=name)
    assert code_of(theirs.put_object, Bucket=bucket, Key="k") == "AccessDenied"
    theirs.get_object(Bucket=bucket, Key="k")


def test_a_group_made_anew_has_none_of_the_users_of_the_one_before(server, iam, bucket, new_user, new_group):
    name, keys = new_user()
    first = new_group("again")
    iam.add_user_to_group(GroupName=first, UserName=name)
    iam.update_group(GroupName=first, NewGroupName="renamed")
    try:
        assert [it["GroupName"] for it in iam.list_groups_for_user(UserName=name)["Groups"]] == ["renamed"]
        iam.create_group(GroupName="again")
        iam.put_group_policy(GroupName="again", PolicyName="read", PolicyDocument=READ)
        assert code_of(client(server, "s3", keys).list_objects_v2, Bucket=bucket) == "AccessDenied"
        assert code_of(iam.update_group, GroupName="renamed", NewGroupName="Again") == "EntityAlreadyExists"
        iam.delete_group_policy(GroupName="again", PolicyName="read")
        iam.delete_group(GroupName="again")
    finally:
        iam.update_group(GroupName="renamed", NewGroupName="again")


def test_versions_of_a_managed_policy(server, iam, bucket, new_user, new_policy):
    name, keys = new_user()
    theirs = client(server, "s3", keys)
    arn = new_policy("versions", READ, Path="/p/", Description="what it is", Tags=[{"Key": "a", "Value": "b"}])
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/p/versions"
    assert code_of(iam.create_policy, PolicyName="Versions", PolicyDocument=READ) == "EntityAlreadyExists"
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    theirs.list_objects_v2(Bucket=bucket)
    assert iam.create_policy_version(PolicyArn=arn, PolicyDocument=WRITE)["PolicyVersion"]["VersionId"] == "v2"
    theirs.list_objects_v2(Bucket=bucket)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    assert code_of(theirs.list_objects_v2, Bucket=bucket) == "AccessDenied"
    theirs.put_object(Bucket=bucket, Key="k")
    shown = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (shown["DefaultVersionId"], shown["AttachmentCount"], shown["Description"]) == ("v2", 1, "what it is")
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"] == json.loads(READ)
    assert code_of(iam.delete_policy_version, PolicyArn=arn, VersionId="v2") == "DeleteConflict"
    assert code_of(iam.get_policy_version, PolicyArn=arn, VersionId="v9") == "NoSuchEntity"
    for _ in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=READ)
    assert code_of(iam.create_policy_version, PolicyArn=arn, PolicyDocument=READ) == "LimitExceeded"
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=READ, SetAsDefault=True)["PolicyVersion"]
    assert (made["VersionId"], made["IsDefaultVersion"]) == ("v6", True)
    theirs.list_objects_v2(Bucket=bucket)
    versions = [version["VersionId"] for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]]
    assert versions == ["v6", "v5", "v4", "v3", "v2"]
    assert code_of(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    assert [it["UserName"] for it in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]] == [name]
    for none in ({"EntityFilter": "Role"}, {"PathPrefix": "/other/"}):
        assert iam.list_entities_for_policy(PolicyArn=arn, **none)["PolicyUsers"] == []
    assert iam.list_entities_for_policy(PolicyArn=arn, EntityFilter="User", PathPrefix="/")["PolicyUsers"]
    assert iam.list_attached_user_policies(UserName=name, PathPrefix="/other/")["AttachedPolicies"] == []
    assert iam.list_attached_user_policies(UserName=name, PathPrefix="/")["AttachedPolicies"]
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_policies_that_are_always_there(iam, new_policy):
    arn = new_policy("local", READ)
    ready = {policy["PolicyName"] for policy in iam.list_policies(Scope="AWS")["Policies"]}
    assert {"readonly", "AmazonS3FullAccess", "AdministratorAccess"} <= ready
    assert [policy["Arn"] for policy in iam.list_policies(Scope="Local")["Policies"]] == [arn]
    assert code_of(iam.delete_policy, PolicyArn="arn:aws:iam::aws:policy/readonly") == "UnmodifiableEntity"
    shown = iam.get_policy_version(PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess", VersionId="v1")
    assert shown["PolicyVersion"]["Document"]["Statement"][0]["Action"] == ["*"]
    assert code_of(iam.get_policy, PolicyArn="arn:aws:iam::aws:policy/no-such-one") == "NoSuchEntity"
    assert code_of(iam.get_policy, PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/readonly") == "NoSuchEntity"
    for arn in (f"arn:aws:iam::{ACCOUNT}:role/readonly-role", "arn:aws:s3:::policy/readonly", "a" * 20):
        assert code_of(iam.get_policy, PolicyArn=arn) == "InvalidInput"


def test_what_does_not_exist_is_attached_to_nothing(iam, new_user, new_group):
    name, _ = new_user()
    group = new_group("nothing")
    arn = f"arn:aws:iam::{ACCOUNT}:policy/none"
    assert code_of(iam.attach_user_policy, UserName=name, PolicyArn=arn) == "NoSuchEntity"
    assert code_of(iam.attach_group_policy, GroupName=group, PolicyArn=arn) == "NoSuchEntity"
    assert code_of(iam.add_user_to_group, GroupName=group, UserName="not-there") == "NoSuchEntity"
    assert code_of(iam.add_user_to_group, GroupName="not-there", UserName=name) == "NoSuchEntity"
    assert code_of(iam.add_user_to_group, GroupName=group, UserName="ci") == "UnmodifiableEntity"
    assert code_of(iam.detach_user_policy, UserName=name, PolicyArn=arn) == "NoSuchEntity"
    assert code_of(iam.delete_user_policy, UserName=name, PolicyName="none") == "NoSuchEntity"
    assert code_of(iam.get_group_policy, GroupName=group, PolicyName="none") == "NoSuchEntity"


def test_policies_of_one_user_have_a_limit_together(iam, new_user):
    name, _ = new_user()
    long = document(allowing("s3:GetObject", [f"arn:aws:s3:::bucket/{'x' * 100}/{n}" for n in range(8)]))
    iam.put_user_policy(UserName=name, PolicyName="one", PolicyDocument=long)
    iam.put_user_policy(UserName=name, PolicyName="one", PolicyDocument=long)
    assert code_of(iam.put_user_policy, UserName=name, PolicyName="two", PolicyDocument=long) == "LimitExceeded"


def test_a_role_gives_its_own_rights_and_not_those_of_who_assumes_it(server, iam, s3, bucket, new_user, new_role):
    name, keys = new_user(document(allowing("s3:*")))
    arn = new_role("reader", trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"}), READ, Path="/r/")
    assert arn == f"arn:aws:iam::{ACCOUNT}:role/r/reader"
    assumed = client(server, "sts", keys).assume_role(RoleArn=arn, RoleSessionName="job-1")
    assert assumed["AssumedRoleUser"]["AssumedRoleId"].startswith("AROA")
    session = of_session(server, "s3", assumed["Credentials"])
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert session.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert code_of(session.put_object, Bucket=bucket, Key="k") == "AccessDenied"
    who = of_session(server, "sts", assumed["Credentials"]).get_caller_identity()
    assert who["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/job-1"
    iam.put_role_policy(RoleName="reader", PolicyName="own", PolicyDocument=WRITE)
    session.put_object(Bucket=bucket, Key="k", Body=b"y")
    assert code_of(session.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert iam.get_role(RoleName="reader")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert [role["RoleName"] for role in iam.list_roles(PathPrefix="/r/")["Roles"]] == ["reader"]


def test_sessions_that_began_before_a_time_are_revoked(server, iam, bucket, new_user, new_role):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html"""
    name, keys = new_user(document(allowing("*")))
    arn = new_role("revoked", trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"}), document(allowing("s3:*")))
    sts = client(server, "sts", keys)
    in_role = of_session(server, "s3", sts.assume_role(RoleArn=arn, RoleSessionName="job")["Credentials"])
    of_user = of_session(server, "s3", sts.get_session_token()["Credentials"])

    def revoke(before):
        condition = {"DateLessThan": {"aws:TokenIssueTime": before}}
        revoked = document({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition})
        iam.put_role_policy(RoleName="revoked", PolicyName="AWSRevokeOlderSessions", PolicyDocument=revoked)
        iam.put_user_policy(UserName=name, PolicyName="AWSRevokeOlderSessions", PolicyDocument=revoked)

    revoke("2001-01-01T00:00:00Z")
    for session in (in_role, of_user):
        session.list_objects_v2(Bucket=bucket)
    revoke("2999-01-01T00:00:00Z")
    for session in (in_role, of_user):
        assert code_of(session.list_objects_v2, Bucket=bucket) == "AccessDenied"
    client(server, "s3", keys).list_objects_v2(Bucket=bucket)


def test_a_session_of_a_role_is_narrowed_and_leads_to_no_other_rights(server, iam, bucket, new_user, new_role):
    _name, keys = new_user(document(allowing("*")))
    arn = new_role("narrow", trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), document(allowing(["s3:*", "sts:*"])))
    sts = client(server, "sts", keys)
    policy = document(allowing("s3:ListBucket"))
    narrowed = sts.assume_role(RoleArn=arn, RoleSessionName="narrow", Policy=policy)["Credentials"]
    assert code_of(of_session(server, "s3", narrowed).put_object, Bucket=bucket, Key="k") == "AccessDenied"
    of_session(server, "s3", narrowed).list_objects_v2(Bucket=bucket)
    whole = sts.assume_role(RoleArn=arn, RoleSessionName="whole")["Credentials"]
    chained = of_session(server, "sts", whole)
    any_role = (
        f"arn:aws:iam::{ACCOUNT}:role/any-name"  # of a user it is a name; of a role it would be its user's rights
    )
    assert code_of(chained.assume_role, RoleArn=any_role, RoleSessionName="again") == "AccessDenied"
    assert code_of(chained.get_session_token) == "AccessDenied"
    assert code_of(of_session(server, "iam", whole).list_users) == "AccessDenied"
    again = chained.assume_role(RoleArn=arn, RoleSessionName="again")["Credentials"]
    of_session(server, "s3", again).list_objects_v2(Bucket=bucket)
    assert sts.assume_role(RoleArn=any_role, RoleSessionName="a-name")["Credentials"]


def test_who_is_not_trusted_does_not_assume_a_role(server, iam, new_user, new_role):
    name, keys = new_user()
    _allowed, allowed_keys = new_user(document(allowing("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/account")))
    denied, denied_keys = new_user(document({"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"}))
    of_one = new_role("one", trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:user/somebody"}))
    of_account = new_role("account", trusting({"AWS": ACCOUNT}))
    of_all = new_role("named", trusting({"AWS": [f"arn:aws:iam::{ACCOUNT}:user/{it}" for it in (name, denied)]}))
    with_id = new_role(
        "external",
        trusting(
            {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"}, Condition={"StringEquals": {"sts:ExternalId": "secret"}}
        ),
    )

    def outcome(arn, keys, **arguments):
        sts = client(server, "sts", keys)
        try:
            sts.assume_role(RoleArn=arn, RoleSessionName="job", **arguments)
        except sts.exceptions.ClientError as error:
            return error.response["Error"]["Code"]
        return "assumed"

    assert outcome(of_one, keys) == outcome(of_one, ROOT) == outcome(of_one, OTHER) == "AccessDenied"
    assert outcome(of_account, keys) == outcome(of_account, LIMITED) == outcome(of_account, OTHER) == "AccessDenied"
    assert outcome(of_account, allowed_keys) == outcome(of_account, ROOT) == "assumed"
    assert outcome(of_all, keys) == "assumed"
    assert outcome(of_all, denied_keys) == "AccessDenied"
    assert outcome(with_id, keys) == outcome(with_id, keys, ExternalId="else") == "AccessDenied"
    assert outcome(with_id, keys, ExternalId="secret") == "assumed"


def test_a_role_that_is_not_kept_gives_no_rights_of_a_policy_that_names_it(server, s3, new_bucket, new_user):
    bucket = new_bucket()
    role = f"arn:aws:iam::{ACCOUNT}:role/admin"
    statement = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(statement))
    _, keys = new_user()
    credentials = client(server, "sts", keys).assume_role(RoleArn=role, RoleSessionName="job")["Credentials"]
    assert code_of(of_session(server, "s3", credentials).list_objects_v2, Bucket=bucket) == "AccessDenied"


def test_a_bucket_policy_names_a_role_that_is_kept(server, s3, new_bucket, new_user, new_role):
    bucket = new_bucket()
    name, keys = new_user()
    role = new_role("by-bucket", trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"}), Path="/x/")
    statement = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(statement))
    credentials = client(server, "sts", keys).assume_role(RoleArn=role, RoleSessionName="job")["Credentials"]
    of_session(server, "s3", credentials).list_objects_v2(Bucket=bucket)
    assert code_of(client(server, "s3", keys).list_objects_v2, Bucket=bucket) == "AccessDenied"


def test_sessions_of_a_role_end_with_the_role(server, iam, bucket, new_user, new_role):
    name, keys = new_user()
    trust = trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"})
    arn = new_role("ending", trust, READ)
    credentials = client(server, "sts", keys).assume_role(RoleArn=arn, RoleSessionName="job")["Credentials"]
    session = of_session(server, "s3", credentials)
    session.list_objects_v2(Bucket=bucket)
    assert code_of(iam.delete_role, RoleName="ending") == "DeleteConflict"
    remove_role(iam, "ending")
    assert code_of(session.list_objects_v2, Bucket=bucket) == "InvalidAccessKeyId"
    new_role("ending", trust, READ)
    assert code_of(session.list_objects_v2, Bucket=bucket) == "InvalidAccessKeyId"


@pytest.mark.parametrize(
    "trust",
    [
        document(allowing("sts:AssumeRole")),
        document({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}),
        document({"Effect": "Allow", "Action": "sts:AssumeRole"}),
        document({"Effect": "Allow", "Principal": {"AWS": "nobody"}, "Action": "sts:AssumeRole"}),
        "{}",
    ],
)
def test_trust_policies_that_are_none_are_refused(iam, trust):
    assert code_of(iam.create_role, RoleName="no", AssumeRolePolicyDocument=trust) == "MalformedPolicyDocument"


def test_roles_are_changed(server, iam, new_user, new_role):
    name, keys = new_user()
    arn = new_role("changing", trusting({"Service": "ec2.amazonaws.com"}), MaxSessionDuration=3600)
    sts = client(server, "sts", keys)
    assert code_of(sts.assume_role, RoleArn=arn, RoleSessionName="job") == "AccessDenied"
    iam.update_assume_role_policy(
        RoleName="changing", PolicyDocument=trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"})
    )
    assert code_of(sts.assume_role, RoleArn=arn, RoleSessionName="job", DurationSeconds=7200) == "ValidationError"
    iam.update_role(RoleName="changing", MaxSessionDuration=7200, Description="longer")
    sts.assume_role(RoleArn=arn, RoleSessionName="job", DurationSeconds=7200)
    shown = iam.get_role(RoleName="changing")["Role"]
    assert (shown["MaxSessionDuration"], shown["Description"]) == (7200, "longer")
    iam.tag_role(RoleName="changing", Tags=[{"Key": "a", "Value": "b"}])
    assert iam.list_role_tags(RoleName="changing")["Tags"] == [{"Key": "a", "Value": "b"}]
    assert iam.list_instance_profiles_for_role(RoleName="changing")["InstanceProfiles"] == []
    assert code_of(iam.update_role, RoleName="not-there") == "NoSuchEntity"


def test_a_bucket_policy_means_the_user_that_it_named_and_no_later_one(server, iam, s3, new_bucket, new_user):
    bucket = new_bucket()
    name, keys = new_user()
    arn = iam.get_user(UserName=name)["User"]["Arn"]
    resource = f"arn:aws:s3:::{bucket}"
    statement = {"Effect": "Allow", "Principal": {"AWS": [arn, ACCOUNT]}, "Action": "s3:*", "Resource": resource}
    statement["Condition"] = {"StringLike": {"aws:PrincipalArn": ["arn:aws:iam::*:user/*", arn]}}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Principal": {"AWS": [arn]}}]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    theirs = client(server, "s3", keys)
    theirs.list_objects_v2(Bucket=bucket)
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy
    iam.update_user(UserName=name, NewUserName="moved")
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]["Principal"]["AWS"] == [
        f"arn:aws:iam::{ACCOUNT}:user/moved"
    ]
    iam.update_user(UserName="moved", NewUserName=name)
    gone = iam.get_user(UserName=name)["User"]["UserId"]
    remove(iam, name)
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    again = client(server, "s3", (key["AccessKeyId"], key["SecretAccessKey"]))
    assert code_of(again.list_objects_v2, Bucket=bucket) == "AccessDenied"
    shown = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert shown["Statement"][0]["Principal"]["AWS"] == [gone]
    assert shown["Statement"][0]["Condition"] == statement["Condition"]


@pytest.mark.parametrize("account", [ACCOUNT, ""])
def test_a_role_trusts_the_user_that_it_named_and_no_later_one(server, iam, new_user, new_role, account):
    name, keys = new_user()
    user = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    arn = new_role("trusting", trusting({"AWS": f"arn:aws:iam::{account}:user/{name}"}))
    shown = iam.get_role(RoleName="trusting")["Role"]["AssumeRolePolicyDocument"]
    assert shown["Statement"][0]["Principal"] == {"AWS": user}
    client(server, "sts", keys).assume_role(RoleArn=arn, RoleSessionName="job")
    remove(iam, name)
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    again = client(server, "sts", (key["AccessKeyId"], key["SecretAccessKey"]))
    assert code_of(again.assume_role, RoleArn=arn, RoleSessionName="job") == "AccessDenied"


@pytest.mark.parametrize("sid", ["with space", "with-dash", "ü", "a.b", 1, ["a"], None])
def test_statements_of_iam_have_ids_of_letters_and_digits(iam, new_user, sid):  # those of a bucket have others too
    name, _ = new_user()
    policy, trust = document(allowing("s3:*", Sid=sid)), json.loads(trusting({"AWS": ACCOUNT}))
    trust["Statement"][0]["Sid"] = sid
    wrong = "MalformedPolicyDocument"
    assert code_of(iam.create_policy, PolicyName="sids", PolicyDocument=policy) == wrong
    assert code_of(iam.put_user_policy, UserName=name, PolicyName="sids", PolicyDocument=policy) == wrong
    assert code_of(iam.create_role, RoleName="sids", AssumeRolePolicyDocument=json.dumps(trust)) == wrong
    iam.put_user_policy(UserName=name, PolicyName="sids", PolicyDocument=document(allowing("s3:*", Sid="Stmt1")))
    iam.delete_user_policy(UserName=name, PolicyName="sids")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Action": "GetObject"}, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        ({"Action": "s3:Get:Object"}, "Actions/Condition can contain only one colon."),
        (
            {"Action": ["s3:GetObject", "Get*"]},
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        ({"Resource": "bucket/*"}, 'Resource bucket/* must be in ARN format or "*".'),
    ],
)
def test_a_policy_of_iam_is_refused_in_its_words(iam, refused, change, message):
    for field in (change, {f"Not{name}": value for name, value in change.items()}):
        statement = {name: value for name, value in allowing("s3:*").items() if f"Not{name}" not in field} | field
        wrong = {"PolicyName": "wrong", "PolicyDocument": document(statement)}
        answer = refused("MalformedPolicyDocument", 400, iam.create_policy, **wrong)
        assert answer["Error"]["Message"] == message
