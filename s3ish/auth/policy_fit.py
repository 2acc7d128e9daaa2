"""What is refused of a policy when it is put: a slip that means nothing, or a part that could never apply.

A policy that is kept is read without that, and decides as before: it may be older than what is known here.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

import json
from collections.abc import Iterator
from typing import Any

from s3ish.auth.actions import actions_matching, acts_on_buckets, acts_on_objects
from s3ish.auth.condition_keys import has_key
from s3ish.auth.policy import check_service
from s3ish.errors import MalformedPolicy


def check_new(text: str) -> None:
    """Check a policy of IAM that was read.

    Raises:
        MalformedPolicy: a Sid is no text, or what is to be left out is no action: that would be given.
    """
    for statement in _statements(text):
        for pattern in _list(statement.get("NotAction", ())):
            check_service(pattern)


def check_fit(text: str) -> None:
    """Check a policy of a bucket that was read: each action must have a resource, each condition a use for each action.

    Of an action with wildcards one that it means is enough.

    Raises:
        MalformedPolicy: one has none, or a Sid is no text.
    """
    for statement in _statements(text):
        keys = [key.lower() for asked in statement.get("Condition", {}).values() for key in asked]
        for meant in _actions(statement):
            acting = frozenset(action for action in meant if _acts(action, statement))
            if not acting:
                raise MalformedPolicy("Action does not apply to any resource(s) in statement")
            if not all(any(has_key(action, key) for action in acting) for key in keys):
                raise MalformedPolicy("Conditions do not apply to combination of actions and resources in statement")


def _statements(text: str) -> Iterator[dict[str, Any]]:
    """Yield the statements. Raises MalformedPolicy: one has a Sid that is no text."""
    found = json.loads(text)["Statement"]
    for statement in [found] if isinstance(found, dict) else found:
        if not isinstance(statement.get("Sid", ""), str):
            raise MalformedPolicy("Invalid policy syntax.")
        yield statement


def _actions(statement: dict[str, Any]) -> Iterator[frozenset[str]]:
    """Yield what each action of a statement means; of ``NotAction`` what all together leave."""
    patterns = _list(statement.get("Action", ()))
    if patterns:
        yield from map(actions_matching, patterns)
        return
    left = actions_matching("*")
    for pattern in _list(statement["NotAction"]):
        excepted = actions_matching(pattern)
        if not excepted:  # a slip there would give what was to be left out
            raise MalformedPolicy("Policy has invalid action")
        left -= excepted
    yield left


def _acts(action: str, statement: dict[str, Any]) -> bool:
    """Whether a statement has a resource on which an action acts."""
    resources = _list(statement.get("Resource", ()))
    if not resources:  # all but some
        return acts_on_objects(action) or acts_on_buckets(action)
    names = [resource.removeprefix("arn:aws:s3:::") for resource in resources]
    return (acts_on_objects(action) and any("/" in name or name.endswith("*") for name in names)) or (
        acts_on_buckets(action) and any("/" not in name for name in names)
    )


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
