"""The query protocol of AWS's older services: an action and its parameters in a form, answered in XML.

S3's own operations are never asked so. The service is the one that the signature's scope names.
https://docs.aws.amazon.com/STS/latest/APIReference/CommonParameters.html
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from s3ish.auth.identify import Authenticator
from s3ish.auth.principals import principal_of
from s3ish.auth.request import HttpRequest
from s3ish.auth.sessions import Sessions
from s3ish.errors import AccessDenied, InvalidRequest, MissingAction, S3Error
from s3ish.server import sts
from s3ish.server.body import RequestBody
from s3ish.wire.shape import Written
from s3ish.wire.xml import DECLARATION, escape

_MAX_BYTES = 64 * 1024
_FORM = "application/x-www-form-urlencoded"
_SERVICE = re.compile(r"Credential=[^,]*/(sts)/aws4_request")


def is_asked(method: str, level: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request speaks the query protocol."""
    return method == "POST" and level == "service" and headers.get("content-type", "").startswith(_FORM)


async def answer(
    body: RequestBody, request: HttpRequest, authenticator: Authenticator, sessions: Sessions, now: datetime
) -> tuple[str, str, Written]:
    """Answer a request; errors are answered in the protocol's own form.

    Returns:
        The name of the action if it is known, the caller's access key, and the answer.
    """
    action, caller = "", ""
    try:
        data = await body.document(_MAX_BYTES, needs_digest=False)
        parameters = _parameters(data)
        asked_for = parameters.get("Action", "")
        signed = dict(request.headers) | {"x-amz-content-sha256": hashlib.sha256(data).hexdigest()}
        if not _SERVICE.search(request.headers.get("authorization", "")):
            raise AccessDenied("Only the Security Token Service is asked so; sign the request for sts.")
        asked = HttpRequest(
            request.method, request.raw_path, request.raw_query, signed, request.repeated, request.host_bucket, "sts"
        )
        user = authenticator.identify(asked, now).user
        if user is None:
            raise AccessDenied
        caller = user.access_key
        if asked_for not in sts.ACTIONS:
            raise MissingAction(f"The action {asked_for[:64]} is not valid for this web service.")
        action = asked_for
        result = sts.ACTIONS[action](sts.Asked(parameters, user, principal_of(user), sessions, now))
        return action, caller, _document(f"{action}Response", f"<{action}Result>{result}</{action}Result>")
    except S3Error as error:
        kind = "Sender" if error.status < 500 else "Receiver"
        content = f"<Type>{kind}</Type><Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
        written = _document("ErrorResponse", f"<Error>{content}</Error>")
        written.status = error.status
        return action, caller, written


def _parameters(data: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, strict_parsing=bool(data), max_num_fields=100)
    except ValueError as error:
        raise InvalidRequest("The body is not a form.") from error
    return dict(pairs)


def _document(root: str, content: str) -> Written:
    body = f'{DECLARATION}<{root} xmlns="{sts.NAMESPACE}">{content}</{root}>'.encode()
    return Written(200, [("content-type", "text/xml")], body)
