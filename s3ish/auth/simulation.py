"""What policies would decide on requests that were never sent: each action on each resource.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from msgspec import Struct

from s3ish.auth.condition_keys import Circumstances, Tags, values_of
from s3ish.auth.evaluator import Allowed, BucketRules, Decision, Permit, decide, decide_beside
from s3ish.auth.policy import Policy, Statement
from s3ish.auth.principals import Principal

Outcome = Literal["allowed", "explicitDeny", "implicitDeny"]
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_S3 = "arn:aws:s3:::"


class Source(Struct, frozen=True, eq=False, dict=True):
    """A policy that takes part: its name and kind in the answer, its text, and what was read of it, once for all.

    ``kind`` is ``user``, ``group``, ``role``, ``aws-managed``, ``user-managed``, ``resource`` or ``none``.
    """

    id: str
    kind: str
    text: str
    policy: Policy

    @cached_property
    def placed(self) -> list[tuple[Statement, "Match"]]:
        """Its statements, each with its place."""
        places = places_of(self.text)
        return [(it, Match(self, *place)) for it, place in zip(self.policy.statements, places, strict=True)]

    @cached_property
    def keys(self) -> list[str]:
        """The condition keys that it asks for."""
        return keys_of(self.text)


class Match(Struct, frozen=True):
    """A statement that decides: its policy, and the offsets in the text where it begins and ends."""

    source: Source
    begin: int
    end: int


class Result(Struct, frozen=True):
    """What is decided on an action and a resource.

    ``missing`` are the condition keys that policies ask for and the request has not. ``in_bounds`` says whether the
    permissions boundary allows it; None where there is none.
    """

    resource: str
    outcome: Outcome
    matches: tuple[Match, ...]
    missing: tuple[str, ...]
    in_bounds: bool | None = None


class Simulation(Struct, frozen=True):
    """Who would ask, by which policies, and what the requests would be like.

    ``principal`` has the policies of ``own`` and ``boundary``. ``of_bucket`` is the policy of ``bucket``, where one
    takes part. ``given`` are values of condition keys, by their names in lower case; a request has no others but those
    of who asks and of the moment ``now``.
    """

    principal: Principal
    own: tuple[Source, ...]
    given: Tags
    now: datetime
    boundary: Source | None = None
    of_bucket: Source | None = None
    bucket: str = ""

    @property
    def weight(self) -> int:
        """How much an answer looks at, and may have to show: statements and condition keys."""
        sources = (*self.own, self.boundary, self.of_bucket)
        return sum(len(source.placed) + len(source.keys) for source in sources if source)

    def ask(self, action: str, resource: str) -> Result:
        """Return what is decided on an action, with its service, and a resource: an ARN, or ``*``."""
        circumstances = Circumstances({}, {}, self.now, secure=None, further=self.given)
        sources = [*self.own, *([self.boundary] if self.boundary else ())]
        name, _, _ = resource.removeprefix(_S3).partition("/")
        about_bucket = bool(self.of_bucket) and resource.startswith(_S3) and name == self.bucket
        if self.of_bucket and about_bucket:
            sources.append(self.of_bucket)
        decision = self._decision(action, resource, circumstances, about_bucket=about_bucket)
        outcome = _outcome(decision)
        asked = action.lower().removeprefix("s3:")
        values = values_of(self.principal, circumstances, asked)
        spoken = [
            (statement.allows, match)
            for source in sources
            for statement, match in source.placed
            if statement.speaks_of(self.principal, asked, resource, values)
        ]
        bounding = {allows for allows, match in spoken if match.source is self.boundary}
        missing = [key for source in sources for key in source.keys if not values(key)]
        return Result(
            resource,
            outcome,
            tuple(match for allows, match in spoken if outcome == ("allowed" if allows else "explicitDeny")),
            tuple(dict.fromkeys(missing)),
            bounding == {True} if self.boundary else None,
        )

    def _decision(self, action: str, resource: str, circumstances: Circumstances, *, about_bucket: bool) -> Decision:
        if not about_bucket or not self.of_bucket:
            return decide_beside(self.principal, action, resource, circumstances)
        bucket, _, key = resource.removeprefix(_S3).partition("/")
        rules = BucketRules(self.principal.owner, self.of_bucket.policy)
        return decide(self.principal, Permit(action, bucket, key), rules, circumstances)


def _outcome(decision: Decision) -> Outcome:
    if isinstance(decision, Allowed):
        return "allowed"
    return "explicitDeny" if decision.explicit else "implicitDeny"


def keys_of(text: str) -> list[str]:
    """Return the condition keys that a policy that was read asks for, in conditions and as variables."""
    document = json.loads(text)
    found = document["Statement"]
    keys: dict[str, str] = {}
    for statement in [found] if isinstance(found, dict) else found:
        conditions = statement.get("Condition", {})
        for key in (key for asked in conditions.values() for key in asked):
            keys.setdefault(key.lower(), key)
        if document.get("Version") != "2012-10-17":
            continue
        for part in _texts([statement.get(name, ()) for name in ("Resource", "NotResource")] + [conditions]):
            for variable in _VARIABLE.findall(part):
                key = variable.partition(",")[0].strip()
                if key not in ("*", "?", "$"):
                    keys.setdefault(key.lower(), key)
    return list(keys.values())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def places_of(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the statements of a policy that was read begin and end."""
    at = _after_space(text, text.index("{") + 1)
    key = ""
    while True:
        key, at = _DECODER.raw_decode(text, at)
        at = _after_space(text, _after_space(text, at) + 1)
        if key == "Statement":
            break
        _, at = _DECODER.raw_decode(text, at)
        at = _after_space(text, _after_space(text, at) + 1)
    is_list = text[at] == "["
    at = _after_space(text, at + 1) if is_list else at
    while text[at] != "]":
        _, end = _DECODER.raw_decode(text, at)
        yield at, end
        if not is_list:
            return
        at = _after_space(text, end)
        at = _after_space(text, at + 1) if text[at] == "," else at


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def strictest(results: Sequence[Result]) -> Outcome:
    """Return what is decided on an action as a whole: what is worst of its resources."""
    outcomes = {result.outcome for result in results}
    return next(it for it in ("explicitDeny", "implicitDeny", "allowed") if it in outcomes)
