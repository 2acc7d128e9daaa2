"""Temporary credentials: sealed, for one key, and ending."""

from datetime import UTC, datetime, timedelta

import pytest

from s3ish.auth.credentials import Credentials, User
from s3ish.auth.sessions import Session, Sessions
from s3ish.errors import ExpiredToken, InvalidAccessKeyId, InvalidToken
from s3ish.model import Owner

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALICE = User("ALICE", "secret", Owner("alice"))
SESSION = Session("ASIA1", "ALICE", int(NOW.timestamp()) + 900)


def sessions(secret="root's secret", users=(ALICE,)):
    return Sessions(Credentials(users), secret, lambda count: "x" * count)


def test_a_session_is_its_user_with_another_key():
    made = sessions().issue(SESSION)
    user = sessions().open(made.token, "ASIA1", NOW)
    assert (user.owner, user.access_key, user.secret_key) == (ALICE.owner, "ASIA1", made.secret_key)
    assert made.secret_key != ALICE.secret_key
    assert made.ends == NOW + timedelta(seconds=900)


def test_it_ends():
    made = sessions().issue(SESSION)
    sessions().open(made.token, "ASIA1", NOW + timedelta(seconds=899))
    with pytest.raises(ExpiredToken):
        sessions().open(made.token, "ASIA1", NOW + timedelta(seconds=900))


def test_it_ends_with_its_user_and_with_the_root_users_secret():
    made = sessions().issue(SESSION)
    with pytest.raises(InvalidAccessKeyId):
        sessions(users=()).open(made.token, "ASIA1", NOW)
    with pytest.raises(InvalidToken):
        sessions("another").open(made.token, "ASIA1", NOW)


def test_no_byte_of_a_token_can_be_changed():  # case 83
    made = sessions().issue(SESSION)
    for place in range(len(made.token)):
        for character in "A-":
            changed = made.token[:place] + character + made.token[place + 1 :]
            if changed != made.token:
                with pytest.raises(InvalidToken):
                    sessions().open(changed, "ASIA1", NOW)


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 100_000, "e30=", "AAAA" * 20])
def test_what_is_no_token(token):
    with pytest.raises(InvalidToken):
        sessions().open(token, "ASIA1", NOW)
