"""The policy that narrows a session: one that a call writes out, managed ones that it names, or both.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
"""

import json
from typing import Any

from s3ish.auth.policy import read_policy
from s3ish.auth.policy_fit import check_new
from s3ish.errors import MalformedPolicy, MalformedPolicyDocument, PackedPolicyTooLarge, ValidationError
from s3ish.identity.picking import pick_policy
from s3ish.server.query_call import Call

_MOST_CHARACTERS, _MOST_NAMED, _MOST_TOGETHER = 2048, 10, 8192


def session_policy_of(call: Call) -> str:
    """Return the policy that narrows the session that a call asks for; empty if nothing does.

    What managed policies say is kept as it is now: the session is no wider when they become so.

    Raises:
        ValidationError: it is empty or too long, or names too many.
        MalformedPolicyDocument: it is none.
        NoSuchEntity, InvalidInput: there is no managed policy of a name.
        PackedPolicyTooLarge: all together are too long.
    """
    written = call.parameters.get("Policy", "")
    if len(written) > _MOST_CHARACTERS or (not written and "Policy" in call.parameters):
        raise ValidationError(f"Policy must have 1 to {_MOST_CHARACTERS} characters")
    if written:
        _check(written)
    named = _named(call)
    if not named:
        return written
    together = _joined([written, *named] if written else named)
    if len(together) > _MOST_TOGETHER:
        raise PackedPolicyTooLarge
    _check(together)
    return together


def _named(call: Call) -> list[str]:
    """Return the documents of the managed policies that a call names."""
    numbers = call.numbers("PolicyArns")
    if len(numbers) > _MOST_NAMED:
        raise ValidationError(f"PolicyArns must have at most {_MOST_NAMED} members")
    arns = [call.text(f"PolicyArns.member.{number}.arn") for number in numbers]
    found = [pick_policy(call.registry.directory, arn).document for arn in arns]
    if not found:
        call.refuse("PolicyArns")
    return found


def _joined(texts: list[str]) -> str:
    """Return one document with the statements of several. Raises MalformedPolicyDocument: they cannot be joined."""
    documents = [json.loads(text) for text in texts]
    versions = {document.get("Version", "2008-10-17") for document in documents}
    if len(versions) > 1 and any("${" in text for text in texts):
        raise MalformedPolicyDocument("Policies of different versions of the language cannot be joined.")
    statements = [
        {name: value for name, value in statement.items() if name != "Sid"}
        for document in documents
        for statement in _statements(document["Statement"])
    ]
    return json.dumps({"Version": max(versions), "Statement": statements}, ensure_ascii=False, separators=(",", ":"))


def _statements(found: Any) -> list[dict[str, Any]]:
    return [found] if isinstance(found, dict) else found


def _check(text: str) -> None:
    try:
        read_policy(text)
        check_new(text)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(error.message) from error
