"""What AssumeRole passes on: tags of the session, transitive ones, and who is behind it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
"""

import json

import pytest

from tests.api.conftest import OTHER, ROOT
from tests.api.iam_support import allowing, client, code_of, of_session

ACCOUNT = "000000000000"
BOTH = ["sts:AssumeRole", "sts:TagSession"]
ALL = [*BOTH, "sts:SetSourceIdentity"]
READ_OWN = allowing("s3:GetObject", "arn:aws:s3:::*/${aws:PrincipalTag/team}/*")


@pytest.fixture
def new_role(iam):
    """A function that makes a role that the account may assume, by some actions, and returns its ARN."""
    made = []

    def make(actions, *statements, tags=(), condition=None):
        name = f"tags.{len(made)}"
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": actions}
        trust |= {"Condition": condition} if condition else {}
        given = [{"Key": key, "Value": value} for key, value in tags]
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
            Tags=given,
        )["Role"]
        made.append(name)
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements) or [allowing("sts:*")]})
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
        return role["Arn"]

    yield make
    for name in made:
        iam.delete_role_policy(RoleName=name, PolicyName="p")
        iam.delete_role(RoleName=name)


@pytest.fixture
def assume(server, new_user):
    """A function that assumes a role as a user that may; it returns the answer. ``by`` is a session that does it."""
    _, keys = new_user(json.dumps({"Statement": allowing("sts:*")}))

    def ask(arn, *, by=None, tags=(), **more):
        sts = of_session(server, "sts", by) if by else client(server, "sts", keys)
        given = {"Tags": [{"Key": key, "Value": value} for key, value in tags]} if tags else {}
        return sts.assume_role(RoleArn=arn, RoleSessionName="job", **given, **more)

    return ask


@pytest.fixture
def files(s3, bucket):
    """A bucket with a file of each team."""
    for team in ("blue", "red", "own"):
        s3.put_object(Bucket=bucket, Key=f"{team}/f", Body=b"x")
    return bucket


def reads(server, answer, bucket):
    """Whose files a session may read."""
    s3 = of_session(server, "s3", answer["Credentials"])
    found = set()
    for team in ("blue", "red", "own"):
        try:
            s3.get_object(Bucket=bucket, Key=f"{team}/f")
            found.add(team)
        except s3.exceptions.ClientError as refused:
            found |= set() if "AccessDenied" in str(refused) else {"error"}
    return found


def test_tags_of_a_session_are_those_of_its_caller_and_go_before_those_of_the_role(server, new_role, assume, files):
    arn = new_role(BOTH, READ_OWN, tags=[("Team", "own")])
    assert reads(server, assume(arn), files) == {"own"}
    assert reads(server, assume(arn, tags=[("team", "blue")]), files) == {"blue"}
    assert reads(server, assume(arn, tags=[("other", "blue")]), files) == {"own"}


def test_tags_and_identity_need_rights_of_their_own(new_role, assume):
    arn = new_role(["sts:AssumeRole"])
    assert "SourceIdentity" not in assume(arn)
    assert code_of(assume, arn=arn, tags=[("team", "blue")]) == "AccessDenied"
    assert code_of(assume, arn=arn, SourceIdentity="ann") == "AccessDenied"
    tagging = new_role(BOTH)
    assume(tagging, tags=[("team", "blue")])
    assert code_of(assume, arn=tagging, SourceIdentity="ann") == "AccessDenied"
    assert assume(new_role(ALL), SourceIdentity="ann")["SourceIdentity"] == "ann"


@pytest.mark.parametrize(
    ("condition", "tags", "transitive", "may"),
    [
        ({"StringEquals": {"aws:RequestTag/team": "blue"}}, [("Team", "blue")], [], True),
        ({"StringEquals": {"aws:RequestTag/team": "blue"}}, [("team", "red")], [], False),
        ({"StringEquals": {"aws:RequestTag/team": "blue"}}, [], [], False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, [("team", "x")], [], True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, [("team", "x"), ("more", "y")], [], False),
        ({"ForAnyValue:StringEquals": {"sts:TransitiveTagKeys": ["team"]}}, [("team", "x")], ["team"], True),
        ({"ForAnyValue:StringEquals": {"sts:TransitiveTagKeys": ["team"]}}, [("team", "x")], [], False),
        ({"ForAllValues:StringEquals": {"sts:TransitiveTagKeys": ["Team"]}}, [("Team", "x")], ["Team"], True),
    ],
)
def test_a_role_can_say_which_tags_it_takes(new_role, assume, condition, tags, transitive, may):
    arn = new_role(BOTH, condition=condition)
    more = {"TransitiveTagKeys": transitive} if transitive else {}
    if may:
        assume(arn, tags=tags, **more)
    else:
        assert code_of(assume, arn=arn, tags=tags, **more) == "AccessDenied"


def test_a_role_can_say_whose_sessions_it_takes_and_a_policy_whose_requests(server, s3, new_role, assume, files):
    arn = new_role(ALL, allowing("s3:GetObject"), condition={"StringLike": {"sts:SourceIdentity": "ann*"}})
    assert code_of(assume, arn=arn, SourceIdentity="bob") == "AccessDenied"
    ann = assume(arn, SourceIdentity="anna")
    assert reads(server, ann, files) == {"blue", "red", "own"}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{files}/red/*"}
    deny |= {"Condition": {"StringEquals": {"aws:SourceIdentity": "anna"}}}
    s3.put_bucket_policy(Bucket=files, Policy=json.dumps({"Version": "2012-10-17", "Statement": deny}))
    assert reads(server, ann, files) == {"blue", "own"}
    assert reads(server, assume(arn, SourceIdentity="ann"), files) == {"blue", "red", "own"}


def test_transitive_tags_and_the_identity_go_on_and_stay(server, new_role, assume, files):
    first, second = new_role(ALL), new_role(ALL, READ_OWN, allowing("sts:*"), tags=[("team", "own")])
    tags = [("Team", "blue"), ("here", "only")]
    begun = assume(first, tags=tags, TransitiveTagKeys=["team"], SourceIdentity="ann")["Credentials"]
    gone_on = assume(second, by=begun)
    assert gone_on["SourceIdentity"] == "ann"
    assert reads(server, gone_on, files) == {"blue"}
    assert code_of(assume, arn=second, by=begun, tags=[("TEAM", "red")]) == "InvalidInput"
    assert code_of(assume, arn=second, by=begun, SourceIdentity="bob") == "AccessDenied"
    again = assume(second, by=assume(second, by=begun, tags=[("more", "x")])["Credentials"], SourceIdentity="ann")
    assert reads(server, again, files) == {"blue"}
    closed = new_role(["sts:AssumeRole"])
    assert code_of(assume, arn=closed, by=begun) == "AccessDenied"
    plain = assume(first, tags=tags)["Credentials"]
    assert reads(server, assume(second, by=plain), files) == {"own"}


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([("a", "1"), ("A", "2")], "InvalidInput"),
        ([("aws:a", "1")], "InvalidInput"),
        ([("a" * 129, "1")], "ValidationError"),
        ([("a", "1" * 257)], "ValidationError"),
        ([("a\x01", "1")], "ValidationError"),
        ([(f"k{number}", "v") for number in range(51)], "LimitExceeded"),
        ([(f"k{number}", "v" * 256) for number in range(50)], "PackedPolicyTooLarge"),
    ],
)
def test_tags_that_are_none(new_role, assume, tags, code):
    assert code_of(assume, arn=new_role(BOTH), tags=tags) == code


def test_as_many_tags_as_a_token_has_room_for(server, new_role, assume, files):
    tags = [(f"k{number}", "v" * 90) for number in range(49)]
    assert reads(server, assume(new_role(BOTH, READ_OWN), tags=[*tags, ("team", "red")]), files) == {"red"}


@pytest.mark.parametrize("passed", [{"Tags": [{"Key": "team", "Value": "blue"}]}, {"SourceIdentity": "ann"}])
@pytest.mark.parametrize("caller", ["a user", "an account"])
def test_others_pass_nothing_on_to_a_role_that_is_but_a_name(server, new_user, caller, passed):
    """No role says that they may: who chose its own tags would choose its rights."""
    keys = new_user(json.dumps({"Statement": allowing("*")}))[1] if caller == "a user" else OTHER
    sts = client(server, "sts", keys)
    named = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/name", "RoleSessionName": "job"}
    assert sts.assume_role(**named)["Credentials"]
    assert code_of(sts.assume_role, **named, **passed) == "AccessDenied"


def test_the_root_user_tags_sessions_of_a_role_that_is_but_a_name(server, s3, files):
    sts = client(server, "sts", ROOT)
    tags = [{"Key": "team", "Value": "blue"}]
    answer = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/name", RoleSessionName="job", Tags=tags)
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{files}/*"}
    deny |= {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue"}}}
    s3.put_bucket_policy(Bucket=files, Policy=json.dumps({"Version": "2012-10-17", "Statement": deny}))
    assert reads(server, answer, files) == set()


# --- tags of users and roles ------------------------------------------------------------------------------------------

BLUE, RED = ([{"Key": "team", "Value": value}] for value in ("blue", "red"))


@pytest.fixture
def limited(server, new_user):
    """A function that returns a client of IAM that may do what a condition holds of, and its keys."""

    def make(condition):
        policy = {"Version": "2012-10-17", "Statement": allowing("iam:*", Condition=condition)}
        _, keys = new_user(json.dumps(policy))
        return client(server, "iam", keys), keys

    return make


def test_tags_that_a_call_of_iam_gives_are_asked(iam, limited, new_user):
    name, _ = new_user()
    theirs, _ = limited({"StringEquals": {"aws:RequestTag/team": "blue"}})
    theirs.tag_user(UserName=name, Tags=BLUE)
    assert code_of(theirs.tag_user, UserName=name, Tags=RED) == "AccessDenied"
    assert code_of(theirs.create_user, UserName="tags.none") == "AccessDenied"
    assert iam.list_user_tags(UserName=name)["Tags"] == BLUE
    only, _ = limited({"ForAllValues:StringEquals": {"aws:TagKeys": ["more"]}})
    assert code_of(only.untag_user, UserName=name, TagKeys=["team"]) == "AccessDenied"
    only.untag_user(UserName=name, TagKeys=["more"])
    assert iam.list_user_tags(UserName=name)["Tags"] == BLUE


@pytest.mark.parametrize("key", ["aws:ResourceTag/team", "iam:ResourceTag/Team"])
def test_tags_of_whom_iam_acts_on_are_asked(limited, new_user, key):
    blue, _ = new_user(Tags=BLUE)
    red, _ = new_user(Tags=RED)
    theirs, _ = limited({"StringEquals": {key: "blue"}})
    assert theirs.get_user(UserName=blue)["User"]["UserName"] == blue
    assert code_of(theirs.get_user, UserName=red) == "AccessDenied"


def test_a_role_is_assumed_by_its_tags(new_role, assume):
    condition = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
    assume(new_role(BOTH, tags=[("team", "blue")], condition=condition))
    assert code_of(assume, arn=new_role(BOTH, tags=[("team", "red")], condition=condition)) == "AccessDenied"


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_a_header_gives_no_tags(server, new_role, limited, new_user, service):
    """What S3 reads as tags of an object says nothing to other services."""
    condition = {"StringEquals": {"aws:RequestTag/team": "blue"}}
    theirs, _ = limited(condition)
    arn = new_role(BOTH, condition=condition)
    asked = (
        theirs if service == "iam" else client(server, "sts", new_user(json.dumps({"Statement": allowing("sts:*")}))[1])
    )

    def add_header(request, **_):
        request.headers["x-amz-tagging"] = "team=blue"

    asked.meta.events.register("before-sign", add_header)
    if service == "iam":
        assert code_of(asked.create_user, UserName="tags.none") == "AccessDenied"
    else:
        assert code_of(asked.assume_role, RoleArn=arn, RoleSessionName="job") == "AccessDenied"
