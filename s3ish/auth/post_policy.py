"""The policy of a browser's form: a signed document that says which fields an upload may have.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from s3ish.auth.mismatch import is_customer_key
from s3ish.errors import AccessDenied, InvalidPolicyDocument

_UNCHECKED = frozenset(("awsaccesskeyid", "signature", "x-amz-signature", "policy", "file"))
"""Fields that no condition needs to name; nor those that begin with ``x-ignore-``."""
_MOST = 5 * 1024**3
_RANGE = "content-length-range"
_SIMPLE = "Invalid Policy: Invalid Simple-Condition"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")


class Sizes(Struct, frozen=True):
    """How long the file may be, in bytes."""

    least: int = 0
    most: int = _MOST


def check_policy(text: str, fields: Mapping[str, str], bucket: str, now: datetime) -> Sizes:
    """Check that the fields of a form are what its policy allows.

    Args:
        text: the policy in base64, as the form carries it.
        fields: all fields before the file, by lower-case name.
        bucket: the bucket of the request, which counts as a field.
        now: the time, UTC.

    Returns:
        How long the file may be.

    Raises:
        InvalidPolicyDocument: it is no policy.
        AccessDenied: it has expired, or does not allow this.
    """
    document = _read(text)
    if "expiration" not in document:
        raise InvalidPolicyDocument("Invalid Policy: Policy missing expiration.")
    if now >= _moment(document["expiration"]):
        raise AccessDenied("Invalid according to Policy: Policy expired.")
    if "conditions" not in document:
        raise InvalidPolicyDocument("Invalid Policy: Policy missing conditions.")
    conditions = document["conditions"]
    if not isinstance(conditions, list):
        raise InvalidPolicyDocument("Invalid Policy: Invalid 'conditions' value: must be a List.")
    given = {**fields, "bucket": bucket}
    named: set[str] = set()
    sizes = Sizes()
    for condition in conditions:
        operator = _operator(condition)
        if operator == _RANGE:
            sizes = _sizes(condition)
            continue
        name, wanted = _field(condition)
        named.add(name)
        if not _holds(operator, name, wanted, given.get(name, "")):
            shown = json.dumps([operator, f"${name}", "REDACTED" if is_customer_key(name) else wanted])
            raise AccessDenied(f"Invalid according to Policy: Policy Condition failed: {shown}"[:512])
    extra = sorted(name for name in given if name not in named | _UNCHECKED and not name.startswith("x-ignore-"))
    if extra:
        raise AccessDenied(f"Invalid according to Policy: Extra input fields: {extra[0][:128]}")
    return sizes


def _read(text: str) -> dict[str, Any]:
    try:
        plain = base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise InvalidPolicyDocument("Invalid Policy: invalid Base64 encoding.") from error
    try:
        document = json.loads(plain)
    except (ValueError, RecursionError) as error:
        raise InvalidPolicyDocument("Invalid Policy: Invalid JSON.") from error
    if not isinstance(document, dict):
        raise InvalidPolicyDocument("Invalid Policy: Invalid JSON.")
    return document


def _moment(text: Any) -> datetime:
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        pass
    raise InvalidPolicyDocument(f"Invalid Policy: Invalid 'expiration' value: '{text}'"[:256])


def _sizes(condition: list[Any]) -> Sizes:
    _, least, most = condition
    try:
        sizes = Sizes(int(least), int(most))
    except (TypeError, ValueError) as error:
        raise InvalidPolicyDocument("Invalid Policy: Invalid content-length-range.") from error
    if not 0 <= sizes.least <= sizes.most:
        raise InvalidPolicyDocument("Invalid Policy: Invalid content-length-range.")
    return sizes


def _operator(condition: Any) -> str:
    """Return the operator of a condition that has as many parts as it needs. Raises InvalidPolicyDocument."""
    if isinstance(condition, dict):
        if len(condition) != 1:
            raise InvalidPolicyDocument(f"{_SIMPLE}: Simple-Conditions must have exactly one property specified.")
        return "eq"
    if not isinstance(condition, list):
        raise InvalidPolicyDocument("Invalid Policy: Invalid condition test: must be a List or Object.")
    if not condition:
        raise InvalidPolicyDocument("Invalid Policy: Invalid Condition: missing operation identifier.")
    operator = str(condition[0]).lower()
    if operator not in ("eq", "starts-with", _RANGE):
        raise InvalidPolicyDocument(f"Invalid Policy: Invalid Condition: unknown operation '{operator[:64]}'.")
    if len(condition) != 3:
        raise InvalidPolicyDocument(f"Invalid Policy: Invalid {operator}: wrong number of arguments.")
    return operator


def _field(condition: Any) -> tuple[str, str]:
    """Return the field that a condition is about, and what it wants of it. Raises InvalidPolicyDocument."""
    if isinstance(condition, dict):
        ((name, wanted),) = condition.items()
        if not isinstance(wanted, str):
            raise InvalidPolicyDocument(f"{_SIMPLE}: value must be a string.")
        return str(name).lower(), wanted
    _, name, wanted = condition
    if not str(name).startswith("$") or not isinstance(wanted, str | int):
        raise InvalidPolicyDocument("Invalid Policy: Invalid Condition.")
    return str(name)[1:].lower(), str(wanted)


def _holds(operator: str, name: str, wanted: str, value: str) -> bool:
    if operator == "eq":
        return value == wanted
    if name == "content-type":  # a list of types, each of which must begin so
        return all(item.strip().startswith(wanted) for item in value.split(","))
    return value.startswith(wanted)
