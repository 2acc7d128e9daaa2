"""The users."""

import ast
from pathlib import Path

import pytest

import s3ish.auth
from s3ish.auth.credentials import Credentials
from tests.auth.support import ALICE, BOB

SOURCES = sorted(Path(next(iter(s3ish.auth.__path__))).glob("*.py"))


def test_users_are_found_by_their_access_key_alone():
    users = Credentials([ALICE, BOB])
    assert users.find("AKIDALICE") is ALICE
    assert users.find("team/bob") is BOB
    for nobody in ("", "akidalice", "AKIDALICE ", "alice"):
        assert users.find(nobody) is None


def test_an_access_key_has_one_holder():
    with pytest.raises(ValueError, match="AKIDALICE"):
        Credentials([ALICE, BOB, ALICE])


def test_a_user_in_a_log_line_shows_no_secret():
    assert ALICE.secret_key not in repr(ALICE)
    assert ALICE.secret_key not in str(ALICE.__rich_repr__())
    assert ALICE.secret_key not in str(ALICE)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_signatures_and_secrets_are_compared_in_constant_time(path):  # case 63
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            if any(isinstance(side, ast.Constant) for side in [node.left, *node.comparators]):
                continue  # a name or a length
            text = ast.unparse(node).lower()
            assert not any(word in text for word in ("signature", "secret", "digest", "sign(")), text
