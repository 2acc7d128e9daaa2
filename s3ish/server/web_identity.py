"""Temporary credentials for who signs in at an identity provider.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

from msgspec.structs import replace

from s3ish.auth.evaluator import Denied, decide_assuming
from s3ish.auth.policy import read_trust_policy
from s3ish.auth.principals import Principal
from s3ish.auth.sessions import Session
from s3ish.auth.web_identity import MOST_CHARACTERS, Claims, Provider
from s3ish.errors import AccessDenied
from s3ish.identity.records import RoleRecord, arn
from s3ish.model import Owner
from s3ish.server import sts
from s3ish.server.passed_on import PassedOn, passed_by_token
from s3ish.server.query_call import Call, optional_element
from s3ish.server.query_protocol import element
from s3ish.server.session_policy import session_policy_of

ACTION = "AssumeRoleWithWebIdentity"


async def assume_role_with_web_identity(call: Call) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html"""
    name, given = sts.role_of(call), call.text("RoleArn")
    session_name = sts.session_name_of(call)
    call.refuse("ProviderId")
    provider, claims = await call.providers.open(call.text("WebIdentityToken", most=MOST_CHARACTERS))
    role = call.registry.directory.named(RoleRecord, name)
    if role is None or role.arn != given:
        raise AccessDenied(f"Not authorized to perform sts:{ACTION}")
    given_on = passed_by_token(claims)
    _check_trust(call, role, provider, claims, given_on)
    seconds, policy = sts.role_seconds(call, role.most_seconds), session_policy_of(call)
    session = Session(
        access_key=call.sessions.new_key(),
        parent="",
        ends=int(call.now.timestamp()) + seconds,
        role=role.name,
        name=session_name,
        policy=policy,
        role_id=role.id,
        issued=int(call.now.timestamp()),
        tags=given_on.tags,
        transitive=given_on.transitive,
        identity=given_on.identity,
        provider=arn("oidc-provider", provider.name),
    )
    who = (
        element("SubjectFromWebIdentityToken", claims.subject)
        + element("Audience", claims.audience)
        + element("Provider", session.provider)
        + optional_element("SourceIdentity", given_on.identity)
    )
    return sts.credentials(call.sessions.issue(session)) + sts.assumed(role.name, session_name, role.id) + who


def _check_trust(call: Call, role: RoleRecord, provider: Provider, claims: Claims, given_on: PassedOn) -> None:
    """Check that the role trusts who the token is of, and takes what it passes on. Raises AccessDenied."""
    key = provider.name.lower()
    said = [(f"{key}:sub", claims.subject), (f"{key}:aud", claims.audience)]
    said += [(f"{key}:amr", method) for method in claims.methods]
    said.append(("sts:rolesessionname", call.parameters["RoleSessionName"]))
    names = (arn("oidc-provider", provider.name), provider.name)
    principal = Principal("federated", Owner("federated"), claims.subject, names=names)
    circumstances = replace(call.circumstances, further=(*said, *given_on.keys))
    trust = read_trust_policy(role.trust)
    for action in (f"sts:{ACTION}", *given_on.actions):
        decision = decide_assuming(principal, trust, role.arn, circumstances, action)
        if isinstance(decision, Denied):
            error = AccessDenied(f"Not authorized to perform {action}")
            error.reason = decision.by
            raise error
