"""Policies: a JSON document becomes statements, and a statement says whether it speaks of a request.

The same language serves policies of buckets, of users and of sessions.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal

from msgspec import Struct

from s3ish.auth import actions
from s3ish.auth.conditions import BadConditionError, Condition, read_conditions, read_network
from s3ish.auth.patterns import Pattern, Values
from s3ish.auth.principals import Principal
from s3ish.errors import MalformedPolicy
from s3ish.model import ACCOUNT

MAX_BYTES = 20 * 1024
"""The longest policy of a bucket."""
_VERSIONS = ("2008-10-17", "2012-10-17")
_FIELDS = frozenset(
    ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
)
_S3 = "arn:aws:s3:::"
USER = re.compile(
    rf"arn:aws:(?:iam|sts)::(?:{ACCOUNT})?:((?:user|role|assumed-role|federated-user)/[\w+=,.@/-]{{1,512}})"
)
"""The ARN of a user or role of this server; what it matches first is the part that names it."""
_ACCOUNT = re.compile(rf"(?:arn:aws:iam::)?({ACCOUNT})(?::root)?")
_ID = re.compile(r"(?:AIDA|AROA)[A-Z2-7]{16}")
_OTHER_ACCOUNT = re.compile(
    r"(?:arn:aws:(?:iam|sts)::)?\d{12}(?::root|:(?:user|role|assumed-role|federated-user)/[\w+=,.@/-]+)?"
    r"|arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity [A-Z0-9]{1,64}"
)
_FIXED_KEYS = frozenset(
    (
        "aws:sourcearn",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:sourceowner",
        "aws:sourceaccount",
        "aws:sourceip",
        "aws:principalorgid",
        "aws:principalarn",
        "aws:principalaccount",
        "aws:userid",
        "aws:username",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "s3:dataaccesspointarn",
        "s3:dataaccesspointaccount",
    )
)
"""Keys with which a condition keeps a statement from being public, if their values have no wildcards."""

_NARROWING = frozenset(("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress"))
"""Operators that hold for what is named alone."""
_LEAST_PREFIX = {4: 8, 6: 32}
"""How many bits the addresses of a network must share, by the version of IP, for it not to be everybody."""
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))

Whom = Literal["everybody", "account", "arn", "canonical", "service", "federated", "id"]
_WIDE = ("everybody", "account")
_ANYBODY = ("everybody", "federated")
_ACCOUNTS = ("account", "canonical")
Use = Literal["caller", "bucket", "role"]
"""Whose policy it is: that of a user, group, role or session; of a bucket; the one that says who may assume a role."""

_OTHER_ACTION = re.compile(r"[a-z0-9-]{1,64}:[\w*?-]{1,128}")
_OTHER_KEY = re.compile(r"(?!aws:|s3:)[^:\s]{1,255}:[^\s]{1,255}")
"""Actions and condition keys of other services, which policies of callers may name."""


_NO_SERVICE = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
_SEVERAL_COLONS = "Actions/Condition can contain only one colon."


def _NO_VALUES(_: str) -> tuple[str, ...]:  # noqa: N802 - a constant: actions have no variables
    return ()


class Statement(Struct, frozen=True):
    """One statement.

    ``principals`` are pairs of kind and name; None in a policy that belongs to a principal. ``actions`` are those of
    S3, ``other_actions`` mean those of other services (all but them if ``not_actions``). ``name`` says which statement
    it is, for those who ask why; ``sid`` is what the policy calls it, empty if it does not.
    """

    name: str
    allows: bool
    principals: tuple[tuple[Whom, str], ...] | None
    not_principals: bool
    actions: frozenset[str]
    resources: tuple[Pattern, ...]
    not_resources: bool
    conditions: tuple[Condition, ...]
    other_actions: tuple[Pattern, ...] = ()
    not_actions: bool = False
    condition_texts: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    sid: str = ""

    @property
    def heads(self) -> frozenset[str]:
        """Texts with one of which the resources begin that it may speak of."""
        return frozenset(("",) if self.not_resources else (pattern.head for pattern in self.resources))

    @property
    def callers(self) -> tuple[tuple[Whom, str] | None, ...]:
        """Whom it names; None for more than can be named."""
        named = self.principals or ()
        is_wide = self.principals is None or self.not_principals or any(kind in _WIDE for kind, _ in named)
        return (None,) if is_wide else named

    def speaks_of(
        self, principal: Principal, action: str, resource: str, values: Values, *, below: bool = False
    ) -> bool:
        """Tell whether it speaks of a request.

        Args:
            action: in lower case, without ``s3:``; of another service with its name: ``iam:getuser``.
            resource: an ARN.
            below: all that begins with that is meant: an allowance must speak of all of it, a denial of some.
        """
        return (
            (action in self.actions or (":" in action and self._means(action)))
            and (
                self.principals is None
                or (self._spares_not(principal) if self.not_principals else self._names(principal))
            )
            and any(self._fits(pattern, resource, values, below=below) for pattern in self.resources)
            != self.not_resources
            and all(condition.holds(values) for condition in self.conditions)
        )

    def _fits(self, pattern: Pattern, resource: str, values: Values, *, below: bool) -> bool:
        if not below:
            return pattern.matches(resource, values)
        if self.allows == self.not_resources:
            return pattern.matches_some_below(resource, values)
        return pattern.matches_all_below(resource, values)

    def _means(self, action: str) -> bool:
        """Whether it means an action of another service."""
        return any(pattern.matches(action, _NO_VALUES) for pattern in self.other_actions) != self.not_actions

    def _spares_not(self, principal: Principal) -> bool:
        """Whether it is about a principal, as it is about all but those that it names.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
        """
        if self.allows:
            return not self._names(principal)
        # who is excepted from a denial is named itself, not by account or role alone, and has no boundary
        is_account = principal.is_root and not principal.is_federated_user
        return principal.boundary is not None or not self._names(principal.itself, accounts=is_account)

    def _names(self, principal: Principal, *, accounts: bool = True) -> bool:
        named = self.principals or ()
        return any(_is(principal, kind, name) for kind, name in named if accounts or kind != "account")

    def delegates_to(self, principal: Principal) -> bool:
        """Whether it names a user's account and not the user, whose own policies must give the same then."""
        if self.principals is None or self.not_principals:
            return False
        return not any(_is(principal, kind, name) for kind, name in self.principals if kind not in _ACCOUNTS)

    @property
    def is_public(self) -> bool:
        """Whether it gives rights to everybody.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
        """
        if not self.allows or self.principals is None:
            return False
        if not self.not_principals and all(kind not in _ANYBODY for kind, _ in self.principals):
            return False
        return not any(_narrows(key, operator, texts) for operator, key, texts in self.condition_texts)


def _narrows(key: str, operator: str, texts: tuple[str, ...]) -> bool:
    """Whether a condition limits a statement to who is named in it."""
    if key not in _FIXED_KEYS or operator.removeprefix("ForAnyValue:") not in _NARROWING:
        return False
    if key == "aws:sourceip":
        return not any(_is_broad(text) for text in texts)
    if key == "s3:dataaccesspointarn":  # all access points of an account are still of that account
        texts = tuple(text.partition(":accesspoint/")[0] for text in texts)
    return not any(set(text) & set("*?$") for text in texts)


def _is_broad(text: str) -> bool:
    """Whether a network is so large that it limits nothing, or is none."""
    try:
        network = read_network(text)
    except ValueError:
        return True
    if isinstance(network, IPv6Network):
        return network.prefixlen < _LEAST_PREFIX[6]
    return network.prefixlen < _LEAST_PREFIX[4] and not any(network.subnet_of(private) for private in _PRIVATE)


def _names_of(principal: Principal) -> tuple[tuple[Whom, str], ...]:
    """Return how a statement can name a principal; see ``_is``."""
    if principal.is_anonymous:
        return ()
    own: tuple[tuple[Whom, str], ...] = (
        ("canonical", principal.owner.id),
        ("id", principal.id.partition(":")[0]),
        ("arn", principal.arn.removeprefix(f"arn:aws:iam::{ACCOUNT}:")),
    )
    kinds: tuple[Whom, ...] = ("arn", "federated")
    return own + tuple((kind, name) for kind in kinds for name in principal.names)


def _is(principal: Principal, kind: Whom, name: str) -> bool:
    """Whether a principal is one that a statement names."""
    if kind == "everybody":
        return True
    if principal.is_anonymous:
        return False
    if kind == "canonical":
        return principal.owner.id == name
    if kind == "id":
        return principal.id.partition(":")[0] == name
    if kind == "federated":
        return principal.kind == "federated" and name in principal.names
    if kind == "arn":
        return principal.arn == f"arn:aws:iam::{ACCOUNT}:{name}" or name in principal.names
    return kind == "account" and (principal.is_root or principal.is_of_account)


class Policy(Struct, frozen=True, dict=True):
    """A policy that can be asked; what questions need is made once."""

    statements: tuple[Statement, ...]

    @cached_property
    def is_public(self) -> bool:
        """Whether one of its statements gives rights to everybody."""
        return any(statement.is_public for statement in self.statements)

    @cached_property
    def asks_tags(self) -> bool:
        """Whether a condition asks for tags that the object has."""
        return any(
            key.startswith("s3:existingobjecttag/")
            for statement in self.statements
            for _, key, _ in statement.condition_texts
        )

    def find(
        self,
        *,
        allows: bool,
        principal: Principal,
        action: str,
        resource: str,
        values: Values,
        below: bool = False,
        by_name: bool = False,
        delegated: bool = True,
    ) -> str:
        """Return the name of a statement that allows (or denies) a request; empty if there is none.

        Args:
            by_name: only statements count that name single callers.
            delegated: statements count too that name the caller's account alone.
        """
        asked = (self._others if ":" in action else self._by_action.get(action, _NONE))[allows]
        for _, statement in asked.all if below else asked.about(resource, principal):
            if by_name and None in statement.callers:
                continue
            if statement.speaks_of(principal, action, resource, values, below=below) and (
                delegated or not statement.delegates_to(principal)
            ):
                return statement.name
        return ""

    @cached_property
    def _by_action(self) -> dict[str, tuple["_Asked", "_Asked"]]:
        """The statements on each action of S3: those that deny, and those that allow."""
        named = {action for statement in self.statements for action in statement.actions}
        return {action: _parted(it for it in self.statements if action in it.actions) for action in named}

    @cached_property
    def _others(self) -> tuple["_Asked", "_Asked"]:
        """The statements on actions of other services: those that deny, and those that allow."""
        return _parted(self.statements)


class _Asked:
    """Statements on an action, found by what the ARNs of their resources begin with, and by whom they name.

    Of many statements most are about other folders or callers: to ask each would cost more than all else of a request.
    """

    __slots__ = ("_by_head", "_lengths", "_names_callers", "all")

    def __init__(self, statements: Iterable[Statement]) -> None:
        self.all = tuple(enumerate(statements))
        self._by_head: dict[tuple[str, tuple[Whom, str] | None], list[tuple[int, Statement]]] = {}
        for numbered in self.all:
            for place in itertools.product(numbered[1].heads, numbered[1].callers):
                self._by_head.setdefault(place, []).append(numbered)
        self._lengths = sorted({len(head) for head, _ in self._by_head})
        self._names_callers = any(caller for _, caller in self._by_head)

    def about(self, resource: str, principal: Principal) -> list[tuple[int, Statement]]:
        """Return those that may speak of a resource and a caller, in their order, with their numbers."""
        callers = (None, *_names_of(principal)) if self._names_callers else (None,)
        heads = [resource[:length] for length in self._lengths]
        found = [it for head in heads for caller in callers for it in self._by_head.get((head, caller), ())]
        if len(found) > 1:
            found.sort(key=_number_of)
        return found


def _number_of(numbered: tuple[int, Statement]) -> int:
    return numbered[0]


def _parted(statements: Iterable[Statement]) -> tuple[_Asked, _Asked]:
    all_of_them = list(statements)
    denying, allowing = ([it for it in all_of_them if it.allows == allows] for allows in (False, True))
    return _Asked(denying), _Asked(allowing)


_NONE = _parted(())


def read_policy(text: str, bucket: str = "") -> Policy:
    """Read a policy; the same text is read once.

    Args:
        bucket: the bucket whose policy it is; empty for a policy of a caller, which names no principals.

    Raises:
        MalformedPolicy: it is none; the text says why.
    """
    return _read(text, "bucket" if bucket else "caller", bucket)


def read_trust_policy(text: str) -> Policy:
    """Read the policy that says who may assume a role; the same text is read once.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-user.html

    Raises:
        MalformedPolicy: it is none; the text says why.
    """
    return _read(text, "role", "")


@lru_cache(512)
def _read(text: str, use: Use, bucket: str) -> Policy:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise MalformedPolicy("Policy exceeds the maximum allowed document size.")
    if not text.lstrip().startswith("{"):
        raise MalformedPolicy("Policies must be valid JSON and the first byte must be '{'")
    try:
        document = json.loads(text, object_pairs_hook=_unique)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        if isinstance(error.__cause__, MalformedPolicy):
            raise error.__cause__ from None
        raise MalformedPolicy("This policy contains invalid Json") from error
    if unknown := document.keys() - {"Version", "Id", "Statement"}:
        raise MalformedPolicy(f"Unknown field {min(unknown)[:64]}")
    version = document.get("Version", _VERSIONS[0])
    if version not in _VERSIONS:
        raise MalformedPolicy("The policy must contain a valid version string")
    found = document.get("Statement")
    statements = [found] if isinstance(found, dict) else found
    if not isinstance(statements, list) or not statements or not isinstance(document.get("Id", ""), str):
        raise MalformedPolicy("Could not parse the policy: Statement is empty!")
    read = tuple(_statement(item, number, version, use, bucket) for number, item in enumerate(statements, 1))
    sids = [statement.sid for statement in read if statement.sid]
    if len(sids) != len(set(sids)):
        raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")
    return Policy(read)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError from MalformedPolicy("Duplicate JSON fields in the policy")
    return found


def _statement(item: Any, number: int, version: str, use: Use, bucket: str) -> Statement:
    if not isinstance(item, dict):
        raise MalformedPolicy("Invalid policy syntax.")
    if unknown := item.keys() - _FIELDS:
        raise MalformedPolicy(f"Unknown field {min(unknown)[:64]}")
    if item.get("Effect") not in ("Allow", "Deny"):
        missing = "Effect" not in item
        raise MalformedPolicy("Missing required field Effect" if missing else f"Invalid effect: {item['Effect']}"[:128])
    not_actions, named_actions = _one_of(item, "Action")
    variables = version == _VERSIONS[1]
    meant = _actions(named_actions, use, inverted=not_actions)
    not_resources, resources = _resources(item, use, bucket)
    not_principals, principals = _nobody(item) if use == "caller" else _whom(item, use)
    given = item.get("Condition", {})
    if not isinstance(given, dict):
        raise MalformedPolicy("Invalid policy syntax.")
    try:
        conditions = read_conditions(given, variables, _known_keys(use))
    except BadConditionError as error:
        raise MalformedPolicy(str(error)) from error
    sid = item["Sid"] if isinstance(item.get("Sid"), str) else ""  # another one is in policies of before alone
    return Statement(
        name=sid or f"statement {number}",
        allows=item["Effect"] == "Allow",
        principals=principals,
        not_principals=not_principals,
        actions=meant,
        resources=tuple(Pattern(text, variables=variables) for text in resources),
        not_resources=not_resources,
        conditions=conditions,
        other_actions=() if use == "bucket" else tuple(_other_actions(named_actions)),
        not_actions=not_actions and use != "bucket",
        sid=sid,
        condition_texts=tuple(
            (operator, key.lower(), tuple(map(str, value if isinstance(value, list) else [value])))
            for operator, keys in given.items()
            for key, value in keys.items()
        ),
    )


def _one_of(item: Mapping[str, Any], field: str) -> tuple[bool, list[str]]:
    """Return whether the field is there as its opposite (``NotAction``), and its texts."""
    names = [name for name in (field, f"Not{field}") if name in item]
    if not names:
        raise MalformedPolicy(f"Missing required field {field}")
    if len(names) > 1:
        raise MalformedPolicy(f"A statement cannot have both {names[0]} and {names[1]}")
    value = item[names[0]]
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise MalformedPolicy(f"Policy has invalid {field.lower()}")
    return names[0] != field, texts


def _known_keys(use: Use) -> Callable[[str], bool]:
    """Return what tells whether a policy may ask for a condition key, given in lower case."""
    if use == "bucket":
        return actions.is_condition_key
    return lambda key: actions.is_condition_key(key) or _OTHER_KEY.fullmatch(key) is not None


def _actions(patterns: list[str], use: Use, *, inverted: bool) -> frozenset[str]:
    """Return the actions of S3 that are meant, in lower case."""
    meant: set[str] = set()
    for pattern in patterns:
        found = actions.actions_matching(pattern)
        service = pattern.partition(":")[0].lower()
        if use == "role" and service not in ("sts", "*"):
            raise MalformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.")
        if use != "bucket" and not inverted:
            check_service(pattern)
        is_other = use != "bucket" and _OTHER_ACTION.fullmatch(pattern.lower())  # also one of S3 that is not here
        if not found and not inverted and not is_other:
            raise MalformedPolicy("Policy has invalid action")
        meant |= found
    return actions.actions_matching("*") - meant if inverted else frozenset(meant)


def check_service(pattern: str) -> None:
    """Check that an action in a policy of IAM names its service. Raises MalformedPolicy."""
    if pattern != "*" and pattern.count(":") != 1:
        raise MalformedPolicy(_SEVERAL_COLONS if ":" in pattern else _NO_SERVICE)


def _other_actions(patterns: list[str]) -> Iterator[Pattern]:
    for pattern in patterns:
        if pattern == "*" or not pattern.lower().startswith("s3:"):
            yield Pattern(pattern, variables=False, ignore_case=True)


def _resources(item: Mapping[str, Any], use: Use, bucket: str) -> tuple[bool, list[str]]:
    """Return whether they are those that are not meant, and their patterns."""
    if use == "role":
        if "Resource" in item or "NotResource" in item:
            raise MalformedPolicy("Has prohibited field Resource")
        return False, ["*"]
    inverted, texts = _one_of(item, "Resource")
    if use == "bucket":
        _check_ours(texts, bucket, inverted=inverted)
    elif others := [text for text in texts if text != "*" and not text.startswith("arn:")]:
        raise MalformedPolicy(f'Resource {others[0][:256]} must be in ARN format or "*".')
    return inverted, texts


def _check_ours(texts: list[str], bucket: str, *, inverted: bool) -> None:
    """Check that the resources of a bucket's policy are the bucket and its objects. Raises MalformedPolicy."""
    for text in texts:
        name = text.removeprefix(_S3).partition("/")[0]
        fits = text.startswith(_S3) and Pattern(name, variables=False).matches(bucket, _NO_VALUES)
        if not fits and not inverted:
            raise MalformedPolicy("Policy has invalid resource")


def _nobody(item: Mapping[str, Any]) -> tuple[bool, None]:
    if "Principal" in item or "NotPrincipal" in item:
        raise MalformedPolicy("Policy document should not specify a principal.")
    return False, None


def _whom(item: Mapping[str, Any], use: Use) -> tuple[bool, tuple[tuple[Whom, str], ...]]:
    names = [name for name in ("Principal", "NotPrincipal") if name in item]
    if use == "role" and names == ["NotPrincipal"]:
        raise MalformedPolicy("AssumeRole policy may not specify NotPrincipal.")
    if len(names) != 1:
        raise MalformedPolicy("Missing required field Principal" if not names else "Invalid policy syntax.")
    value, inverted = item[names[0]], names[0] == "NotPrincipal"
    if value == "*":
        return inverted, (("everybody", "*"),)
    if not isinstance(value, dict) or not value:
        raise MalformedPolicy("Invalid policy syntax.")
    found: list[tuple[Whom, str]] = []
    for kind, given in value.items():
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise MalformedPolicy("Invalid policy syntax.")
        found += [_principal(kind, text) for text in texts]
    return inverted, tuple(found)


def _principal(kind: str, text: str) -> tuple[Whom, str]:
    """Read one principal. Raises MalformedPolicy."""
    if kind == "AWS":
        if text == "*":
            return "everybody", text
        if named := USER.fullmatch(text):
            return "arn", named[1]
        if _ID.fullmatch(text):
            return "id", text
        if _ACCOUNT.fullmatch(text) or _OTHER_ACCOUNT.fullmatch(text):
            return ("account", ACCOUNT) if _ACCOUNT.fullmatch(text) else ("service", text)
    elif kind == "CanonicalUser" and text:
        return "canonical", text
    elif kind in ("Service", "Federated") and text:
        return "service" if kind == "Service" else "federated", text
    raise MalformedPolicy("Invalid principal in policy")
