"""What the users and groups of a moment say of each other."""

import pytest

from s3ish.auth.credentials import User
from s3ish.identity.directory import Directory
from s3ish.identity.records import GroupRecord, RoleRecord, UserRecord
from s3ish.identity.secrets import Secrets
from s3ish.model import Owner

READ, WRITE = "arn:aws:iam::aws:policy/readonly", "arn:aws:iam::aws:policy/writeonly"


@pytest.fixture
def directory():
    group = GroupRecord(id="G1", name="late", created_ns=2, attached=(READ,))
    other = GroupRecord(id="G2", name="early", created_ns=1)
    user = UserRecord(
        id="U1", name="ann", created_ns=3, attached=(WRITE, READ), boundary=READ, groups=("G1", "G2", "G1", "gone")
    )
    role = RoleRecord(id="R1", name="job", created_ns=4, trust="{}", boundary=READ)
    root = User("root", "root-secret", Owner("root"), root=True)
    return Directory([root], [user, role, group, other], Secrets(None))


def test_who_has_a_policy_is_told_by_its_arn_in_the_order_of_age(directory):
    assert [it.name for it in directory.attached_to(READ)] == ["late", "ann"]
    assert [it.name for it in directory.attached_to(WRITE)] == ["ann"]
    assert [it.name for it in directory.bounded_by(READ)] == ["ann", "job"]
    assert directory.attached_to("arn:none") == directory.bounded_by(WRITE) == []


def test_the_groups_of_a_user_are_named_once_and_by_name(directory):
    user = directory.named(UserRecord, "ann")
    assert [group.name for group in directory.groups_of(user)] == ["early", "late"]
