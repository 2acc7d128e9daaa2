"""Principals of policies by ids that are never given twice.

A policy that names a user or a role keeps its id in place of its ARN, so that one which is made later under the same
name has none of its rights. Who reads the policy sees the ARN, or the id where its holder is gone.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

import json
from collections.abc import Callable
from typing import Any, Protocol

from s3ish.model import Owner


class Names(Protocol):
    """Who is meant by ARNs and ids."""

    def id_of(self, arn: str) -> str:
        """Return the id of who has an ARN; the ARN itself where it has none."""

    def arn_of(self, record_id: str) -> str:
        """Return the ARN of who has an id; the text itself where no one has it."""

    def owners(self) -> list[Owner]:
        """Return who can own buckets, as far as that is known."""


class NoNames:
    """Names where no user has an id."""

    def id_of(self, arn: str) -> str:
        """Return the ARN."""
        return arn

    def arn_of(self, record_id: str) -> str:
        """Return the id."""
        return record_id

    def owners(self) -> list[Owner]:
        """Return nobody: it is not known."""
        return []


NO_NAMES = NoNames()


def with_principals(text: str, become: Callable[[str], str]) -> str:
    """Return a policy with other principals; the same text if none becomes another one.

    Args:
        text: a policy that was read before.
        become: returns what stands in place of one of ``AWS``.
    """
    document = json.loads(text)
    statements = document.get("Statement", [])
    changed = False
    for statement in statements if isinstance(statements, list) else [statements]:
        for field in ("Principal", "NotPrincipal"):
            principal = statement.get(field)
            if isinstance(principal, dict) and "AWS" in principal:
                wanted = _become(principal["AWS"], become)
                changed |= wanted != principal["AWS"]
                principal["AWS"] = wanted
    return json.dumps(document) if changed else text


def _become(given: Any, become: Callable[[str], str]) -> Any:
    return become(given) if isinstance(given, str) else [become(it) for it in given]
