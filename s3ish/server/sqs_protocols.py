"""The two protocols in which queues are asked: JSON, and a form answered in XML, as clients before 2023 do it.

Both carry the same parameters and answers. In a form a list or a mapping is numbered and named after one of its items:
``AttributeNames`` is ``AttributeName.1``, ``Attributes`` is ``Attribute.1.Name`` and ``Attribute.1.Value``.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-xml.html
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from s3ish.auth.claims import service_of
from s3ish.auth.request import HttpRequest
from s3ish.errors import InvalidAction, MissingAction
from s3ish.model import ACCOUNT
from s3ish.objects.queues import QueueError, unsupported
from s3ish.server.query_protocol import element, read_form, refusal, result
from s3ish.server.sqs_actions import Told
from s3ish.wire.shape import Written
from s3ish.wire.xml import escape

_TARGET = re.compile(r"AmazonSQS\.([A-Za-z]{1,64})")
_JSON = "application/x-amz-json-1.0"
_NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"
_COMMON = frozenset(("Action", "Version", "Timestamp", "Expires"))
_ITEM = re.compile(
    r"([A-Za-z]{0,80}(?:Attribute|AttributeName|RequestEntry))(?:\.([0-9]{1,3}))?(?:\.([A-Za-z]{1,80}))?"
)
"""A field of an item: its name, its number (the first where there is none), and what of it."""
_LISTS = frozenset(("Entries", "AttributeNames", "MessageAttributeNames", "MessageSystemAttributeNames"))
"""How botocore calls a list that has no items."""


def is_asked(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request is about queues: it says so, or is signed for them."""
    if method == "POST" and _names_target(headers):
        return True
    authorization = headers.get("authorization", "") if method in ("GET", "POST") else ""
    return "/sqs/" in authorization and service_of(authorization) == "sqs"  # to read the scope costs much more


def _names_target(headers: Mapping[str, str]) -> bool:
    return headers.get("x-amz-target", "").startswith("AmazonSQS.")


class JsonProtocol:
    """An action in a header, its parameters in JSON."""

    strict = True
    """Whether a number must be one."""

    def __init__(self, request: HttpRequest, request_id: str) -> None:
        self._request, self._request_id, self._data = request, request_id, b""

    def action(self, data: bytes) -> str:
        """Return which action a request asks for, given its body. Raises QueueError: none that there could be."""
        self._data = data
        found = _TARGET.fullmatch(self._request.headers["x-amz-target"])
        if not found:
            raise self.unknown("")
        return found[1]

    def unknown(self, action: str) -> Exception:  # noqa: ARG002 - the other protocol names it
        """Return the error for an action that there is not."""
        return unsupported("The operation is not built.")

    def parameters(self) -> Any:
        """Return the parameters of an action as JSON has them. Raises QueueError."""
        try:
            return msgspec.json.decode(self._data or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise QueueError("SerializationException", "The body is not JSON.") from error

    def answer(self, action: str, told: Told) -> Written:  # noqa: ARG002 - as above
        """Return the answer to an action."""
        return self._written(200, told or {})

    def refuse(self, status: int, name: str, message: str, older: str) -> Written:
        """Return the answer to a call that is refused: the name of the error, and what the older protocol calls it."""
        written = self._written(status, {"__type": f"com.amazonaws.sqs#{name}", "message": message})
        written.headers.append(("x-amzn-query-error", f"{older};{'Sender' if status < 500 else 'Receiver'}"))
        return written

    def _written(self, status: int, told: Mapping[str, Any]) -> Written:
        headers = [("content-type", _JSON), ("x-amzn-requestid", self._request_id)]
        return Written(status, headers, msgspec.json.encode(told))


class FormProtocol:
    """An action and its parameters in a form, or in the query of a GET; the methods of ``JsonProtocol``."""

    strict = False

    def __init__(self, request: HttpRequest, request_id: str) -> None:
        self._request, self._request_id = request, request_id
        self._action, self._fields = "", dict[str, str]()

    def action(self, data: bytes) -> str:
        """See ``JsonProtocol``. Raises InvalidRequest, MissingAction."""
        fields = read_form(data if self._request.method == "POST" else self._request.raw_query.encode())
        if not fields.get("Action"):
            raise MissingAction
        self._action = fields["Action"]
        self._fields = {name: value for name, value in fields.items() if name not in _COMMON}
        return self._action

    def unknown(self, action: str) -> Exception:
        """See ``JsonProtocol``."""
        return InvalidAction(f"The action {action[:64]} is not valid for this endpoint.")

    def parameters(self) -> Any:
        """See ``JsonProtocol``. The path may be that of a queue, which then need not be named again."""
        told = _nested(self._action, self._fields)
        place = "/".join(self._request.raw_path.split("/")[-2:])
        return {"QueueUrl": f"/{place}"} | told if place.startswith(f"{ACCOUNT}/") else told

    def answer(self, action: str, told: Told) -> Written:
        """See ``JsonProtocol``."""
        content = None if told is None else _elements(action, told)
        return result(_NAMESPACE, action, content, self._request_id)

    def refuse(self, status: int, name: str, message: str, older: str) -> Written:  # noqa: ARG002 - as above
        """See ``JsonProtocol``."""
        return refusal(_NAMESPACE, status, older, message, self._request_id)


Protocol = JsonProtocol | FormProtocol


def protocol_of(request: HttpRequest, request_id: str) -> Protocol:
    """Return the protocol that a request speaks."""
    kind = JsonProtocol if _names_target(request.headers) else FormProtocol
    return kind(request, request_id)


def _nested(action: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a form as JSON would have them."""
    told: dict[str, Any] = {}
    items: dict[str, dict[int, dict[str, str]]] = {}
    for name, value in fields.items():
        found = _ITEM.fullmatch(name)
        if name in _LISTS and not value:
            told[name] = []
        elif found:
            items.setdefault(found[1], {}).setdefault(int(found[2] or 1), {})[found[3] or ""] = value
        else:
            told[name] = value
    for item, numbered in items.items():
        name = "Entries" if item == f"{action}RequestEntry" else f"{item}s"
        told[name] = _collected([numbered[number] for number in sorted(numbered)])
    return told


def _collected(items: Sequence[dict[str, str]]) -> Any:
    """Return the texts, the mapping or the objects that numbered items are."""
    if all(item.keys() == {""} for item in items):
        return [item[""] for item in items]
    if all(item.keys() == {"Name", "Value"} for item in items):
        return {item["Name"]: item["Value"] for item in items}
    return items


def _elements(action: str, told: Mapping[str, Any]) -> str:
    """Return in XML what is told in answer to an action."""
    named = {"Successful": f"{action}ResultEntry", "Failed": "BatchResultErrorEntry"}
    text = ""
    for name, value in told.items():
        item = named.get(name, name.removesuffix("s"))
        if isinstance(value, dict):
            pairs = (element("Name", key) + element("Value", each) for key, each in value.items())
            text += "".join(f"<{item}>{pair}</{item}>" for pair in pairs)
        elif isinstance(value, list):
            shown = (escape(each) if isinstance(each, str) else _elements(action, each) for each in value)
            text += "".join(f"<{item}>{each}</{item}>" for each in shown)
        else:
            text += element(name, value)
    return text
