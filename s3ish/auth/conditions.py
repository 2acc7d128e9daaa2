"""The conditions of a policy's statement: operators that compare values of the request with those of the policy.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from msgspec import Struct

from s3ish.auth.patterns import Pattern, Values

Test = Callable[[str, Values], bool]
"""Compares one value of a request with one of the policy."""

_COLON = re.compile(r"\$\{[^{}]*\}|(:)")
"""A colon, or a variable with those that it has."""
_ARN_PARTS = 6
_SETS = ("ForAllValues:", "ForAnyValue:")


class BadConditionError(ValueError):
    """A condition that cannot be meant; its text says why, in AWS's words."""


class Condition(Struct, frozen=True):
    """One key of one operator: ``tests`` of the values of the policy, of which one must hold (or none, if ``negated``).

    ``over`` is the set operator; ``if_exists`` lets requests pass that do not have the key, ``exists`` is what the Null
    operator asks, which has no tests; None where it asks for both.
    """

    key: str
    operator: str
    tests: tuple[Test, ...]
    negated: bool = False
    if_exists: bool = False
    over: str = ""
    exists: bool | None = None

    def holds(self, values: Values) -> bool:
        """Tell whether a request fulfils it."""
        given = values(self.key)
        if not self.tests:
            return self.exists is None or bool(given) == self.exists
        if not given:
            if self.over:
                return self.over == "ForAllValues:" or self.if_exists
            return self.if_exists or self.negated
        outcomes = (any(test(value, values) for test in self.tests) != self.negated for value in given)
        if self.over == "ForAnyValue:":
            return any(outcomes)
        return all(outcomes)


def read_conditions(
    document: Mapping[str, Any], variables: bool, known: Callable[[str], bool]
) -> tuple[Condition, ...]:
    """Read the Condition element of a statement.

    Args:
        variables: whether the version of the policy has variables.
        known: tells whether a condition key exists.

    Raises:
        BadConditionError: an operator, key or value is not known, or of the wrong form.
    """
    conditions = []
    for operator, keys in document.items():
        if not isinstance(keys, Mapping) or not keys:
            raise BadConditionError("Invalid policy syntax.")
        for key, given in keys.items():
            if not known(key.lower()):
                raise BadConditionError("Policy has an invalid condition key")
            conditions.append(_condition(operator, key.lower(), _texts(given), variables))
    return tuple(conditions)


def _texts(given: Any) -> list[str]:
    """Return the values of a key as texts: JSON's booleans and numbers stand for their names."""
    found = given if isinstance(given, list) else [given]
    if not found or not all(isinstance(value, str | bool | int | float) for value in found):
        raise BadConditionError("Invalid policy syntax.")
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in found]


def _condition(operator: str, key: str, texts: Sequence[str], variables: bool) -> Condition:
    over = next((prefix for prefix in _SETS if operator.startswith(prefix)), "")
    name = operator.removeprefix(over)
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if name == "Null":
        if if_exists or over or any(text.lower() not in ("true", "false") for text in texts):
            raise BadConditionError("Invalid Condition type : " + operator)
        wanted = {text.lower() == "false" for text in texts}
        return Condition(key, operator, (), exists=wanted.pop() if len(wanted) == 1 else None)
    negated = "Not" in name
    make = _OPERATORS.get(name.replace("Not", ""))
    if make is None or (negated and name not in _NEGATED):
        raise BadConditionError("Invalid Condition type : " + operator)
    try:
        tests = tuple(make(text, variables) for text in texts)
    except (ValueError, InvalidOperation) as error:
        raise BadConditionError(f"Invalid condition value for {operator}") from error
    return Condition(key, operator, tests, negated, if_exists, over)


# --- the operators


def _text(*, wildcards: bool, ignore_case: bool = False) -> Callable[[str, bool], Test]:
    def make(text: str, variables: bool) -> Test:
        return Pattern(text, variables=variables, wildcards=wildcards, ignore_case=ignore_case).matches

    return make


def _arn_parts(text: str, variables: bool) -> list[str]:
    if not variables:
        return text.split(":", _ARN_PARTS - 1)
    colons = [found.start() for found in _COLON.finditer(text) if found[1]][: _ARN_PARTS - 1]
    return [text[start + 1 : stop] for start, stop in zip([-1, *colons], [*colons, len(text)], strict=True)]


def _arn(text: str, variables: bool) -> Test:
    """Compare ARNs part by part: a wildcard ends at the colon. A variable has colons of its own."""
    parts = [Pattern(part, variables=variables) for part in _arn_parts(text, variables)]

    def test(value: str, values: Values) -> bool:
        given = value.split(":", _ARN_PARTS - 1)
        return len(given) == len(parts) and all(
            pattern.matches(part, values) for pattern, part in zip(parts, given, strict=True)
        )

    return test


def _ordered(read: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Callable[[str, bool], Test]:
    def make(text: str, variables: bool) -> Test:  # noqa: ARG001 - they have no variables
        wanted = read(text)

        def test(value: str, values: Values) -> bool:  # noqa: ARG001 - as above
            try:
                return compare(read(value), wanted)
            except (ValueError, InvalidOperation):
                return False

        return test

    return make


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite() or len(text) > 40:
        raise ValueError(text)
    return number


def _moment(text: str) -> float:
    """Read a date of ISO 8601, or seconds since the epoch."""
    if re.fullmatch(r"\d{1,11}", text) and len(text) != 4:
        return float(text)
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _address(text: str, variables: bool) -> Test:  # noqa: ARG001 - it has no variables
    network = read_network(text)

    def test(value: str, values: Values) -> bool:  # noqa: ARG001 - as above
        try:
            address = ip_address(value)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address) in network

    return test


def read_network(text: str) -> IPv4Network | IPv6Network:
    """Return a network; one of addresses of version 4 as such, if it is written in version 6. Raises ValueError."""
    network = ip_network(text, strict=False)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped and network.prefixlen >= 96 else network


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda value, wanted: value == wanted,
    "LessThan": lambda value, wanted: value < wanted,
    "LessThanEquals": lambda value, wanted: value <= wanted,
    "GreaterThan": lambda value, wanted: value > wanted,
    "GreaterThanEquals": lambda value, wanted: value >= wanted,
}
_OPERATORS: dict[str, Callable[[str, bool], Test]] = {
    "StringEquals": _text(wildcards=False),
    "StringEqualsIgnoreCase": _text(wildcards=False, ignore_case=True),
    "StringLike": _text(wildcards=True),
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "Bool": _ordered(_boolean, _ORDERS["Equals"]),
    "BinaryEquals": _ordered(_binary, _ORDERS["Equals"]),
    "IpAddress": _address,
    **{f"Numeric{name}": _ordered(_number, compare) for name, compare in _ORDERS.items()},
    **{f"Date{name}": _ordered(_moment, compare) for name, compare in _ORDERS.items()},
}
_NEGATED = frozenset(
    (
        "StringNotEquals",
        "StringNotEqualsIgnoreCase",
        "StringNotLike",
        "NumericNotEquals",
        "DateNotEquals",
        "NotIpAddress",
        "ArnNotEquals",
        "ArnNotLike",
    )
)
