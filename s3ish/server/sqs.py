"""The JSON protocol of the Simple Queue Service: an action in a header, its parameters in JSON.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.identify import Authenticator
from s3ish.auth.principals import ANONYMOUS, Principal, principal_of
from s3ish.auth.request import HttpRequest
from s3ish.errors import AccessDenied, S3Error
from s3ish.identity.registry import Registry
from s3ish.objects.queues import QueueError, Queues
from s3ish.server.body import RequestBody
from s3ish.server.sqs_actions import ACTIONS, Call
from s3ish.wire.shape import Written

_MAX_BYTES = 12 * 1024 * 1024
"""A batch of ten of the longest messages, which JSON may make longer."""
_TARGET = re.compile(r"AmazonSQS\.([A-Za-z]{1,64})")
_TYPE = "application/x-amz-json-1.0"


class Answered(Struct):
    """What became of a call: its action, as far as it is known, who made it, the error's code, and the answer."""

    written: Written
    action: str = ""
    principal: Principal = ANONYMOUS
    code: str = ""
    reason: str = ""


def is_asked(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request speaks this protocol."""
    return method == "POST" and headers.get("x-amz-target", "").startswith("AmazonSQS.")


class QueueApi:
    """Answers calls.

    Args:
        authenticator: who a call is from.
        registry: the users; None if there are none in the store.
        queues: what the calls are about.
    """

    def __init__(self, authenticator: Authenticator, registry: Registry | None, queues: Queues) -> None:
        self._authenticator, self._registry, self._queues = authenticator, registry, queues

    async def answer(
        self, body: RequestBody, request: HttpRequest, circumstances: Circumstances, base: str
    ) -> Answered:
        """Answer a call; errors are answered in the protocol's own form.

        Args:
            base: the address of the server, as the client wrote it.
        """
        answered = Answered(Written(500, []))
        try:
            data = await body.document(_MAX_BYTES, needs_digest=False)
            signed = {**request.headers, "x-amz-content-sha256": hashlib.sha256(data).hexdigest()}
            user = self._authenticator.identify(replace(request, headers=signed, service="sqs"), circumstances.now).user
            if user is None:
                raise AccessDenied
            answered.principal = principal_of(user)
            if self._registry:
                self._registry.note_use(user)
            found = _TARGET.fullmatch(request.headers["x-amz-target"])
            action = ACTIONS.get(found[1]) if found else None
            if found is None or action is None:
                older = "AWS.SimpleQueueService.UnsupportedOperation"
                raise QueueError("UnsupportedOperation", "The operation is not built.", older=older)
            answered.action = found[1]
            call = Call(self._queues, answered.principal, circumstances, base)
            told = await action.carry_out(call, found[1], data)
            answered.written = _written(200, told or {})
        except QueueError as error:
            answered.code = error.name
            answered.written = _refusal(400, error.name, error.message, error.older)
        except S3Error as error:
            answered.code, answered.reason = error.code, error.reason
            answered.written = _refusal(error.status, error.code, error.message, error.code)
        return answered


def _refusal(status: int, name: str, message: str, older: str) -> Written:
    written = _written(status, {"__type": f"com.amazonaws.sqs#{name}", "message": message})
    written.headers.append(("x-amzn-query-error", f"{older};{'Sender' if status < 500 else 'Receiver'}"))
    return written


def _written(status: int, told: Mapping[str, Any]) -> Written:
    return Written(status, [("content-type", _TYPE)], msgspec.json.encode(told))
