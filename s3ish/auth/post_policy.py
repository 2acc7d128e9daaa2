"""The policy of a browser's form: a signed document that says which fields an upload may have.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from s3ish.auth.mismatch import is_customer_key
from s3ish.errors import AccessDenied, InvalidPolicyDocument

_UNCHECKED = frozenset(("awsaccesskeyid", "signature", "x-amz-signature", "policy", "file"))
"""Fields that no condition needs to name; nor those that begin with ``x-ignore-``."""
_MOST = 5 * 1024**3


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
    if now >= _moment(document.get("expiration")):
        raise AccessDenied("Invalid according to Policy: Policy expired.")
    conditions = document.get("conditions")
    if not isinstance(conditions, list):
        raise InvalidPolicyDocument("Invalid Policy: Conditions must be a list.")
    given = {**fields, "bucket": bucket}
    named: set[str] = set()
    sizes = Sizes()
    for condition in conditions:
        if isinstance(condition, list) and condition and str(condition[0]).lower() == "content-length-range":
            sizes = _sizes(condition)
            continue
        for operator, name, wanted in _simple(condition):
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
        document = json.loads(base64.b64decode("".join(text.split()), validate=True))
    except (ValueError, RecursionError) as error:
        raise InvalidPolicyDocument("Invalid Policy: Invalid JSON.") from error
    if not isinstance(document, dict):
        raise InvalidPolicyDocument("Invalid Policy: Invalid JSON.")
    return document


def _moment(text: Any) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise InvalidPolicyDocument("Invalid Policy: Invalid 'expiration' value.") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _sizes(condition: list[Any]) -> Sizes:
    try:
        _, least, most = condition
        sizes = Sizes(int(least), int(most))
    except (TypeError, ValueError) as error:
        raise InvalidPolicyDocument("Invalid Policy: Invalid content-length-range.") from error
    if not 0 <= sizes.least <= sizes.most:
        raise InvalidPolicyDocument("Invalid Policy: Invalid content-length-range.")
    return sizes


def _simple(condition: Any) -> list[tuple[str, str, str]]:
    """Return operator, field and wanted value of a condition. Raises InvalidPolicyDocument."""
    if isinstance(condition, dict) and condition:
        found = [("eq", name, wanted) for name, wanted in condition.items()]
    elif isinstance(condition, list) and len(condition) == 3 and str(condition[1]).startswith("$"):
        found = [(str(condition[0]).lower(), str(condition[1])[1:], condition[2])]
    else:
        raise InvalidPolicyDocument("Invalid Policy: Invalid Condition.")
    for operator, _, wanted in found:
        if operator not in ("eq", "starts-with") or not isinstance(wanted, str | int):
            raise InvalidPolicyDocument("Invalid Policy: Invalid Condition.")
    return [(operator, name.lower(), str(wanted)) for operator, name, wanted in found]


def _holds(operator: str, name: str, wanted: str, value: str) -> bool:
    if operator == "eq":
        return value == wanted
    if name == "content-type":  # a list of types, each of which must begin so
        return all(item.strip().startswith(wanted) for item in value.split(","))
    return value.startswith(wanted)
