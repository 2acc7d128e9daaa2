"""What names, paths, ids, tags and documents may be.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

import re
from collections.abc import Callable, Sequence

from s3ish.auth.policy import Policy, read_policy
from s3ish.auth.policy_fit import check_new
from s3ish.errors import InvalidInput, LimitExceeded, MalformedPolicy, MalformedPolicyDocument, ValidationError
from s3ish.identity.records import Pairs

_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]+")
_PATH = re.compile(r"/|/[!-~]{0,510}/")
_ACCESS_KEY = re.compile(r"[A-Za-z0-9_.@+=-]{3,128}")
_SECRET_KEY = re.compile(r"[!-~]{8,128}")
_TAG = re.compile(r"(?:[\w.:/=+@-]|[^\S\x00-\x1f\x85])*")
_DESCRIPTION = re.compile(r"[\t\n\r -~\u00a1-\u00ff]{0,1000}")
_MOST_TAGS = 50
_SID = re.compile(r"[0-9A-Za-z]*")
_SPACE = re.compile(r"\s+")


def check_name(name: str, what: str, most: int = 64) -> str:
    """Return a name if it may be one. Raises ValidationError.

    Args:
        what: the field that gives it: ``userName``.
        most: the longest that it may be.
    """
    if not 1 <= len(name) <= most:
        raise ValidationError(_refusal(name, what, f"Member must have length from 1 to {most}"))
    if not _NAME.fullmatch(name):
        pattern = r"Member must satisfy regular expression pattern: [\w+=,.@-]+"
        raise ValidationError(_refusal(name, what, pattern))
    return name


def check_path(path: str, what: str = "path") -> str:
    """Return a path if it may stand before a name: it begins and ends with a slash. Raises ValidationError."""
    if not _PATH.fullmatch(path) or "//" in path:
        raise ValidationError(_refusal(path, what, "Member must begin and end with a slash"))
    return path


def check_access_key(access_key: str) -> str:
    """Return an access key that a caller chose, if it may be one. Raises InvalidInput."""
    if not _ACCESS_KEY.fullmatch(access_key) or access_key.startswith("ASIA"):
        raise InvalidInput(
            "An access key has 3 to 128 letters, digits and characters of _.@+=-, and no ASIA before it."
        )
    return access_key


def check_secret_key(secret_key: str) -> str:
    """Return a secret key that a caller chose, if it may be one. Raises InvalidInput."""
    if not _SECRET_KEY.fullmatch(secret_key):
        raise InvalidInput("A secret key has 8 to 128 printable ASCII characters without spaces.")
    return secret_key


def check_tags(tags: Sequence[tuple[str, str]]) -> Pairs:
    """Return tags if they may be some. Raises InvalidInput, LimitExceeded, ValidationError."""
    if len({key.lower() for key, _ in tags}) != len(tags):
        raise InvalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    for key, value in tags:
        if not (1 <= len(key) <= 128 and len(value) <= 256 and _TAG.fullmatch(key) and _TAG.fullmatch(value)):
            raise ValidationError(_refusal(key, "tags", "A key has 1 to 128 characters, a value at most 256"))
        if key.lower().startswith("aws:"):
            raise InvalidInput("Tag keys that start with 'aws:' are reserved.")
    if len(tags) > _MOST_TAGS:
        raise LimitExceeded(f"The number of tags has reached the maximum limit: {_MOST_TAGS}.")
    return tuple(tags)


def check_description(text: str) -> str:
    """Return the description of a role or policy if it may be one. Raises ValidationError."""
    if not _DESCRIPTION.fullmatch(text):
        raise ValidationError(_refusal(text, "description", "Member must have at most 1000 characters of Latin-1"))
    return text


def check_document(text: str, most: int, read: Callable[[str], Policy] = read_policy) -> str:
    """Return the text of a policy if it is one. Raises MalformedPolicyDocument, LimitExceeded.

    Args:
        most: how many characters it may have beside white space.
    """
    if length(text) > most:
        raise LimitExceeded(f"Maximum policy size of {most} bytes exceeded")
    try:
        policy = read(text)
        check_new(text)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(error.message) from error
    if not all(_SID.fullmatch(statement.sid) for statement in policy.statements):
        raise MalformedPolicyDocument(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*"
        )
    return text


def length(text: str) -> int:
    """Return how long a document counts: without its white space."""
    return len(_SPACE.sub("", text))


def _refusal(value: str, what: str, why: str) -> str:
    shown = "".join(c for c in value[:64] if c.isprintable())
    return f"1 validation error detected: Value '{shown}' at '{what}' failed to satisfy constraint: {why}"
