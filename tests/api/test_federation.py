"""Federated users: sessions that a user lets somebody else have, with rights that both have.

https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html
"""

import json

import pytest

from tests.api.conftest import LIMITED, OTHER, ROOT
from tests.api.iam_support import allowing, client, code_of, of_session

ACCOUNT = "000000000000"
ARN = f"arn:aws:sts::{ACCOUNT}:federated-user/bob"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


READ = document(allowing("s3:GetObject"))


@pytest.fixture
def lets_in(server, new_user):
    """A user that may read and let others in, as a function that returns the credentials that bob gets from it."""
    _, keys = new_user(document(allowing(["s3:GetObject", "sts:*"])))

    def ask(**more):
        return client(server, "sts", keys).get_federation_token(Name="bob", **more)["Credentials"]

    return ask


@pytest.fixture
def file(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    return {"Bucket": bucket, "Key": "k"}


@pytest.mark.parametrize("keys", [ROOT, OTHER])
def test_a_federated_user_is_named_by_who_lets_it_in(server, keys):
    answer = client(server, "sts", keys).get_federation_token(Name="bob", Policy=READ)
    assert answer["FederatedUser"] == {"Arn": ARN, "FederatedUserId": f"{ACCOUNT}:bob"}
    who = of_session(server, "sts", answer["Credentials"]).get_caller_identity()
    assert (who["Arn"], who["UserId"], who["Account"]) == (ARN, f"{ACCOUNT}:bob", ACCOUNT)


def test_it_has_the_rights_that_the_user_and_the_policy_both_give(server, lets_in, file):
    bob = of_session(server, "s3", lets_in(Policy=document(allowing("s3:*"))))
    assert bob.get_object(**file)["Body"].read() == b"x"
    assert code_of(bob.put_object, **file) == "AccessDenied"
    narrow = of_session(server, "s3", lets_in(Policy=document(allowing("s3:PutObject"))))
    assert code_of(narrow.get_object, **file) == "AccessDenied"
    assert code_of(narrow.put_object, **file) == "AccessDenied"
    by_name = [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}]
    assert of_session(server, "s3", lets_in(PolicyArns=by_name)).get_object(**file)["Body"].read() == b"x"


@pytest.mark.parametrize("of_root", [True, False])
def test_without_a_policy_it_has_what_a_bucket_gives_it_by_name_alone(server, s3, lets_in, file, of_root):
    given = client(server, "sts", ROOT).get_federation_token(Name="bob")["Credentials"] if of_root else lets_in()
    bob = of_session(server, "s3", given)
    assert code_of(bob.get_object, **file) == "AccessDenied"
    resource = f"arn:aws:s3:::{file['Bucket']}/*"
    statement = allowing("s3:PutObject", resource, Principal={"AWS": ARN})
    s3.put_bucket_policy(Bucket=file["Bucket"], Policy=document(statement))
    bob.put_object(**file)
    assert code_of(bob.get_object, **file) == "AccessDenied"
    account = s3.get_bucket_acl(Bucket=file["Bucket"])["Owner"]["ID"]
    for whom in ({"AWS": ACCOUNT}, {"CanonicalUser": account}):
        s3.put_bucket_policy(Bucket=file["Bucket"], Policy=document({**statement, "Principal": whom}))
        assert code_of(bob.put_object, **file) == "AccessDenied"


def test_conditions_know_it(server, s3, lets_in, file):
    asked = {
        "aws:PrincipalType": "FederatedUser",
        "aws:userid": f"{ACCOUNT}:bob",
        "aws:PrincipalArn": ARN,
        "aws:PrincipalTag/team": "blue",
    }
    denial = {
        **allowing("s3:GetObject", f"arn:aws:s3:::{file['Bucket']}/*", Principal="*"),
        "Effect": "Deny",
        "Condition": {"StringEquals": asked, "Null": {"aws:username": "true"}},
    }
    s3.put_bucket_policy(Bucket=file["Bucket"], Policy=document(denial))
    tagged = of_session(server, "s3", lets_in(Policy=READ, Tags=[{"Key": "team", "Value": "blue"}]))
    assert code_of(tagged.get_object, **file) == "AccessDenied"
    of_session(server, "s3", lets_in(Policy=READ)).get_object(**file)


def test_it_calls_nothing_of_iam_and_gets_no_more_sessions(server, lets_in):
    given = lets_in(Policy=document(allowing("*")))
    sts, role = of_session(server, "sts", given), f"arn:aws:iam::{ACCOUNT}:role/any"
    assert code_of(sts.get_session_token) == "AccessDenied"
    assert code_of(sts.get_federation_token, Name="eve", Policy=READ) == "AccessDenied"
    assert code_of(sts.assume_role, RoleArn=role, RoleSessionName="eve") == "AccessDenied"
    assert code_of(of_session(server, "iam", given).list_users) == "AccessDenied"


def test_it_ends_with_the_key_of_who_let_it_in(server, iam, new_user, file):
    name, keys = new_user(document(allowing(["s3:GetObject", "sts:GetFederationToken"])))
    given = client(server, "sts", keys).get_federation_token(Name="bob", Policy=READ)["Credentials"]
    bob = of_session(server, "s3", given)
    bob.get_object(**file)
    iam.update_access_key(UserName=name, AccessKeyId=keys[0], Status="Inactive")
    assert code_of(bob.get_object, **file) == "InvalidAccessKeyId"


def test_who_may_let_in_whom_is_a_right(server, new_user):
    _, keys = new_user(document(allowing("sts:GetFederationToken", f"arn:aws:sts::{ACCOUNT}:federated-user/b*")))
    sts = client(server, "sts", keys)
    sts.get_federation_token(Name="bob")
    assert code_of(sts.get_federation_token, Name="eve") == "AccessDenied"
    assert code_of(sts.get_federation_token, Name="bob", Tags=[{"Key": "a", "Value": "b"}]) == "AccessDenied"
    assert code_of(client(server, "sts", LIMITED).get_federation_token, Name="bob") == "AccessDenied"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"Name": "b" * 33}, "ValidationError"),
        ({"Name": "a b"}, "ValidationError"),
        ({"DurationSeconds": 129_601}, "ValidationError"),
        ({"Policy": "{}"}, "MalformedPolicyDocument"),
        ({"Tags": [{"Key": "aws:a", "Value": "b"}]}, "InvalidInput"),
    ],
)
def test_calls_that_are_wrong_are_refused(server, wrong, code):
    assert code_of(client(server, "sts", ROOT).get_federation_token, **{"Name": "bob", **wrong}) == code


def test_whose_an_access_key_is(server, lets_in):
    sts = client(server, "sts", ROOT)
    for access_key in (LIMITED[0], lets_in()["AccessKeyId"]):
        assert sts.get_access_key_info(AccessKeyId=access_key)["Account"] == ACCOUNT
    assert code_of(sts.get_access_key_info, AccessKeyId="AKIAIOSFODNN7EXAMPLE") == "ValidationError"
    assert code_of(client(server, "sts", LIMITED).get_access_key_info, AccessKeyId=LIMITED[0]) == "AccessDenied"
