"""A second evaluator of policies, slow and plain: it reads the JSON anew for every question.

It shares no code with ``s3ish.auth``; the property tests hold the two against each other.
"""

import base64
import ipaddress
import json
import re
from datetime import UTC, datetime
from decimal import Decimal

ALLOW, DENY, NOTHING = "allow", "deny", "nothing"


def as_list(value):
    return value if isinstance(value, list) else [value]


def wild(pattern, text, ignore_case=False):
    """Match with ``*`` and ``?`` by recursion over the characters, with a memo."""
    if ignore_case:
        pattern, text = pattern.lower(), text.lower()
    reach = {0}
    for character in pattern:
        if character == "*":
            reach = set(range(min(reach), len(text) + 1)) if reach else set()
        elif character == "?":
            reach = {place + 1 for place in reach if place < len(text)}
        else:
            reach = {place + 1 for place in reach if place < len(text) and text[place] == character}
    return len(text) in reach


def fill(pattern, context):
    """Replace the variables of a pattern; their values' own wildcards stand for themselves (as private characters)."""
    missing = False

    def value(found):
        nonlocal missing
        name, _, default = found[1].partition(",")
        name, default = name.strip(), default.strip()
        if name in ("*", "?", "$"):
            text = name
        elif len(context.get(name.lower(), [])) == 1:
            text = context[name.lower()][0]
        elif len(default) >= 2 and default.startswith("'") and default.endswith("'"):
            text = default[1:-1]
        else:
            missing = True
            text = ""
        return text.replace("*", "\ue000").replace("?", "\ue001")

    filled = re.sub(r"\$\{([^{}]*)\}", value, pattern)
    return None if missing else filled


def matches(pattern, text, context, variables, wildcards=True, ignore_case=False):
    filled = fill(pattern, context) if variables else pattern
    if filled is None:
        return False
    text = text.replace("*", "\ue000").replace("?", "\ue001")
    if not wildcards:
        filled = filled.replace("*", "\ue000").replace("?", "\ue001")
    return wild(filled, text, ignore_case)


def moment(text):
    if text.isdigit() and len(text) != 4:
        return float(text)
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def compare(operator, wanted, given, context, variables):
    """Compare one value of the policy with one of the request; the operator has no ``Not`` in it."""
    try:
        if operator.startswith("String"):
            like, ignore = operator == "StringLike", operator == "StringEqualsIgnoreCase"
            return matches(wanted, given, context, variables, wildcards=like, ignore_case=ignore)
        if operator.startswith("Arn"):
            parts, own = wanted.split(":", 5), given.split(":", 5)
            return len(parts) == len(own) and all(
                matches(part, text, context, variables) for part, text in zip(parts, own, strict=True)
            )
        if operator == "Bool":
            return given.lower() in ("true", "false") and wanted.lower() == given.lower()
        if operator == "BinaryEquals":
            return base64.b64decode(wanted, validate=True) == base64.b64decode(given, validate=True)
        if operator == "IpAddress":
            address = ipaddress.ip_address(given)
            address = getattr(address, "ipv4_mapped", None) or address
            return address in ipaddress.ip_network(wanted, strict=False)
        read = Decimal if operator.startswith("Numeric") else moment
        left, right = read(given), read(wanted)
        name = operator.removeprefix("Numeric").removeprefix("Date")
        return {
            "Equals": left == right,
            "LessThan": left < right,
            "LessThanEquals": left <= right,
            "GreaterThan": left > right,
            "GreaterThanEquals": left >= right,
        }[name]
    except (ValueError, ArithmeticError):
        return False


def fulfilled(conditions, context, variables):
    for operator, keys in conditions.items():
        over, name = "", operator
        for prefix in ("ForAllValues:", "ForAnyValue:"):
            if name.startswith(prefix):
                over, name = prefix, name.removeprefix(prefix)
        optional = name.endswith("IfExists")
        name = name.removesuffix("IfExists")
        for key, wanted in keys.items():
            given = context.get(key.lower(), [])
            texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in as_list(wanted)]
            if name == "Null":
                outcomes = [(text.lower() == "true") == (not given) for text in texts]
                if not any(outcomes):
                    return False
                continue
            negated = "Not" in name
            plain = name.replace("Not", "")
            if not given:
                passes = over == "ForAllValues:" or optional if over else optional or negated
            else:
                each = [
                    any(compare(plain, text, value, context, variables) for text in texts) != negated for value in given
                ]
                passes = any(each) if over == "ForAnyValue:" else all(each)
            if not passes:
                return False
    return True


def names_principal(principals, caller):
    if principals == "*":
        return True
    for kind, names in principals.items():
        for name in as_list(names):
            if kind == "AWS" and name == "*":
                return True
            if kind == "AWS" and caller["arn"] and name == caller["arn"]:
                return True
            if kind == "CanonicalUser" and caller["arn"] and name == caller["canonical"]:
                return True
    return False


def ask(text, caller, action, resource, context):
    """Return what a bucket's policy says of a request, and the Sid of the statement that says it."""
    document = json.loads(text)
    variables = document.get("Version") == "2012-10-17"
    outcome = (NOTHING, "")
    for statement in as_list(document["Statement"]):
        for field, value, ignore in (("Action", action, True), ("Resource", resource, False)):
            positive = field in statement
            patterns = as_list(statement[field] if positive else statement[f"Not{field}"])
            if field == "Action":
                found = any(wild(pattern, value, ignore) for pattern in patterns)
            else:
                found = any(matches(pattern, value, context, variables) for pattern in patterns)
            if found != positive:
                break
        else:
            positive = "Principal" in statement
            principals = statement["Principal"] if positive else statement["NotPrincipal"]
            if names_principal(principals, caller) == positive and fulfilled(
                statement.get("Condition", {}), context, variables
            ):
                if statement["Effect"] == "Deny":
                    return DENY, statement.get("Sid", "")
                if outcome[0] == NOTHING:
                    outcome = (ALLOW, statement.get("Sid", ""))
    return outcome
