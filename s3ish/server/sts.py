"""The Security Token Service: who am I, and temporary credentials.

A session has the rights of who asked for it, or of a role that may be assumed, less what a policy of the session does
not allow. A role that is not kept is a name only: the session keeps the rights of who asked.
https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html
"""

import re

from msgspec.structs import replace

from s3ish.auth.evaluator import Denied, decide_assuming, decide_beside
from s3ish.auth.policy import read_trust_policy
from s3ish.auth.sessions import LEAST_SECONDS, MOST_SECONDS, Session, Temporary
from s3ish.errors import AccessDenied, ValidationError
from s3ish.identity.names import check_tags
from s3ish.identity.records import RoleRecord
from s3ish.model import ACCOUNT
from s3ish.server.passed_on import PassedOn, passed_on
from s3ish.server.query_call import Action, Call, optional_element
from s3ish.server.query_protocol import element
from s3ish.server.session_policy import session_policy_of

_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/(?:[\w+=,.@/-]+/)?([\w+=,.@-]{1,64})", re.ASCII)
_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_FEDERATED = re.compile(r"[\w+=,.@-]{2,32}", re.ASCII)
_NO_RIGHTS = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"none:None","Resource":"*"}}'
"""The policy of a federated user who was given none: a bucket's policy may still name the user."""
_HOUR, _MOST_OF_USER = 3600, 129_600
_NOTHING = PassedOn()
_SECOND_FACTOR = ("SerialNumber", "TokenCode")


async def _get_caller_identity(call: Call) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html"""
    return element("Arn", call.principal.arn) + element("UserId", call.principal.user_id) + element("Account", ACCOUNT)


async def _get_session_token(call: Call) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html"""
    assert call.user is not None
    call.refuse(*_SECOND_FACTOR)
    if call.user.parent or call.user.role:
        raise AccessDenied("Cannot call GetSessionToken with session credentials")
    seconds = call.number("DurationSeconds", 43_200, LEAST_SECONDS, _MOST_OF_USER)
    return credentials(_issue(call, min(seconds, _HOUR) if call.user.root else seconds))


async def _assume_role(call: Call) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""
    assert call.user is not None
    name, given = role_of(call), call.text("RoleArn")
    call.refuse("ProvidedContexts", *_SECOND_FACTOR)
    given_on = passed_on(call)
    session_name = session_name_of(call)
    if call.user.session is not None:
        raise AccessDenied("A session whose rights are narrowed cannot give them to another session")
    kept = call.registry.directory.named(RoleRecord, name)
    if kept is not None and kept.arn == given:
        _check_trust(call, kept, given_on)
        seconds = role_seconds(call, kept.most_seconds)
        role_id = kept.id
    else:
        if call.principal.kind == "session":  # it would get back the rights of whom the session is of
            raise AccessDenied(_not_authorized(call, given))
        if not call.principal.is_root:  # no role says that it may, and policies ask for tags
            for action in given_on.actions:
                raise AccessDenied(_not_authorized(call, given, action))
        seconds, role_id = role_seconds(call, MOST_SECONDS), ""
    policy = session_policy_of(call)  # not before: it tells which managed policies there are
    made = _issue(call, seconds, given_on, role=name, name=session_name, policy=policy, role_id=role_id)
    identity = optional_element("SourceIdentity", given_on.identity)
    return credentials(made) + assumed(name, session_name, role_id) + identity


async def _get_federation_token(call: Call) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html"""
    assert call.user is not None
    name, tags = call.text("Name", most=32), check_tags(call.tags())
    if not _FEDERATED.fullmatch(name):
        raise ValidationError("Name must have 2 to 32 letters, digits and characters of +=,.@-_")
    if call.user.parent or call.user.role:
        raise AccessDenied("Cannot call GetFederationToken with session credentials")
    given_on = PassedOn(tags)
    arn = f"arn:aws:sts::{ACCOUNT}:federated-user/{name}"
    for action in ("sts:GetFederationToken", *given_on.actions):
        _check_own(call, action, arn, given_on)
    seconds = call.number("DurationSeconds", 43_200, LEAST_SECONDS, _MOST_OF_USER)
    policy = session_policy_of(call) or _NO_RIGHTS
    made = _issue(
        call, min(seconds, _HOUR) if call.user.root else seconds, given_on, name=name, policy=policy, federated=True
    )
    who = element("FederatedUserId", f"{ACCOUNT}:{name}") + element("Arn", arn)
    return credentials(made) + f"<FederatedUser>{who}</FederatedUser>"


def _check_own(call: Call, action: str, arn: str, given_on: PassedOn) -> None:
    """Check that a user of the account has a right by its own policies. Raises AccessDenied."""
    if not call.principal.is_of_account:
        return
    circumstances = replace(call.circumstances, further=given_on.keys)
    decision = decide_beside(call.principal, action, arn, circumstances)
    if isinstance(decision, Denied):
        error = AccessDenied(_not_authorized(call, arn, action))
        error.reason = decision.by
        raise error


async def _get_access_key_info(call: Call) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_GetAccessKeyInfo.html"""
    access_key = call.text("AccessKeyId", most=128)
    call.require("sts:GetAccessKeyInfo", "*")
    if not access_key.startswith("ASIA") and not call.registry.directory.has_key(access_key):
        raise ValidationError("The access key is of no account that is known here.")
    return element("Account", ACCOUNT)


ACTIONS: dict[str, Action] = {
    "AssumeRole": _assume_role,
    "GetAccessKeyInfo": _get_access_key_info,
    "GetCallerIdentity": _get_caller_identity,
    "GetFederationToken": _get_federation_token,
    "GetSessionToken": _get_session_token,
}


def role_of(call: Call) -> str:
    """Return the name of the role that a call asks for. Raises ValidationError."""
    role = _ROLE.fullmatch(call.parameters.get("RoleArn", ""))
    if role is None:
        raise ValidationError("RoleArn must be the ARN of a role: arn:aws:iam::000000000000:role/NAME")
    return role[1]


def session_name_of(call: Call) -> str:
    """Return what a call wants its session to be called. Raises ValidationError."""
    name = call.parameters.get("RoleSessionName", "")
    if not _NAME.fullmatch(name):
        raise ValidationError("RoleSessionName must have 2 to 64 letters, digits and characters of +=,.@-_")
    return name


def assumed(role: str, session_name: str, role_id: str) -> str:
    """Return who the session is, as answers show it."""
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session_name}"
    who = element("AssumedRoleId", f"{role_id or role}:{session_name}") + element("Arn", arn)
    return f"<AssumedRoleUser>{who}</AssumedRoleUser>"


def _check_trust(call: Call, role: RoleRecord, given_on: PassedOn) -> None:
    """Check that the caller may assume a role, and pass on what it wants to. Raises AccessDenied."""
    external = (("sts:externalid", call.parameters["ExternalId"]),) if "ExternalId" in call.parameters else ()
    named = (("sts:rolesessionname", call.parameters["RoleSessionName"]),)
    circumstances = replace(call.circumstances, further=external + named + given_on.keys + call.tags_of(role.arn))
    trust = read_trust_policy(role.trust)
    for action in ("sts:AssumeRole", *given_on.actions):
        decision = decide_assuming(call.principal, trust, role.arn, circumstances, action)
        if isinstance(decision, Denied):
            error = AccessDenied(_not_authorized(call, role.arn, action))
            error.reason = decision.by
            raise error


def _not_authorized(call: Call, arn: str, action: str = "sts:AssumeRole") -> str:
    return f"User: {call.principal.arn} is not authorized to perform: {action} on resource: {arn}"


def role_seconds(call: Call, most: int) -> int:
    """Return how long a session in a role is to last.

    Args:
        most: how long one may, as the role says.

    Raises:
        ValidationError: it asks for more, or has itself been asked for by a session in a role and asks for more than
            an hour.
    """
    seconds = call.number("DurationSeconds", min(_HOUR, most), LEAST_SECONDS, MOST_SECONDS)
    if seconds > most:
        raise ValidationError("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    if seconds > _HOUR and call.user and call.user.role:
        raise ValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    return seconds


def _issue(
    call: Call,
    seconds: int,
    given_on: PassedOn = _NOTHING,
    *,
    role: str = "",
    name: str = "",
    policy: str = "",
    role_id: str = "",
    federated: bool = False,
) -> Temporary:
    assert call.user is not None
    session = Session(
        access_key=call.sessions.new_key(),
        parent=call.user.parent if call.user.role else call.user.parent or call.user.access_key,
        ends=int(call.now.timestamp()) + seconds,
        role=role,
        name=name,
        policy=policy,
        role_id=role_id,
        stamp=call.user.stamp,
        issued=int(call.now.timestamp()),
        tags=given_on.tags,
        transitive=given_on.transitive,
        identity=given_on.identity,
        federated=federated,
    )
    return call.sessions.issue(session)


def credentials(made: Temporary) -> str:
    """Return temporary credentials, as answers show them."""
    return (
        f"<Credentials><AccessKeyId>{made.access_key}</AccessKeyId><SecretAccessKey>{made.secret_key}</SecretAccessKey>"
        f"<SessionToken>{made.token}</SessionToken><Expiration>{made.ends:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
    )
