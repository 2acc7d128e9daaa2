"""Policies: what each element of the language means, case by case, and held against a second evaluator.

The cases follow AWS's pages on the elements of policies, condition operators, variables and the evaluation of requests.
"""

import json
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish.auth.acl import ALL_USERS, AUTHENTICATED_USERS, AccessList
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.evaluator import Allowed, Block, BucketRules, Denied, Permit, decide
from s3ish.auth.patterns import Pattern
from s3ish.auth.policy import read_policy
from s3ish.auth.policy_fit import check_fit, check_new
from s3ish.auth.principals import ANONYMOUS, Principal
from s3ish.errors import MalformedPolicy
from s3ish.model import Grant, Owner
from tests.auth import naive
from tests.auth.naive import ALLOW, DENY, ask

BUCKET = "docs"
NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
ALICE = Principal("user", Owner("alice"), "alice", "AK1", tags=(("team", "blue"),), id="AIDAALICE")
BOB = Principal("user", Owner("bob"), "bob", "AK2")
OWNER = Principal("user", Owner("owner"), "owner", "AK3")
ROOT = Principal("root", Owner("s3ish-root"), "root", "AK0")
CALLERS = {"alice": ALICE, "bob": BOB, "owner": OWNER, "root": ROOT, "anonymous": ANONYMOUS}


def arn(name):
    return f"arn:aws:iam::000000000000:user/{name}"


PLAIN = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
READING = Permit("s3:GetObject", BUCKET, "a/b")


def document(*statements, version="2012-10-17"):
    whole = [{"Sid": f"S{number}"} | PLAIN | statement for number, statement in enumerate(statements)]
    for statement in whole:
        for field in ("Principal", "Action", "Resource"):
            if f"Not{field}" in statement:
                del statement[field]
    return json.dumps({"Version": version, "Statement": whole})


def circumstances(headers=None, query=None, **more):
    return Circumstances(headers or {}, query or {}, NOW, **more)


def outcome(policy, caller=ALICE, permit=READING, at=None, **rules):
    bucket = BucketRules(Owner("owner"), read_policy(policy, BUCKET) if policy else None, **rules)
    return decide(caller, permit, bucket, at or circumstances())


def is_allowed(*arguments, **more):
    return isinstance(outcome(*arguments, **more), Allowed)


# --- actions --------------------------------------------------------------------------------------------------------

ACTIONS = [
    ("s3:GetObject", "s3:GetObject", True),
    ("s3:getobject", "s3:GetObject", True),
    ("S3:GETOBJECT", "s3:GetObject", True),
    ("s3:GetObject", "s3:GetObjectVersion", False),
    ("s3:GetObject*", "s3:GetObjectVersion", True),
    ("s3:GetObject?cl", "s3:GetObjectAcl", True),
    ("s3:Get*", "s3:GetObject", True),
    ("s3:Get*", "s3:PutObject", False),
    ("s3:*Object", "s3:PutObject", True),
    ("s3:*Object", "s3:PutObjectAcl", False),
    ("s3:*", "s3:DeleteObject", True),
    ("*", "s3:DeleteObject", True),
    ("s3:P?tObject", "s3:PutObject", True),
    ("s3:G??ObjectAcl", "s3:GetObject", False),
    (["s3:PutObject", "s3:GetObject"], "s3:GetObject", True),
    (["s3:PutObject", "s3:DeleteObject"], "s3:GetObject", False),
    ("s3:Delete*Version", "s3:DeleteObjectVersion", True),
    ("s3:Delete*Version", "s3:DeleteObject", False),
]


@pytest.mark.parametrize(("pattern", "action", "allowed"), ACTIONS)
def test_actions(pattern, action, allowed):
    assert is_allowed(document({"Action": pattern}), permit=Permit(action, BUCKET, "k")) == allowed


@pytest.mark.parametrize(("pattern", "action", "allowed"), [row for row in ACTIONS if row[0] not in ("*", "s3:*")])
def test_all_actions_but_some(pattern, action, allowed):
    assert is_allowed(document({"NotAction": pattern}), permit=Permit(action, BUCKET, "k")) != allowed


# --- resources ------------------------------------------------------------------------------------------------------

RESOURCES = [
    ("/a/b", "a/b", True),
    ("/a/*", "a/b", True),
    ("/a/*", "a/b/c", True),
    ("/a/*", "ab", False),
    ("/*", "x", True),
    ("/a?b", "a/b", True),
    ("/a?b", "a//b", False),
    ("/A/B", "a/b", False),
    ("/*.jpg", "x/y.jpg", True),
    ("/*.jpg", "x.jpg.txt", False),
    ("/a*c*e", "abcde", True),
    ("/a*c*e", "abde", False),
    ("/**", "x", True),
    ("/a", "a", True),
    ("/a", "a/", False),
    ("/${aws:username}/*", "alice/x", True),
    ("/${aws:username}/*", "bob/x", False),
    ("/${aws:userid}", "AIDAALICE", True),
    ("/${aws:PrincipalTag/team}/*", "blue/x", True),
    ("/${aws:PrincipalTag/none}/*", "blue/x", False),
    ("/${aws:PrincipalTag/none, 'shared'}/*", "shared/x", True),
    ("/${aws:PrincipalTag/team, 'shared'}/*", "shared/x", False),
    ("/a${*}b", "a*b", True),
    ("/a${*}b", "axb", False),
    ("/a${?}b", "a?b", True),
    ("/a${?}b", "axb", False),
    ("/${$}{x}", "${x}", True),
]


@pytest.mark.parametrize(("resource", "key", "allowed"), RESOURCES)
@pytest.mark.parametrize("inverted", [False, True])
def test_resources(resource, key, allowed, inverted):
    policy = document({"NotResource" if inverted else "Resource": f"arn:aws:s3:::{BUCKET}{resource}"})
    assert is_allowed(policy, permit=Permit("s3:GetObject", BUCKET, key)) == (allowed != inverted)


@pytest.mark.parametrize(("resource", "key", "allowed"), [row for row in RESOURCES if "${" in row[0]])
def test_older_policies_have_no_variables(resource, key, allowed):
    policy = document({"Resource": f"arn:aws:s3:::{BUCKET}{resource}"}, version="2008-10-17")
    assert not is_allowed(policy, permit=Permit("s3:GetObject", BUCKET, key))
    own = resource[1:].replace("*", "x").replace("?", "x")
    assert is_allowed(policy, permit=Permit("s3:GetObject", BUCKET, own))


@pytest.mark.parametrize("value", ["*", "?", "\0*", "\0?"])
def test_no_value_of_a_variable_is_a_wildcard_in_any_pattern(value):
    for wildcards in (True, False):
        pattern = Pattern("${jwt:sub}", variables=True, wildcards=wildcards)
        assert pattern.matches(value, lambda _: (value,))
        assert not pattern.matches("x", lambda _: (value,))
        assert not pattern.matches_some_below("x", lambda _: (value,))
        assert not pattern.matches_all_below("x", lambda _: (value,))


def test_a_value_with_a_wildcard_is_no_wildcard():
    star = Principal("user", Owner("*"), "*", "AK")
    policy = document({"Resource": f"arn:aws:s3:::{BUCKET}/${{aws:username}}/k"})
    assert not is_allowed(policy, star, Permit("s3:GetObject", BUCKET, "alice/k"))
    assert is_allowed(policy, star, Permit("s3:GetObject", BUCKET, "*/k"))


@pytest.mark.parametrize(
    ("resource", "permit", "allowed"),
    [
        ("", Permit("s3:ListBucket", BUCKET), True),
        ("/*", Permit("s3:GetObject", BUCKET, "k"), True),
        ("*", Permit("s3:ListBucket", BUCKET), True),
        ("*", Permit("s3:GetObject", BUCKET, "k"), True),
        ("", Permit("s3:GetObject", BUCKET, "k"), False),
        ("/*", Permit("s3:ListBucket", BUCKET), False),
    ],
)
def test_a_bucket_and_its_objects_are_different_resources(resource, permit, allowed):
    assert is_allowed(document({"Resource": f"arn:aws:s3:::{BUCKET}{resource}"}), permit=permit) == allowed


@given(st.text("ab*?", max_size=5), st.text("ab", max_size=3))
def test_what_a_pattern_means_below_a_prefix(text, prefix):
    """It is held against all texts that are long enough to tell."""
    pattern = Pattern(text, variables=False)
    below = [prefix + "".join(rest) for length in range(6) for rest in product("abc", repeat=length)]
    matching = [naive.wild(text, value) for value in below]
    assert pattern.matches_some_below(prefix, lambda _: ()) == any(matching)
    assert all(matching) or not pattern.matches_all_below(prefix, lambda _: ())


def test_a_pattern_without_its_value_means_nothing_below_a_prefix():
    pattern = Pattern("${aws:username}*", variables=True)
    assert not pattern.matches_some_below("a", lambda _: ())
    assert not pattern.matches_all_below("a", lambda _: ())
    assert pattern.matches_all_below("alice/", lambda _: ("alice",))


BELOW = [
    ([{"Resource": "/a/*"}], True),
    ([{"Resource": "/a/?"}], False),
    ([{"Resource": "/a/b*"}], False),
    ([{"Resource": "*"}, {"Effect": "Deny", "Resource": "/a/b/*"}], False),
    ([{"Resource": "*"}, {"Effect": "Deny", "Resource": "*/b"}], False),
    ([{"Resource": "*"}, {"Effect": "Deny", "Resource": "/b/*"}], True),
    ([{"Resource": "*"}, {"Effect": "Deny", "Resource": ""}], True),
    ([{"NotResource": "/a/b/*"}], False),
    ([{"NotResource": "/b/*"}], True),
    ([{"Resource": "*"}, {"Effect": "Deny", "NotResource": "/a/*"}], True),
    ([{"Resource": "*"}, {"Effect": "Deny", "NotResource": "/a/b*"}], False),
]


@pytest.mark.parametrize(("statements", "allowed"), BELOW)
def test_a_right_to_all_keys_of_a_prefix(statements, allowed):
    def statement(part):
        texts = {key: f"arn:aws:s3:::{BUCKET}{text}" for key, text in part.items() if "Resource" in key}
        return {"Effect": "Allow", "Action": "s3:PutObject"} | part | texts

    policy = read_policy(json.dumps({"Statement": [statement(part) for part in statements]}))
    caller = Principal("user", Owner("owner"), "carol", policies=(policy,))
    assert is_allowed(None, caller, Permit("s3:PutObject", BUCKET, "a/", below=True)) == allowed


def test_patterns_with_many_stars_take_no_exponential_time():
    pattern = Pattern("*a" * 500, variables=False)
    assert not pattern.matches("a" * 499 + "b" * 500, lambda _: ())
    assert pattern.matches("a" * 500, lambda _: ())


# --- principals -----------------------------------------------------------------------------------------------------

PRINCIPALS = [
    ("*", "alice", True),
    ("*", "anonymous", True),
    ({"AWS": "*"}, "alice", True),
    ({"AWS": "*"}, "anonymous", True),
    ({"AWS": arn("alice")}, "alice", True),
    ({"AWS": arn("alice")}, "bob", False),
    ({"AWS": arn("alice")}, "anonymous", False),
    ({"AWS": [arn("bob"), arn("alice")]}, "alice", True),
    ({"AWS": "arn:aws:iam:::user/alice"}, "alice", True),
    ({"CanonicalUser": "alice"}, "alice", True),
    ({"CanonicalUser": "alice"}, "bob", False),
    ({"CanonicalUser": ["bob", "alice"]}, "alice", True),
    ({"AWS": "000000000000"}, "alice", False),
    ({"AWS": "arn:aws:iam::000000000000:root"}, "alice", False),
    ({"AWS": "arn:aws:iam::123456789012:user/alice"}, "alice", False),
    ({"AWS": "123456789012"}, "alice", False),
    ({"AWS": "arn:aws:sts::123456789012:federated-user/alice"}, "alice", False),
    ({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E2ABCDEF"}, "alice", False),
    ({"Service": "logging.s3.amazonaws.com"}, "alice", False),
    ({"AWS": arn("bob"), "CanonicalUser": "alice"}, "alice", True),
]


@pytest.mark.parametrize(("principal", "caller", "allowed"), PRINCIPALS)
def test_principals(principal, caller, allowed):
    assert is_allowed(document({"Principal": principal}), CALLERS[caller]) == allowed


@pytest.mark.parametrize(
    ("principal", "caller", "denied"),
    [
        ({"AWS": arn("alice")}, "alice", False),
        ({"AWS": arn("alice")}, "bob", True),
        ({"AWS": arn("alice")}, "anonymous", True),
        ({"AWS": [arn("alice"), arn("bob")]}, "bob", False),
        ({"CanonicalUser": "alice"}, "alice", False),
        ({"AWS": "000000000000"}, "root", False),
        ({"AWS": "000000000000"}, "alice", True),
        ("*", "alice", False),
    ],
)
def test_all_but_some_are_denied(principal, caller, denied):
    decision = outcome(document({}, {"Effect": "Deny", "NotPrincipal": principal}), CALLERS[caller])
    assert isinstance(decision, Denied) == denied
    assert not denied or (decision.explicit and "S1" in decision.by)


# --- conditions -----------------------------------------------------------------------------------------------------

AGENT, PREFIX, SIZE = "aws:UserAgent", "s3:prefix", "s3:max-keys"
OPERATORS = [
    ("StringEquals", AGENT, "curl/8", "curl/8", True),
    ("StringEquals", AGENT, "curl/8", "Curl/8", False),
    ("StringEquals", AGENT, "curl/*", "curl/8", False),
    ("StringEquals", AGENT, "curl/*", "curl/*", True),
    ("StringEquals", AGENT, ["a", "curl/8"], "curl/8", True),
    ("StringEquals", AGENT, ["a", "b"], "curl/8", False),
    ("StringEquals", AGENT, "${aws:username}", "alice", True),
    ("StringEquals", AGENT, "${aws:username}", "bob", False),
    ("StringEqualsIgnoreCase", AGENT, "CURL/8", "curl/8", True),
    ("StringEqualsIgnoreCase", AGENT, "curl/9", "curl/8", False),
    ("StringLike", AGENT, "curl/*", "curl/8.1", True),
    ("StringLike", AGENT, "curl/?", "curl/8", True),
    ("StringLike", AGENT, "curl/?", "curl/81", False),
    ("StringLike", AGENT, "*", "", False),
    ("StringLike", AGENT, "*firefox*", "x firefox y", True),
    ("StringLike", AGENT, "*Firefox*", "x firefox y", False),
    ("StringLike", AGENT, "*/${aws:username}", "x/alice", True),
    ("NumericEquals", SIZE, "10", "10", True),
    ("NumericEquals", SIZE, 10, "10", True),
    ("NumericEquals", SIZE, "10", "10.0", True),
    ("NumericEquals", SIZE, "10", "11", False),
    ("NumericEquals", SIZE, "10", "ten", False),
    ("NumericLessThan", SIZE, "10", "9", True),
    ("NumericLessThan", SIZE, "10", "10", False),
    ("NumericLessThan", SIZE, "10", "100", False),
    ("NumericLessThanEquals", SIZE, "10", "10", True),
    ("NumericLessThanEquals", SIZE, "10", "11", False),
    ("NumericGreaterThan", SIZE, "10", "11", True),
    ("NumericGreaterThan", SIZE, "10", "10", False),
    ("NumericGreaterThan", SIZE, "9", "10", True),
    ("NumericGreaterThanEquals", SIZE, "10", "10", True),
    ("NumericGreaterThanEquals", SIZE, "10", "-11", False),
    ("Bool", "aws:SecureTransport", "true", True, True),
    ("Bool", "aws:SecureTransport", "false", True, False),
    ("Bool", "aws:SecureTransport", False, False, True),
    ("Bool", "aws:SecureTransport", "True", True, True),
    ("IpAddress", "aws:SourceIp", "192.0.2.0/24", "192.0.2.7", True),
    ("IpAddress", "aws:SourceIp", "192.0.2.0/24", "192.0.3.7", False),
    ("IpAddress", "aws:SourceIp", "192.0.2.7", "192.0.2.7", True),
    ("IpAddress", "aws:SourceIp", "192.0.2.7/24", "192.0.2.99", True),
    ("IpAddress", "aws:SourceIp", "0.0.0.0/0", "8.8.8.8", True),
    ("IpAddress", "aws:SourceIp", "2001:db8::/32", "2001:db8::1", True),
    ("IpAddress", "aws:SourceIp", "2001:db8::/32", "192.0.2.7", False),
    ("IpAddress", "aws:SourceIp", "192.0.2.0/24", "::ffff:192.0.2.7", True),
    ("IpAddress", "aws:SourceIp", "::ffff:192.0.2.0/120", "192.0.2.7", True),
    ("IpAddress", "aws:SourceIp", "::ffff:192.0.2.0/120", "::ffff:192.0.2.7", True),
    ("IpAddress", "aws:SourceIp", "::ffff:192.0.2.0/120", "192.0.3.7", False),
    ("IpAddress", "aws:SourceIp", ["10.0.0.0/8", "192.0.2.0/24"], "192.0.2.7", True),
    ("IpAddress", "aws:SourceIp", "192.0.2.0/24", "not an address", False),
    ("DateEquals", "aws:CurrentTime", "2026-06-01T12:00:00Z", None, True),
    ("DateEquals", "aws:CurrentTime", "2026-06-01T14:00:00+02:00", None, True),
    ("DateEquals", "aws:CurrentTime", "2026-06-01T12:00:01Z", None, False),
    ("DateLessThan", "aws:CurrentTime", "2026-06-02", None, True),
    ("DateLessThan", "aws:CurrentTime", "2026-06-01T12:00:00Z", None, False),
    ("DateLessThanEquals", "aws:CurrentTime", "2026-06-01T12:00:00Z", None, True),
    ("DateGreaterThan", "aws:CurrentTime", "2026-05-31T23:59:59Z", None, True),
    ("DateGreaterThan", "aws:CurrentTime", "2026-06-01T12:00:00Z", None, False),
    ("DateGreaterThanEquals", "aws:CurrentTime", "2026-06-01T12:00:00Z", None, True),
    ("DateGreaterThan", "aws:CurrentTime", "1700000000", None, True),
    ("DateLessThan", "aws:EpochTime", "2026-06-02T00:00:00Z", None, True),
    ("NumericGreaterThan", "aws:EpochTime", "1700000000", None, True),
    ("ArnEquals", "aws:PrincipalArn", arn("alice"), None, True),
    ("ArnEquals", "aws:PrincipalArn", arn("*"), None, True),
    ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/al?ce", None, True),
    ("ArnLike", "aws:PrincipalArn", "arn:aws:*:user/alice", None, False),
    ("ArnLike", "aws:PrincipalArn", "*", None, False),
    ("ArnEquals", "aws:PrincipalArn", arn("bob"), None, False),
    ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::${aws:PrincipalAccount}:user/${aws:username}", None, True),
    ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::${aws:PrincipalTag/none, '0'}:user/alice", None, False),
    ("BinaryEquals", AGENT, "aGVsbG8=", "aGVsbG8=", True),
    ("BinaryEquals", AGENT, "aGVsbG8=", "aGVsbG9v", False),
    ("BinaryEquals", AGENT, "aGVsbG8=", "no base 64", False),
]
NEGATIONS = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
    "NumericEquals": "NumericNotEquals",
    "DateEquals": "DateNotEquals",
    "IpAddress": "NotIpAddress",
    "ArnEquals": "ArnNotEquals",
    "ArnLike": "ArnNotLike",
}


def having(key, value):
    """Return circumstances in which a condition key has a value, if it is one that a request gives."""
    if value is None or value == "":
        return circumstances()
    if key == AGENT:
        return circumstances({"user-agent": value})
    if key in (PREFIX, SIZE):
        return circumstances(query={key.removeprefix("s3:"): value})
    if key == "aws:SecureTransport":
        return circumstances(secure=value)
    return circumstances(source=value)


WHOLE = {"Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]}
LISTING = Permit("s3:ListBucket", BUCKET)
WRITING = Permit("s3:PutObject", BUCKET, "a/b")


def asking(key):
    """Return a right that a condition key is asked of."""
    if key in (PREFIX, SIZE, "s3:delimiter"):
        return LISTING
    if key == "s3:VersionId":
        return Permit("s3:GetObjectVersion", BUCKET, "a/b")
    of_writes = key.startswith(("s3:x-amz-", "s3:object-lock-", "s3:RequestObjectTag", "s3:if-"))
    return WRITING if of_writes else READING


def holds_of(conditions, key, at):
    """Whether conditions hold of a request that they can be asked of."""
    return is_allowed(document(WHOLE | {"Condition": conditions}), permit=asking(key), at=at)


@pytest.mark.parametrize(("operator", "key", "wanted", "value", "holds"), OPERATORS)
def test_operators(operator, key, wanted, value, holds):
    assert holds_of({operator: {key: wanted}}, key, having(key, value)) == holds


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "value", "holds"), [row for row in OPERATORS if row[0] in NEGATIONS and row[3] != ""]
)
def test_negated_operators(operator, key, wanted, value, holds):
    assert holds_of({NEGATIONS[operator]: {key: wanted}}, key, having(key, value)) != holds


@pytest.mark.parametrize("operator", sorted({row[0] for row in OPERATORS}))
def test_a_key_that_a_request_does_not_have(operator):
    wanted = next(row[2] for row in OPERATORS if row[0] == operator)
    key = "aws:Referer"
    assert not is_allowed(document({"Condition": {operator: {key: wanted}}}))
    assert is_allowed(document({"Condition": {f"{operator}IfExists": {key: wanted}}}))
    assert is_allowed(document({"Condition": {f"ForAllValues:{operator}": {key: wanted}}}))
    assert not is_allowed(document({"Condition": {f"ForAnyValue:{operator}": {key: wanted}}}))
    if operator in NEGATIONS:
        assert is_allowed(document({"Condition": {NEGATIONS[operator]: {key: wanted}}}))


@pytest.mark.parametrize(
    ("wanted", "present", "holds"),
    [("true", False, True), ("true", True, False), ("false", True, True), ("false", False, False), (True, False, True)],
)
def test_null_asks_whether_a_key_is_there(wanted, present, holds):
    at = circumstances({"referer": "x"} if present else {})
    assert is_allowed(document({"Condition": {"Null": {"aws:Referer": wanted}}}), at=at) == holds


SETS = [
    ("ForAllValues:StringEquals", ["a", "b"], "a=1&b=2", True),
    ("ForAllValues:StringEquals", ["a", "b"], "a=1", True),
    ("ForAllValues:StringEquals", ["a", "b"], "a=1&c=2", False),
    ("ForAllValues:StringEquals", ["a", "b"], "", True),
    ("ForAnyValue:StringEquals", ["a", "b"], "a=1&c=2", True),
    ("ForAnyValue:StringEquals", ["a", "b"], "c=1&d=2", False),
    ("ForAnyValue:StringEquals", ["a", "b"], "", False),
    ("ForAllValues:StringLike", ["pub-*"], "pub-a=1&pub-b=1", True),
    ("ForAllValues:StringLike", ["pub-*"], "pub-a=1&b=1", False),
    ("ForAnyValue:StringLike", ["pub-*"], "pub-a=1&b=1", True),
    ("ForAllValues:StringNotEquals", ["a"], "b=1&c=1", True),
    ("ForAllValues:StringNotEquals", ["a"], "a=1&c=1", False),
    ("ForAnyValue:StringNotEquals", ["a"], "a=1&c=1", True),
    ("ForAnyValue:StringNotEquals", ["a"], "a=1", False),
]


@pytest.mark.parametrize(("operator", "wanted", "tagging", "holds"), SETS)
def test_keys_with_many_values(operator, wanted, tagging, holds):
    policy = document({"Condition": {operator: {"s3:RequestObjectTagKeys": wanted}}})
    at = circumstances({"x-amz-tagging": tagging} if tagging else {})
    assert is_allowed(policy, permit=Permit("s3:PutObject", BUCKET, "k"), at=at) == holds


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"StringEquals": {AGENT: "x"}, "StringLike": {"aws:Referer": "y*"}}, True),
        ({"StringEquals": {AGENT: "x"}, "StringLike": {"aws:Referer": "z*"}}, False),
        ({"StringEquals": {AGENT: "x", "aws:Referer": "yes"}}, True),
        ({"StringEquals": {AGENT: "x", "aws:Referer": "no"}}, False),
        ({"StringEquals": {"AWS:USERAGENT": "x"}}, True),
        ({"StringNotEquals": {AGENT: ["x", "y"]}}, False),
        ({"StringNotEquals": {AGENT: ["y", "z"]}}, True),
    ],
)
def test_all_operators_and_keys_must_hold(conditions, holds):
    at = circumstances({"user-agent": "x", "referer": "yes"})
    assert is_allowed(document({"Condition": conditions}), at=at) == holds


UNTIL = "x-amz-object-lock-retain-until-date"
HELD = "x-amz-object-lock-event-hold"
KEYS = [
    ("aws:username", "alice", {}),
    ("aws:userid", "AIDAALICE", {}),
    ("aws:PrincipalType", "User", {}),
    ("aws:PrincipalAccount", "000000000000", {}),
    ("aws:PrincipalTag/team", "blue", {}),
    ("aws:Referer", "https://x/", {"headers": {"referer": "https://x/"}}),
    ("aws:RequestedRegion", "eu-west-1", {"region": "eu-west-1"}),
    ("s3:delimiter", "/", {"query": {"delimiter": "/"}}),
    ("s3:prefix", "", {"query": {"prefix": ""}}),
    ("s3:VersionId", "v1", {"query": {"versionId": "v1"}}),
    ("s3:x-amz-acl", "private", {"headers": {"x-amz-acl": "private"}}),
    ("s3:x-amz-grant-read", 'id="x"', {"headers": {"x-amz-grant-read": 'id="x"'}}),
    ("s3:x-amz-storage-class", "GLACIER", {"headers": {"x-amz-storage-class": "GLACIER"}}),
    ("s3:x-amz-server-side-encryption", "AES256", {"headers": {"x-amz-server-side-encryption": "AES256"}}),
    ("s3:x-amz-content-sha256", "UNSIGNED-PAYLOAD", {"headers": {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}}),
    ("s3:x-amz-content-sha256", "UNSIGNED-PAYLOAD", {"payload": "UNSIGNED-PAYLOAD"}),
    ("s3:x-amz-copy-source", "b/k", {"headers": {"x-amz-copy-source": "b/k"}}),
    ("s3:x-amz-copy-source", "b/a k", {"headers": {"x-amz-copy-source": "/b/a%20k?versionId=v"}}),
    ("s3:x-amz-copy-source", "b/a k+", {"headers": {"x-amz-copy-source": "b/a+k%2B"}}),
    (
        "s3:object-lock-remaining-retention-days",
        "30",
        {"headers": {UNTIL: "2026-07-01T11:59:00Z"}},
    ),
    *(
        ("s3:object-lock-remaining-retention-days", days, {"headers": {HELD: "ON", f"{HELD}-duration-{unit}": count}})
        for unit, count, days in (("days", "11", "11"), ("days", f"{11:019}", "11"), ("years", "0000000002", "730"))
    ),
    *(
        ("s3:object-lock-retain-until-date", "2040-01-01T00:00:00Z", {"headers": {UNTIL: text}})
        for text in ("2040-01-01T00:00:00Z", "2040-01-01", "20400101", "20400101T000000Z")
    ),
    ("s3:x-amz-metadata-directive", "COPY", {"headers": {"x-amz-metadata-directive": "COPY"}}),
    ("s3:object-lock-mode", "GOVERNANCE", {"headers": {"x-amz-object-lock-mode": "GOVERNANCE"}}),
    ("s3:object-lock-legal-hold", "ON", {"headers": {"x-amz-object-lock-legal-hold": "ON"}}),
    ("s3:RequestObjectTag/team", "blue", {"headers": {"x-amz-tagging": "team=blue"}}),
    ("s3:ExistingObjectTag/team", "red", {"existing_tags": (("team", "red"),)}),
    ("s3:authType", "REST-QUERY-STRING", {"way": "REST-QUERY-STRING"}),
    ("s3:authType", "REST-HEADER", {}),
    ("s3:signatureversion", "AWS4-HMAC-SHA256", {"signature": "AWS4-HMAC-SHA256"}),
    ("s3:signatureAge", "60000", {"signed_at": datetime(2026, 6, 1, 11, 59, tzinfo=UTC)}),
    ("s3:TlsVersion", "1.3", {"tls": "1.3"}),
    ("s3:ResourceAccount", "000000000000", {}),
    ("s3:if-none-match", "*", {"headers": {"if-none-match": "*"}}),
]


@pytest.mark.parametrize(("key", "value", "given_"), KEYS)
def test_condition_keys(key, value, given_):
    at = circumstances(**given_)
    assert holds_of({"StringEquals": {key: value}}, key, at)
    assert not holds_of({"StringEquals": {key: f"{value}x"}}, key, at)


@pytest.mark.parametrize(("key", "value", "given_"), [row for row in KEYS if asking(row[0]) != READING])
def test_what_an_action_does_not_read_satisfies_no_condition_on_it(key, value, given_):
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html"""
    at = circumstances(**given_)
    for permit in (READING, Permit("s3:GetObjectAcl", BUCKET, "a/b"), Permit("s3:GetBucketLocation", BUCKET)):
        is_of_all = key == "s3:x-amz-content-sha256"
        for conditions, holds in (
            ({"StringEquals": {key: value}}, is_of_all),
            ({"Null": {key: "true"}}, not is_of_all),
        ):
            assert is_allowed(document(WHOLE | {"Condition": conditions}), permit=permit, at=at) == holds


@pytest.mark.parametrize("key", ["aws:SourceVpc", "aws:PrincipalOrgID", "s3:DataAccessPointArn", "aws:SourceArn"])
def test_keys_that_no_request_has_here(key):
    assert not is_allowed(document({"Condition": {"StringLike": {key: "*"}}}))
    assert is_allowed(document({"Condition": {"Null": {key: "true"}}}))


# --- who wins -------------------------------------------------------------------------------------------------------

PUBLIC_LIST = AccessList(Owner("owner"), (Grant(f"uri={ALL_USERS}", "READ"),))
SIGNED_LIST = AccessList(Owner("owner"), (Grant(f"uri={AUTHENTICATED_USERS}", "READ"),))
ALICES_LIST = AccessList(Owner("owner"), (Grant("id=alice", "FULL_CONTROL"),))

ORDER = [
    ("alice", None, {}, False),
    ("owner", None, {}, True),
    ("root", None, {}, True),
    ("anonymous", None, {}, False),
    ("alice", [WHOLE], {}, True),
    ("alice", [WHOLE, WHOLE | {"Effect": "Deny"}], {}, False),
    ("alice", [WHOLE | {"Effect": "Deny"}, WHOLE], {}, False),
    ("owner", [WHOLE | {"Effect": "Deny"}], {}, False),
    ("root", [WHOLE | {"Effect": "Deny"}], {}, False),
    ("owner", [WHOLE | {"Effect": "Deny", "Principal": {"AWS": arn("alice")}}], {}, True),
    ("alice", None, {"acl": PUBLIC_LIST}, False),
    ("alice", None, {"acl": PUBLIC_LIST, "acls_count": True}, True),
    ("anonymous", None, {"acl": PUBLIC_LIST, "acls_count": True}, True),
    ("anonymous", None, {"acl": SIGNED_LIST, "acls_count": True}, False),
    ("alice", None, {"acl": SIGNED_LIST, "acls_count": True}, True),
    ("alice", None, {"acl": ALICES_LIST, "acls_count": True}, True),
    ("bob", None, {"acl": ALICES_LIST, "acls_count": True}, False),
    ("anonymous", None, {"acl": PUBLIC_LIST, "acls_count": True, "block": Block(ignore_acls=True)}, False),
    ("alice", None, {"acl": ALICES_LIST, "acls_count": True, "block": Block(ignore_acls=True)}, True),
    ("alice", [WHOLE | {"Effect": "Deny"}], {"acl": ALICES_LIST, "acls_count": True}, False),
    ("anonymous", [WHOLE], {"block": Block(restrict=True)}, False),
    ("alice", [WHOLE], {"block": Block(restrict=True)}, False),
    ("owner", [WHOLE], {"block": Block(restrict=True)}, True),
    ("alice", [WHOLE | {"Principal": {"AWS": arn("alice")}}], {"block": Block(restrict=True)}, True),
    ("anonymous", [WHOLE], {"block": Block(block_policy=True, block_acls=True)}, True),
]


@pytest.mark.parametrize(("caller", "statements", "rules", "allowed"), ORDER)
def test_who_wins(caller, statements, rules, allowed):
    policy = document(*statements) if statements else None
    assert is_allowed(policy, CALLERS[caller], LISTING, **rules) == allowed


USER_POLICY = json.dumps({"Statement": {"Sid": "mine", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}})
NO_DELETE = json.dumps({"Statement": {"Sid": "no", "Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}})
READ_ONLY = json.dumps({"Statement": {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}})
GET, DELETE = Permit("s3:GetObject", BUCKET, "k"), Permit("s3:DeleteObject", BUCKET, "k")

OF_CALLERS = [
    ("owner", [], None, None, GET, False),
    ("owner", [USER_POLICY], None, None, GET, True),
    ("owner", [USER_POLICY, NO_DELETE], None, None, DELETE, False),
    ("owner", [USER_POLICY, NO_DELETE], None, None, GET, True),
    ("owner", [READ_ONLY], None, None, GET, True),
    ("owner", [READ_ONLY], None, None, DELETE, False),
    ("owner", [], None, {"Principal": "*"}, GET, True),
    ("other", [USER_POLICY], None, None, GET, False),
    ("other", [USER_POLICY], None, {"Principal": "*"}, GET, True),
    ("other", [], None, {"Principal": "*"}, GET, False),
    ("other", [USER_POLICY, NO_DELETE], None, {"Principal": "*"}, DELETE, False),
    ("owner", [USER_POLICY], READ_ONLY, None, GET, True),
    ("owner", [USER_POLICY], READ_ONLY, None, DELETE, False),
    ("owner", [USER_POLICY], NO_DELETE, None, GET, False),
    ("owner", [READ_ONLY], USER_POLICY, None, DELETE, False),
]


@pytest.mark.parametrize(("owner", "policies", "session", "of_bucket", "permit", "allowed"), OF_CALLERS)
def test_policies_of_callers_and_sessions(owner, policies, session, of_bucket, permit, allowed):
    caller = Principal(
        "user",
        Owner(owner),
        "carol",
        "AK",
        policies=tuple(read_policy(text) for text in policies),
        session=read_policy(session) if session else None,
    )
    assert is_allowed(document(of_bucket) if of_bucket else None, caller, permit) == allowed


@pytest.mark.parametrize("action", ["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"])
def test_an_owner_cannot_lock_itself_out(action):
    policy = document(WHOLE | {"Effect": "Deny"})
    assert is_allowed(policy, OWNER, Permit(f"s3:{action}", BUCKET))
    assert not is_allowed(policy, ALICE, Permit(f"s3:{action}", BUCKET))
    assert not is_allowed(policy, ANONYMOUS, Permit(f"s3:{action}", BUCKET))


# --- what is public -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "public"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": arn("alice")}}, False),
        ({"NotPrincipal": {"AWS": arn("alice")}}, True),
        ({"Effect": "Deny"}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "::ffff:0.0.0.0/96"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "::ffff:10.0.0.0/104"}}}, False),
        ({"Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, True),
        ({"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}, False),
        ({"Condition": {"StringLike": {"aws:SourceVpc": "vpc-*"}}}, True),
        ({"Condition": {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}}, True),
        ({"Condition": {"StringEquals": {"aws:Referer": "https://x/"}}}, True),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, False),
        ({"Principal": {"Federated": "graph.facebook.com"}}, True),
        ({"Principal": {"Service": "logging.s3.amazonaws.com"}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "54.0.0.0/7"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "54.0.0.0/8"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.7"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0.0.0.0"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "::/0"]}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "2000::/3"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}}, False),
        ({"Condition": {"StringLike": {"aws:SourceIp": "*"}}}, True),
        ({"Condition": {"Null": {"aws:SourceVpce": "false"}}}, True),
        ({"Condition": {"Null": {"aws:SourceIp": "false"}}}, True),
        ({"Condition": {"ForAllValues:StringEquals": {"aws:SourceVpc": "vpc-1"}}}, True),
        ({"Condition": {"ForAnyValue:StringEquals": {"aws:SourceVpc": "vpc-1"}}}, False),
        ({"Condition": {"StringEquals": {"aws:SourceVpc": ["vpc-1", "vpc-*"]}}}, True),
        ({"Condition": {"StringEquals": {"aws:SourceVpc": "${aws:PrincipalTag/vpc}"}}}, True),
        ({"Condition": {"StringEquals": {"aws:userid": "AIDAX"}}}, False),
        ({"Condition": {"StringLike": {"aws:userid": "AROAX:*"}}}, True),
        (
            {"Condition": {"StringLike": {"s3:DataAccessPointArn": "arn:aws:s3:eu-west-1:123456789012:accesspoint/*"}}},
            False,
        ),
        ({"Condition": {"StringLike": {"s3:DataAccessPointArn": "arn:aws:s3:*:*:accesspoint/*"}}}, True),
    ],
)
def test_what_is_public(statement, public):
    assert read_policy(document(statement), BUCKET).is_public == public


# --- documents that are none ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Effect": "allow"}, "Invalid effect"),
        ({"Effect": None}, "Invalid effect"),
        ({"Action": []}, "invalid action"),
        ({"Action": 1}, "invalid action"),
        ({"Action": "iam:GetUser"}, "invalid action"),
        ({"Resource": "arn:aws:s3:::other/*"}, "invalid resource"),
        ({"Resource": "docs/*"}, "invalid resource"),
        ({"Resource": []}, "invalid resource"),
        ({"Principal": {"AWS": "arn:aws:iam::000000000000:user/*"}}, "Invalid principal"),
        ({"Principal": {"AWS": "nobody"}}, "Invalid principal"),
        ({"Principal": {"Nobody": "x"}}, "Invalid principal"),
        ({"Principal": {}}, "Invalid policy syntax"),
        ({"Principal": "alice"}, "Invalid policy syntax"),
        ({"Condition": []}, "Invalid policy syntax"),
        ({"Condition": {"StringEquals": {}}}, "Invalid policy syntax"),
        ({"Condition": {"StringEquals": {"aws:Referer": []}}}, "Invalid policy syntax"),
        ({"Condition": {"StringEquals": {"aws:Referer": {}}}}, "Invalid policy syntax"),
        ({"Condition": {"StringIs": {"aws:Referer": "x"}}}, "Invalid Condition type"),
        ({"Condition": {"BoolNot": {"aws:SecureTransport": "true"}}}, "Invalid Condition type"),
        ({"Condition": {"NumericNotLessThan": {"s3:max-keys": "1"}}}, "Invalid Condition type"),
        ({"Condition": {"ForSome:StringEquals": {"aws:Referer": "x"}}}, "Invalid Condition type"),
        ({"Condition": {"NullIfExists": {"aws:Referer": "true"}}}, "Invalid Condition type"),
        ({"Condition": {"StringEquals": {"aws:Unknown": "x"}}}, "invalid condition key"),
        ({"Condition": {"StringEquals": {"s3:ExistingObjectTag/": "x"}}}, "invalid condition key"),
        ({"Condition": {"NumericEquals": {"s3:max-keys": "ten"}}}, "Invalid condition value"),
        ({"Condition": {"DateEquals": {"aws:CurrentTime": "yesterday"}}}, "Invalid condition value"),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.300"}}}, "Invalid condition value"),
        ({"Condition": {"Bool": {"aws:SecureTransport": "yes"}}}, "Invalid condition value"),
        ({"Sid": 1, "Extra": 2}, "Unknown field"),
        ({"Sid": "\ud800"}, "invalid Json"),
        ({"Effect": "\ud800"}, "invalid Json"),
        ({"\udfff": 1}, "invalid Json"),
    ],
)
def test_statements_that_are_none(change, message):
    with pytest.raises(MalformedPolicy, match=message):
        read_policy(document(change), BUCKET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        "{",
        '{"Statement": []}',
        '{"Statement": "x"}',
        '{"Statement": [1]}',
        '{"Version": "2020-01-01", "Statement": [{}]}',
        '{"Version": 1, "Statement": [{}]}',
        '{"Other": 1, "Statement": [{}]}',
        '{"Statement": [{}]}',
        "{" + " " * 21_000 + "}",
        "[" * 5000,
        '{"a":' * 3000 + "1" + "}" * 3000,
    ],
)
def test_texts_that_are_none(text):
    with pytest.raises(MalformedPolicy):
        read_policy(text, BUCKET)


@pytest.mark.parametrize("sid", [1, None, True, ["a"], {"a": 1}])
def test_a_sid_that_is_no_text_is_refused_when_a_policy_is_put_and_read_where_one_is_kept(sid):
    text = document({"Sid": sid}, {"Sid": sid, "Effect": "Deny", "Action": "s3:PutObject"})
    assert [it.name for it in read_policy(text, BUCKET).statements] == ["statement 1", "statement 2"]
    for check in (check_fit, check_new):
        with pytest.raises(MalformedPolicy, match=r"Invalid policy syntax\."):
            check(text)


@pytest.mark.parametrize("slip", ["GetObject", "s3:Get:Object", "**"])
def test_a_slip_in_what_is_left_out_is_refused_when_a_policy_is_put_and_read_where_one_is_kept(slip):
    statement = {"Effect": "Deny", "NotAction": [slip, "s3:PutObject"], "Resource": "*"}
    text = json.dumps({"Statement": [statement, {"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    caller = Principal("user", Owner("owner"), "carol", policies=(read_policy(text),))
    assert is_allowed(None, caller, Permit("s3:PutObject", BUCKET, "k"))
    assert not is_allowed(None, caller, Permit("s3:GetObject", BUCKET, "k"))
    with pytest.raises(MalformedPolicy, match=r"colon|vendor"):
        check_new(text)


def test_statements_have_different_names():
    with pytest.raises(MalformedPolicy, match="unique"):
        read_policy(document({"Sid": "a"}, {"Sid": "a"}), BUCKET)


def test_a_policy_of_a_user_names_no_principal():
    with pytest.raises(MalformedPolicy, match="should not specify a principal"):
        read_policy(document({}))


# --- a second evaluator ---------------------------------------------------------------------------------------------

_texts = st.sampled_from(["*", "a", "a/*", "a?", "${aws:username}", "${aws:Referer, 'x'}", "${*}", "x*y", "alice", ""])
_keys = {
    AGENT: _texts,
    "aws:Referer": _texts,
    PREFIX: _texts,
    SIZE: st.sampled_from(["1", "10", "100", "1e1"]),
    "aws:SourceIp": st.sampled_from(["10.0.0.0/8", "10.1.2.3", "::/0", "0.0.0.0/0"]),
    "aws:CurrentTime": st.sampled_from(["2026-06-01T12:00:00Z", "2020-01-01", "1900000000"]),
    "aws:PrincipalArn": st.sampled_from([arn("alice"), arn("*"), "*"]),
    "aws:SecureTransport": st.sampled_from(["true", "false"]),
    "s3:RequestObjectTagKeys": st.sampled_from(["a", "b", "a*"]),
}
_families = {
    SIZE: "Numeric",
    "aws:SourceIp": "Ip",
    "aws:CurrentTime": "Date",
    "aws:PrincipalArn": "Arn",
    "aws:SecureTransport": "Bool",
}
_orders = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
_operators = {
    "Numeric": [f"Numeric{order}" for order in _orders],
    "Date": [f"Date{order}" for order in _orders],
    "Ip": ["IpAddress", "NotIpAddress"],
    "Arn": ["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"],
    "Bool": ["Bool"],
    "String": ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase"],
}


@st.composite
def conditions(draw):
    found = {}
    for _ in range(draw(st.integers(0, 2))):
        key = draw(st.sampled_from(sorted(_keys)))
        operator = draw(st.sampled_from([*_operators[_families.get(key, "String")], "Null"]))
        if operator == "Null":
            found.setdefault("Null", {})[key] = draw(st.sampled_from(["true", "false"]))
            continue
        over = draw(st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"]))
        suffix = draw(st.sampled_from(["", "", "IfExists"]))
        found.setdefault(over + operator + suffix, {})[key] = draw(st.lists(_keys[key], min_size=1, max_size=2))
    return found


@st.composite
def statements(draw):
    inverted = st.sampled_from(["", "", "Not"])
    actions = st.sampled_from(["s3:*", "s3:Get*", "s3:GetObject", "s3:Put?bject", "s3:PutObject"])
    resources = st.sampled_from(["", "/*", "/a*", "/a?b", "/${aws:username}*", "/x", "/a/${aws:Referer}"])
    principals = st.sampled_from(["*", {"AWS": arn("alice")}, {"AWS": [arn("bob")]}, {"CanonicalUser": "alice"}])
    statement = {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        draw(inverted) + "Action": draw(st.lists(actions, min_size=1, max_size=2)),
        draw(inverted) + "Resource": [f"arn:aws:s3:::{BUCKET}{text}" for text in draw(st.lists(resources, min_size=1))],
        draw(inverted) + "Principal": draw(principals),
    }
    found = draw(conditions())
    return statement | ({"Condition": found} if found else {})


@given(
    st.lists(statements(), min_size=1, max_size=3),
    st.sampled_from(["alice", "bob", "anonymous"]),
    st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:GetObjectAcl", "s3:ListBucket"]),
    st.sampled_from(["a", "ab", "a/b", "alice", "alice/x", "x", "*"]),
    st.dictionaries(
        st.sampled_from(["user-agent", "referer", "x-amz-tagging"]), st.sampled_from(["a", "alice", "x*y", "a=1&b=2"])
    ),
    st.dictionaries(st.sampled_from(["prefix", "max-keys"]), st.sampled_from(["a", "10", "", "1"])),
    st.sampled_from(["10.1.2.3", "192.0.2.1", "::1", ""]),
    st.sampled_from(["2008-10-17", "2012-10-17"]),
)
def test_a_second_evaluator_says_the_same(found, caller, action, key, headers, query, source, version):
    text = json.dumps(
        {"Version": version, "Statement": [item | {"Sid": f"S{number}"} for number, item in enumerate(found)]}
    )
    try:
        policy = read_policy(text, BUCKET)
    except MalformedPolicy:
        return  # an action without a resource that it acts on
    principal = CALLERS[caller]
    at = circumstances(headers, query, source=source)
    permit = Permit(action, BUCKET, "" if action == "s3:ListBucket" else key)
    decision = decide(principal, permit, BucketRules(Owner("owner"), policy), at)
    listed = query if action == "s3:ListBucket" else {}
    tags = [pair.partition("=")[0] for pair in headers.get("x-amz-tagging", "").split("&") if pair]
    context = {
        "aws:useragent": [headers["user-agent"]] if headers.get("user-agent") else [],
        "aws:referer": [headers["referer"]] if headers.get("referer") else [],
        "s3:prefix": [listed["prefix"]] if "prefix" in listed else [],
        "s3:max-keys": [listed["max-keys"]] if "max-keys" in listed else [],
        "aws:sourceip": [source] if source else [],
        "aws:currenttime": ["2026-06-01T12:00:00Z"],
        "aws:principalarn": [principal.arn] if principal.arn else [],
        "aws:securetransport": ["false"],
        "s3:requestobjecttagkeys": tags if action == "s3:PutObject" else [],
        "aws:username": [principal.name] if principal.name else [],
    }
    asked = {"arn": principal.arn, "canonical": principal.owner.id}
    says, sid = ask(text, asked, action, permit.resource, context)
    assert isinstance(decision, Allowed) == (says == ALLOW)
    assert isinstance(decision, Denied) == (says != ALLOW)
    if says == DENY:
        assert decision.explicit
        assert sid in decision.by
