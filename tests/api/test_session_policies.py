"""What narrows a session: a policy of the call, managed policies that it names, or both.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
"""

import json

import pytest

from tests.api.conftest import ROOT
from tests.api.iam_support import allowing, client, code_of, of_session

ACCOUNT = "000000000000"
READY = "arn:aws:iam::aws:policy/"
ROLE = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/never-made", "RoleSessionName": "job"}


@pytest.fixture(scope="session")
def sts(server):
    return client(server, "sts", ROOT)


@pytest.fixture
def new_policy(iam):
    """A function that makes a managed policy of some statements, and returns its ARN."""
    made = []

    def make(*statements, version="2012-10-17"):
        document = json.dumps({"Version": version, "Statement": list(statements)})
        name = f"narrow.{len(made)}"
        made.append(iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"])
        return made[-1]

    yield make
    for arn in made:
        for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=arn)


def named(*arns):
    return {"PolicyArns": [{"arn": arn} for arn in arns]}


def may(server, sts, bucket, **arguments):
    """What a session may that was asked for so: read, write, or both."""
    s3 = of_session(server, "s3", sts.assume_role(**ROLE, **arguments)["Credentials"])
    found = set()
    for name, call in (("write", s3.put_object), ("read", s3.get_object)):
        try:
            call(Bucket=bucket, Key="k")
            found.add(name)
        except s3.exceptions.ClientError as refused:
            found |= set() if refused.response["Error"]["Code"] == "AccessDenied" else {"error"}
    return found


def test_a_session_may_what_one_of_its_policies_gives(server, sts, s3, bucket, new_policy):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    reading, writing = (new_policy(allowing(f"s3:{it}Object") | {"Sid": "same"}) for it in ("Get", "Put"))
    inline = json.dumps({"Version": "2012-10-17", "Statement": allowing("s3:PutObject", Sid="same")})
    assert may(server, sts, bucket) == {"read", "write"}
    assert may(server, sts, bucket, **named(reading)) == {"read"}
    assert may(server, sts, bucket, **named(reading, writing)) == {"read", "write"}
    assert may(server, sts, bucket, Policy=inline) == {"write"}
    assert may(server, sts, bucket, Policy=inline, **named(reading)) == {"read", "write"}
    assert may(server, sts, bucket, **named(f"{READY}AmazonS3ReadOnlyAccess")) == {"read"}
    deny = new_policy(allowing("s3:GetObject") | {"Effect": "Deny"})
    assert may(server, sts, bucket, Policy=inline, **named(reading, deny)) == {"write"}


def test_a_session_is_no_wider_when_its_policies_become_so(server, sts, s3, iam, bucket, new_policy):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    arn = new_policy(allowing("s3:GetObject"))
    session = of_session(server, "s3", sts.assume_role(**ROLE, **named(arn))["Credentials"])
    wider = json.dumps({"Version": "2012-10-17", "Statement": allowing("s3:*")})
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=wider, SetAsDefault=True)
    assert session.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert code_of(session.put_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert may(server, sts, bucket, **named(arn)) == {"read", "write"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (named(f"arn:aws:iam::{ACCOUNT}:policy/none"), "NoSuchEntity"),
        (named(f"arn:aws:iam::{ACCOUNT}:role/somebody"), "InvalidInput"),
        (named(*[f"{READY}AmazonS3FullAccess"] * 11), "ValidationError"),
        (named(f"{READY}AmazonS3FullAccess") | {"Policy": "{"}, "MalformedPolicyDocument"),
    ],
)
def test_policies_that_are_none(sts, arguments, code):
    assert code_of(sts.assume_role, **ROLE, **arguments) == code


def test_policies_that_are_too_long_or_of_two_languages(sts, new_policy):
    long = [new_policy(allowing("s3:GetObject", f"arn:aws:s3:::{'x' * 5000}/{number}")) for number in range(2)]
    sts.assume_role(**ROLE, **named(long[0]))
    assert code_of(sts.assume_role, **ROLE, **named(*long)) == "PackedPolicyTooLarge"
    own = new_policy(allowing("s3:GetObject", "arn:aws:s3:::b/${aws:username}/*"))
    old = new_policy(allowing("s3:GetObject"), version="2008-10-17")
    assert code_of(sts.assume_role, **ROLE, **named(own, old)) == "MalformedPolicyDocument"


@pytest.mark.parametrize("given", [{"PolicyArns.1.arn": f"{READY}readonly"}, {"Policy": ""}])
def test_policies_of_another_form_are_refused_and_not_ignored(raw_iam, given):
    asked = ROLE | {"Action": "AssumeRole", "Version": "2011-06-15"} | given
    assert raw_iam(service="sts", **asked) == (400, "ValidationError")
