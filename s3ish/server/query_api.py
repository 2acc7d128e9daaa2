"""The query protocol of AWS's older services: an action and its parameters in a form, answered in XML.

S3's own operations are never asked so. The service is the one that the signature's scope names.
https://docs.aws.amazon.com/STS/latest/APIReference/CommonParameters.html
"""

from collections.abc import Mapping
from typing import NamedTuple

from s3ish.auth.authenticator import Authenticator
from s3ish.auth.claims import service_of
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.principals import principal_of
from s3ish.auth.request import HttpRequest
from s3ish.auth.sessions import Sessions
from s3ish.errors import AccessDenied, InvalidAction, MissingAction, MissingAuthenticationToken, S3Error
from s3ish.identity.providers import Providers
from s3ish.identity.registry import Registry
from s3ish.server import sts, web_identity
from s3ish.server.answered import Answered
from s3ish.server.body import RequestBody
from s3ish.server.caller import refuse_session
from s3ish.server.document_room import DocumentRoom
from s3ish.server.iam import actions as iam
from s3ish.server.query_call import Action, Call
from s3ish.server.query_protocol import read_form, refusal, result
from s3ish.server.signers import refuse_stranger, signer_of
from s3ish.wire.shape import Written

_MAX_BYTES = 256 * 1024
_FORM = "application/x-www-form-urlencoded"


class _Service(NamedTuple):
    """What answers for a service."""

    namespace: str
    actions: Mapping[str, Action]


_SERVICES = {
    "sts": _Service(
        "https://sts.amazonaws.com/doc/2011-06-15/",
        {**sts.ACTIONS, web_identity.ACTION: web_identity.assume_role_with_web_identity},
    ),
    "iam": _Service("https://iam.amazonaws.com/doc/2010-05-08/", iam.ACTIONS),
}


def is_asked(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request that names no bucket speaks the query protocol."""
    return method == "POST" and headers.get("content-type", "").startswith(_FORM)


class QueryApi:
    """Answers calls.

    Args:
        authenticator: who a call is from.
        registry: the users.
        sessions: what issues temporary credentials.
        providers: who is behind a token of an identity provider.
    """

    def __init__(
        self, authenticator: Authenticator, registry: Registry, sessions: Sessions, providers: Providers
    ) -> None:
        self._authenticator, self._registry, self._sessions = authenticator, registry, sessions
        self._providers = providers
        self._room = DocumentRoom()

    async def answer(
        self, body: RequestBody, request: HttpRequest, circumstances: Circumstances, request_id: str
    ) -> Answered:
        """Answer a call; errors are answered in the protocol's own form."""
        named = service_of(request.headers.get("authorization", ""))
        found = named in _SERVICES
        name = named if found else "sts"
        service = _SERVICES[name]
        answered = Answered(Written(500, []))
        try:
            if found:
                await self._registry.keep_up()
                refuse_stranger(self._authenticator, request, name, circumstances.now)
            data = await body.document(_MAX_BYTES, needs_digest=False, room=self._room)
            await self._registry.keep_up()
            parameters = read_form(data)
            action = parameters.get("Action", "")
            user = None
            if found:
                user = signer_of(self._authenticator, request, data, name, circumstances.now)
                answered.principal = principal_of(user)
                self._registry.note_use(user)
            elif request.headers.get("authorization"):
                raise AccessDenied("Only STS and IAM are asked so; sign the request for sts or iam.")
            elif action != web_identity.ACTION:
                raise MissingAuthenticationToken
            if not action:
                raise MissingAction
            if action not in service.actions:
                raise InvalidAction(f"The action {action[:64]} is not valid for this web service.")
            answered.action = action
            if name == "iam" and user is not None:
                refuse_session(user)
            call = Call(
                principal=answered.principal,
                registry=self._registry,
                circumstances=circumstances,
                parameters=parameters,
                user=user,
                sessions=self._sessions,
                providers=self._providers,
            )
            told = await service.actions[action](call)
            answered.written = result(service.namespace, action, told, request_id)
        except S3Error as error:
            answered.error = error
            answered.written = refusal(service.namespace, error.status, error.code, error.message, request_id)
        return answered
