"""Who may: the decision, asked right by right."""

import json
from datetime import UTC, datetime

import pytest

from s3ish.auth.acl import canned
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.credentials import User
from s3ish.auth.evaluator import Allowed, BucketRules, Denied, Permit, decide
from s3ish.auth.policy import read_policy
from s3ish.auth.principals import ANONYMOUS, principal_of
from s3ish.errors import MalformedPolicy
from s3ish.model import Owner

ALICE = principal_of(User("A", "secret", Owner("alice")))
BOB = principal_of(User("B", "secret", Owner("bob")))
ROOT = principal_of(User("R", "secret", Owner("s3ish-root"), root=True))
BUCKET = BucketRules(Owner("alice"))
NOW = Circumstances({}, {}, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("principal", "bucket", "outcome"),
    [
        (ALICE, BUCKET, Allowed),
        (BOB, BUCKET, Denied),
        (ROOT, BUCKET, Allowed),
        (ANONYMOUS, BUCKET, Denied),
        (ANONYMOUS, None, Denied),
        (BOB, None, Allowed),
    ],
    ids=["owner", "other", "root", "anonymous", "anonymous, no bucket", "other, no bucket"],
)
@pytest.mark.parametrize("permit", [Permit("s3:GetObject", "b", "k"), Permit("s3:PutBucketPolicy", "b")])
def test_a_bucket_is_for_its_owner(principal, permit, bucket, outcome):
    assert isinstance(decide(principal, permit, bucket, NOW), outcome)


def test_a_refusal_names_the_action_and_whom_no_rule_gives_it():
    decision = decide(BOB, Permit("s3:GetObject", "b", "k"), BUCKET, NOW)
    assert "s3:GetObject" in decision.by
    assert "bob" in decision.by


def policy(effect, action, bucket="", **more):
    statement = {"Effect": effect, "Action": action, "Resource": "arn:aws:s3:::b/*", **more}
    return read_policy(json.dumps({"Version": "2012-10-17", "Statement": [statement]}), bucket)


READS, WRITES, ALL = (policy("Allow", f"s3:{action}") for action in ("GetObject", "PutObject", "*"))
NO_READS = policy("Deny", "s3:GetObject")
USER_ARN, ROLE_ARN = "arn:aws:iam::000000000000:user/eve", "arn:aws:iam::000000000000:role/app"
SESSION_ARN = "arn:aws:sts::000000000000:assumed-role/app/job"
ACCOUNT = Owner("account")
BY_BOUNDARY, BY_DENIAL, BY_NOTHING = "the permissions boundary of", "denied by", "no rule gives it"


def bounded(boundary, policies=(), session=None, role=""):
    named = {"name": "app/job", "role": "app/job", "role_name": "role/app"} if role else {"name": "eve"}
    user = User("E", "secret", ACCOUNT, policies=tuple(policies), session=session, boundary=boundary, **named)
    return principal_of(user)


def giving(to):
    return policy("Allow", "s3:GetObject", "b", Principal=to)


@pytest.mark.parametrize(
    ("caller", "bucket_policy", "by"),
    [
        (bounded(ALL, [READS]), None, None),
        (bounded(READS, [ALL]), None, None),
        (bounded(READS), None, BY_NOTHING),
        (bounded(WRITES, [ALL]), None, BY_BOUNDARY),
        (bounded(WRITES), None, BY_BOUNDARY),
        (bounded(NO_READS, [ALL]), None, BY_DENIAL),
        (bounded(ALL, [ALL, NO_READS]), None, BY_DENIAL),
        (bounded(ALL, [ALL], session=WRITES), None, "the policy of the session"),
        (bounded(WRITES, [ALL], session=READS), None, BY_BOUNDARY),
        (bounded(WRITES), giving({"AWS": USER_ARN}), None),
        (bounded(NO_READS), giving({"AWS": USER_ARN}), BY_DENIAL),
        (bounded(WRITES), giving("*"), BY_BOUNDARY),
        (bounded(WRITES), giving({"AWS": ["*", USER_ARN]}), BY_BOUNDARY),
        (bounded(WRITES), giving({"AWS": "000000000000"}), BY_BOUNDARY),
        (bounded(WRITES), giving({"CanonicalUser": "account"}), BY_BOUNDARY),
        (bounded(READS), giving("*"), None),
        (bounded(WRITES, role="app"), giving({"AWS": ROLE_ARN}), BY_BOUNDARY),
        (bounded(READS, role="app"), giving({"AWS": ROLE_ARN}), None),
        (bounded(WRITES, role="app"), giving({"AWS": SESSION_ARN}), None),
    ],
)
def test_a_permissions_boundary_bounds_what_policies_give(caller, bucket_policy, by):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html"""
    decision = decide(caller, Permit("s3:GetObject", "b", "k"), BucketRules(ACCOUNT, bucket_policy), NOW)
    if by is None:
        assert isinstance(decision, Allowed)
    else:
        assert isinstance(decision, Denied)
        assert by in decision.by


def user_of_account(*policies):
    return principal_of(User("E", "secret", ACCOUNT, name="eve", policies=policies, id="AIDAEVE"))


def session_of_role(*policies, session=None, **more):
    named = {"name": "app/job", "role": "app/job", "role_name": "role/app", "id": "AROAAAAAAAAAAAAAAAAA:job"}
    return principal_of(User("S", "secret", ACCOUNT, policies=policies, session=session, **named, **more))


WHOLE_ACCOUNT = {"AWS": "arn:aws:iam::000000000000:root"}


@pytest.mark.parametrize(
    ("caller", "to", "allowed"),
    [
        (user_of_account(), WHOLE_ACCOUNT, False),
        (user_of_account(), {"AWS": "000000000000"}, False),
        (user_of_account(), {"CanonicalUser": ACCOUNT.id}, False),
        (user_of_account(READS), WHOLE_ACCOUNT, True),
        (user_of_account(WRITES), WHOLE_ACCOUNT, False),
        (user_of_account(), {"AWS": ["000000000000", USER_ARN]}, True),
        (user_of_account(), {"AWS": ["000000000000", "*"]}, True),
        (user_of_account(), "*", True),
        (session_of_role(), WHOLE_ACCOUNT, False),
        (session_of_role(), {"AWS": ROLE_ARN}, True),
        (ROOT, WHOLE_ACCOUNT, True),
    ],
)
def test_what_the_account_is_given_its_users_have_from_their_own_policies_alone(caller, to, allowed):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html"""
    decision = decide(caller, Permit("s3:GetObject", "b", "k"), BucketRules(ACCOUNT, giving(to)), NOW)
    assert isinstance(decision, Allowed) == allowed


OTHER_SESSION_ARN = SESSION_ARN.replace("job", "other")
FEDERATED_BY_ROOT = principal_of(User("F", "secret", Owner("s3ish-root"), root=True, session=ALL, federated="bob"))


@pytest.mark.parametrize(
    ("caller", "excepted", "denied"),
    [
        (user_of_account(ALL), [USER_ARN], False),
        (user_of_account(ALL), [USER_ARN, WHOLE_ACCOUNT["AWS"]], False),
        (user_of_account(ALL), [WHOLE_ACCOUNT["AWS"]], True),
        (user_of_account(ALL), [USER_ARN.replace("eve", "bob"), WHOLE_ACCOUNT["AWS"]], True),
        (session_of_role(ALL), [SESSION_ARN, ROLE_ARN, WHOLE_ACCOUNT["AWS"]], False),
        (session_of_role(ALL), [OTHER_SESSION_ARN, ROLE_ARN, WHOLE_ACCOUNT["AWS"]], True),
        (session_of_role(ALL), [ROLE_ARN, WHOLE_ACCOUNT["AWS"]], True),
        (session_of_role(ALL), ["*"], False),
        (bounded(ALL, [ALL]), [USER_ARN, WHOLE_ACCOUNT["AWS"]], True),
        (ROOT, [WHOLE_ACCOUNT["AWS"]], False),
        (ROOT, [USER_ARN], True),
        (FEDERATED_BY_ROOT, [WHOLE_ACCOUNT["AWS"]], True),
        (FEDERATED_BY_ROOT, ["arn:aws:sts::000000000000:federated-user/bob"], False),
        (ANONYMOUS, [WHOLE_ACCOUNT["AWS"]], True),
    ],
)
def test_a_denial_excepts_whom_it_names_and_nobody_for_its_account_or_role(caller, excepted, denied):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html"""
    rules = BucketRules(ACCOUNT, policy("Deny", "s3:GetObject", "b", NotPrincipal={"AWS": excepted}))
    decision = decide(caller, Permit("s3:GetObject", "b", "k"), rules, NOW)
    assert (isinstance(decision, Denied) and decision.explicit) == denied


@pytest.mark.parametrize(
    ("caller", "to", "allowed"),
    [
        (session_of_role(ALL, session=WRITES), {"AWS": SESSION_ARN}, True),
        (session_of_role(session=WRITES), {"AWS": SESSION_ARN}, True),
        (session_of_role(ALL, session=WRITES), {"AWS": OTHER_SESSION_ARN}, False),
        (session_of_role(ALL, session=WRITES), {"AWS": ROLE_ARN}, False),
        (session_of_role(ALL, session=WRITES), {"AWS": "AROAAAAAAAAAAAAAAAAA"}, False),
        (session_of_role(ALL, session=WRITES), {"AWS": "*"}, False),
        (session_of_role(session=READS), {"AWS": ROLE_ARN}, True),
        (session_of_role(ALL, session=NO_READS), {"AWS": SESSION_ARN}, False),
    ],
)
def test_the_policy_of_a_session_limits_what_is_given_to_more_than_the_session(caller, to, allowed):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html"""
    decision = decide(caller, Permit("s3:GetObject", "b", "k"), BucketRules(ACCOUNT, giving(to)), NOW)
    assert isinstance(decision, Allowed) == allowed


def test_what_another_account_gives_to_a_session_its_policy_limits():
    caller = session_of_role(ALL, session=WRITES)
    rules = BucketRules(Owner("another"), giving({"AWS": SESSION_ARN}))
    assert isinstance(decide(caller, Permit("s3:GetObject", "b", "k"), rules, NOW), Denied)


BEGUN = int(datetime(2025, 12, 31, 23, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("condition", "lasting", "temporary"),
    [
        ({"ArnEquals": {"aws:PrincipalArn": ROLE_ARN}}, False, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}, False, True),
        ({"ArnLike": {"aws:PrincipalArn": SESSION_ARN}}, False, False),
        ({"ArnEquals": {"aws:PrincipalArn": USER_ARN}}, True, False),
        ({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, False, True),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, True, True),
        ({"DateLessThan": {"aws:TokenIssueTime": "2026-01-01T00:00:00Z"}}, False, True),
        ({"DateLessThan": {"aws:TokenIssueTime": "2025-12-31T23:00:00Z"}}, False, False),
        ({"Null": {"aws:TokenIssueTime": "true"}}, True, False),
    ],
)
def test_conditions_on_temporary_credentials(condition, lasting, temporary):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"""
    rules = BucketRules(ACCOUNT, policy("Deny", "s3:GetObject", "b", Principal="*", Condition=condition))
    callers = user_of_account(ALL), session_of_role(ALL, issued=BEGUN)
    decisions = [decide(caller, Permit("s3:GetObject", "b", "k"), rules, NOW) for caller in callers]
    assert [isinstance(decision, Denied) for decision in decisions] == [lasting, temporary]


def test_policies_of_users_may_name_actions_that_are_not_here():
    either = read_policy(
        json.dumps(
            {"Statement": {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListAccessPoints"], "Resource": "*"}}
        )
    )
    allowed, other = (
        decide(user_of_account(either), Permit(f"s3:{action}", "b", "k"), BucketRules(ACCOUNT), NOW)
        for action in ("GetObject", "PutObject")
    )
    assert isinstance(allowed, Allowed)
    assert isinstance(other, Denied)
    with pytest.raises(MalformedPolicy):
        policy("Allow", "s3:ListAccessPoints", "b", Principal="*")


def test_access_lists_give_nothing_past_a_permissions_boundary():
    everybody = canned("public-read", ACCOUNT, ACCOUNT)
    rules = BucketRules(ACCOUNT, acl=everybody, acls_count=True)
    listing = Permit("s3:ListBucket", "b")
    assert isinstance(decide(bounded(policy("Allow", "s3:ListBucket", Resource="*")), listing, rules, NOW), Allowed)
    assert isinstance(decide(bounded(WRITES), listing, rules, NOW), Denied)


@pytest.mark.parametrize(
    ("permit", "resource"),
    [
        (Permit("s3:ListAllMyBuckets"), "arn:aws:s3:::*"),
        (Permit("s3:ListBucket", "b"), "arn:aws:s3:::b"),
        (Permit("s3:GetObject", "b", "a/b c"), "arn:aws:s3:::b/a/b c"),
    ],
)
def test_a_resource_has_the_name_that_policies_give_it(permit, resource):
    assert permit.resource == resource


def test_principals_have_the_names_that_policies_give_them():
    assert (ROOT.arn, BOB.arn, ANONYMOUS.arn) == (
        "arn:aws:iam::000000000000:root",
        "arn:aws:iam::000000000000:user/bob",
        "",
    )
