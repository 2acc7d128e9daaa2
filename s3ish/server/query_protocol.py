"""How AWS's older services are asked and answer: the fields of a form, an action among them, and XML.

https://docs.aws.amazon.com/STS/latest/APIReference/CommonParameters.html
"""

from urllib.parse import parse_qsl

from s3ish.errors import InvalidRequest
from s3ish.wire.shape import Written
from s3ish.wire.xml import DECLARATION, escape

_MAX_FIELDS = 500


def read_form(data: bytes) -> dict[str, str]:
    """Return the fields of a form. Raises InvalidRequest: it is none, or one is there twice."""
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, strict_parsing=bool(data), max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise InvalidRequest("The body is not a form.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidRequest("A parameter must not be repeated.")
    return fields


def element(name: str, value: str | bool | int) -> str:
    """Return an XML element that holds a value."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(text)}</{name}>"


def result(namespace: str, action: str, content: str | None, request_id: str) -> Written:
    """Return the answer to an action.

    Args:
        content: the XML of its result; None if it has none.
    """
    told = "" if content is None else f"<{action}Result>{content}</{action}Result>"
    metadata = f"<ResponseMetadata>{element('RequestId', request_id)}</ResponseMetadata>"
    return _document(200, namespace, f"{action}Response", told + metadata)


def refusal(namespace: str, status: int, code: str, message: str, request_id: str) -> Written:
    """Return the answer to a call that is refused."""
    kind = "Sender" if status < 500 else "Receiver"
    error = f"<Error>{element('Type', kind)}{element('Code', code)}{element('Message', message)}</Error>"
    return _document(status, namespace, "ErrorResponse", error + element("RequestId", request_id))


def _document(status: int, namespace: str, root: str, content: str) -> Written:
    body = f'{DECLARATION}<{root} xmlns="{namespace}">{content}</{root}>'.encode()
    return Written(status, [("content-type", "text/xml")], body)
