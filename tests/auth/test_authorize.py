"""Who may: the decision, asked right by right."""

from datetime import UTC, datetime

import pytest

from s3ish.auth.authorize import Allowed, BucketRules, Denied, Permit, decide
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.credentials import User
from s3ish.auth.principals import ANONYMOUS, principal_of
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


@pytest.mark.parametrize(
    ("permit", "resource"),
    [
        (Permit("s3:ListAllMyBuckets"), "*"),
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
