"""The Security Token Service: who am I, and temporary credentials.

A session has the rights of who asked for it, less what a policy of the session does not allow. Roles are names.
https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from s3ish.auth.credentials import User
from s3ish.auth.policy import read_policy
from s3ish.auth.principals import ACCOUNT, Principal
from s3ish.auth.sessions import LEAST_SECONDS, MOST_SECONDS, Session, Sessions, Temporary
from s3ish.errors import AccessDenied, MalformedPolicy, MalformedPolicyDocument, ValidationError
from s3ish.wire.xml import escape

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/(?:[\w+=,.@/-]+/)?([\w+=,.@-]{1,64})")
_NAME = re.compile(r"[\w+=,.@-]{2,64}")
_MAX_POLICY = 2048


class Asked(Struct, frozen=True):
    """One call: its parameters, who makes it, and when."""

    parameters: Mapping[str, str]
    user: User
    principal: Principal
    sessions: Sessions
    now: datetime


def _get_caller_identity(asked: Asked) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html"""
    user_id = asked.principal.id or asked.principal.owner.id
    return f"<Arn>{escape(asked.principal.arn)}</Arn><UserId>{escape(user_id)}</UserId><Account>{ACCOUNT}</Account>"


def _get_session_token(asked: Asked) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html"""
    if asked.user.access_key.startswith("ASIA"):
        raise AccessDenied("Cannot call GetSessionToken with session credentials")
    seconds = _seconds(asked.parameters, 43_200)
    return _credentials(_issue(asked, seconds))


def _assume_role(asked: Asked) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""
    role = _ROLE.fullmatch(asked.parameters.get("RoleArn", ""))
    name = asked.parameters.get("RoleSessionName", "")
    if role is None:
        raise ValidationError("RoleArn must be the ARN of a role: arn:aws:iam::000000000000:role/NAME")
    if not _NAME.fullmatch(name):
        raise ValidationError("RoleSessionName must have 2 to 64 letters, digits and characters of +=,.@-_")
    if asked.user.access_key.startswith("ASIA") and asked.user.session is not None:
        raise AccessDenied("A session whose rights are narrowed cannot give them to another session")
    policy = asked.parameters.get("Policy", "")
    if len(policy) > _MAX_POLICY:
        raise ValidationError(f"Policy must have at most {_MAX_POLICY} characters")
    if policy:
        try:
            read_policy(policy)
        except MalformedPolicy as error:
            raise MalformedPolicyDocument(error.message) from error
    made = _issue(asked, _seconds(asked.parameters, 3600), role=role[1], name=name, policy=policy)
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role[1]}/{name}"
    who = f"<AssumedRoleUser><AssumedRoleId>{role[1]}:{name}</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>"
    return _credentials(made) + who


ACTIONS: dict[str, Callable[[Asked], str]] = {
    "AssumeRole": _assume_role,
    "GetCallerIdentity": _get_caller_identity,
    "GetSessionToken": _get_session_token,
}


def _seconds(parameters: Mapping[str, str], default: int) -> int:
    text = parameters.get("DurationSeconds", str(default))
    if not (text.isascii() and text.isdigit()) or not LEAST_SECONDS <= int(text[:9]) <= MOST_SECONDS:
        raise ValidationError(f"DurationSeconds must be from {LEAST_SECONDS} to {MOST_SECONDS}")
    return int(text)


def _issue(asked: Asked, seconds: int, *, role: str = "", name: str = "", policy: str = "") -> Temporary:
    session = Session(
        access_key=asked.sessions.new_key(),
        parent=asked.user.parent or asked.user.access_key,
        ends=int(asked.now.timestamp()) + seconds,
        role=role,
        name=name,
        policy=policy,
    )
    return asked.sessions.issue(session)


def _credentials(made: Temporary) -> str:
    return (
        f"<Credentials><AccessKeyId>{made.access_key}</AccessKeyId><SecretAccessKey>{made.secret_key}</SecretAccessKey>"
        f"<SessionToken>{made.token}</SessionToken><Expiration>{made.ends:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
    )
