"""The Simple Queue Service: who calls, which action, and what comes of it."""

from msgspec import Struct

from s3ish.auth.authenticator import Authenticator
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.principals import ANONYMOUS, Principal, principal_of
from s3ish.auth.request import HttpRequest
from s3ish.errors import S3Error
from s3ish.identity.registry import Registry
from s3ish.objects.queues import QueueError, Queues
from s3ish.server.body import RequestBody
from s3ish.server.document_room import DocumentRoom
from s3ish.server.signers import refuse_stranger, signer_of
from s3ish.server.sqs_actions import ACTIONS, Call
from s3ish.server.sqs_protocols import protocol_of
from s3ish.wire.shape import Written

_MAX_BYTES = 12 * 1024 * 1024
"""A batch of ten of the longest messages, which JSON may make longer."""


class Answered(Struct):
    """What became of a call: its action, as far as it is known, who made it, the error's code, and the answer."""

    written: Written
    action: str = ""
    principal: Principal = ANONYMOUS
    code: str = ""
    reason: str = ""


class QueueApi:
    """Answers calls.

    Args:
        authenticator: who a call is from.
        registry: the users; None if there are none in the store.
        queues: what the calls are about.
    """

    def __init__(self, authenticator: Authenticator, registry: Registry | None, queues: Queues) -> None:
        self._authenticator, self._registry, self._queues = authenticator, registry, queues
        self._room = DocumentRoom()

    async def answer(
        self, body: RequestBody, request: HttpRequest, circumstances: Circumstances, base: str, request_id: str
    ) -> Answered:
        """Answer a call; errors are answered in the protocol's own form.

        Args:
            base: the address of the server, as the client wrote it.
        """
        answered = Answered(Written(500, []))
        protocol = protocol_of(request, request_id)
        try:
            await self._keep_up()
            refuse_stranger(self._authenticator, request, "sqs", circumstances.now)
            data = await body.document(_MAX_BYTES, needs_digest=False, room=self._room)
            await self._keep_up()
            user = signer_of(self._authenticator, request, data, "sqs", circumstances.now)
            answered.principal = principal_of(user)
            if self._registry:
                self._registry.note_use(user)
            name = protocol.action(data)
            action = ACTIONS.get(name)
            if action is None:
                raise protocol.unknown(name)
            answered.action = name
            call = Call(self._queues, answered.principal, circumstances, base)
            told = await action.carry_out(call, name, protocol.parameters(), strict=protocol.strict)
            answered.written = protocol.answer(name, told)
        except QueueError as error:
            answered.code = error.name
            answered.written = protocol.refuse(error.status, error.name, error.message, error.older)
        except S3Error as error:
            answered.code, answered.reason = error.code, error.reason
            answered.written = protocol.refuse(error.status, error.code, error.message, error.code)
        return answered

    async def _keep_up(self) -> None:
        if self._registry:
            await self._registry.keep_up()
