"""The actions of the Simple Queue Service: what each takes, and what it does.

A parameter that is not named here is refused, so that nothing is asked for in vain.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.evaluator import Denied, decide_beside
from s3ish.auth.principals import Principal
from s3ish.errors import AccessDenied, S3Error
from s3ish.model import ACCOUNT
from s3ish.objects.queues import NUMBERS, TEXTS, Queue, QueueError, Queues, Received
from s3ish.targets.message import message_of

E = TypeVar("E", bound="Entry")

MOST_IN_BATCH = 10
MOST_BATCH_BYTES = 1_048_576
_PAGE = 1000
_URL = re.compile(rf"(?:https?://[^/]+(?:/[^/]+)*)?/{ACCOUNT}/([A-Za-z0-9_-]{{1,80}})/?")
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_REFUSED_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COUNTED = "ApproximateNumberOfMessages"
_MADE = ("CreatedTimestamp", "LastModifiedTimestamp", "QueueArn")
_SECOND_NS = 1_000_000_000
_OLDER = "AWS.SimpleQueueService."
Seconds = Annotated[int, Meta(ge=0, le=43_200)]
Told = dict[str, Any] | None


class Call(NamedTuple):
    """One call: the queues, who calls, under which circumstances, and the address of the server."""

    queues: Queues
    principal: Principal
    circumstances: Circumstances
    base: str

    def url(self, name: str) -> str:
        """Return the address of a queue."""
        return f"{self.base}/{ACCOUNT}/{name}"

    def require(self, action: str, name: str) -> None:
        """Check that the caller may do something with a queue, or with all: ``*``. Raises AccessDenied."""
        resource = name if name == "*" else self.queues.arn(name)
        decision = decide_beside(self.principal, f"sqs:{action.removesuffix('Batch')}", resource, self.circumstances)
        if isinstance(decision, Denied):
            raise AccessDenied.because(decision.by)


class Parameters(Struct, rename="pascal", forbid_unknown_fields=True):
    """What an action takes; ``queue`` is the name of the queue that it is about."""

    @property
    def queue(self) -> str:
        """The name of the queue, or ``*`` for none. Raises QueueError."""
        return "*"


class Entry(Parameters):
    """One of the entries of a batch."""

    id: str

    @property
    def message_bytes(self) -> int:
        """How long the message is that it sends."""
        return 0


class CreateQueue(Parameters):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html"""

    queue_name: str
    attributes: dict[str, str] = {}

    @property
    def queue(self) -> str:
        """See ``Parameters``."""
        return self.queue_name


async def _create_queue(call: Call, given: CreateQueue) -> Told:
    await call.queues.create(given.queue_name, given.attributes)
    return {"QueueUrl": call.url(given.queue_name)}


class GetQueueUrl(Parameters):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html"""

    queue_name: str
    account: str = msgspec.field(name="QueueOwnerAWSAccountId", default=ACCOUNT)

    @property
    def queue(self) -> str:
        """See ``Parameters``."""
        return self.queue_name


async def _get_queue_url(call: Call, given: GetQueueUrl) -> Told:
    name = given.queue_name if given.account == ACCOUNT else ""
    return {"QueueUrl": call.url((await call.queues.get(name)).name)}


class ListQueues(Parameters):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html"""

    queue_name_prefix: str = ""
    next_token: str = ""
    max_results: Annotated[int, Meta(ge=1, le=_PAGE)] = _PAGE


async def _list_queues(call: Call, given: ListQueues) -> Told:
    names = [queue.name for queue in await call.queues.list(given.queue_name_prefix)]
    later = [name for name in names if name > given.next_token]
    page = later[: given.max_results]
    told: dict[str, Any] = {"QueueUrls": [call.url(name) for name in page]}
    return told | {"NextToken": page[-1]} if len(later) > len(page) else told


class OfQueue(Parameters):
    """What takes the address of a queue alone."""

    queue_url: str

    @property
    def queue(self) -> str:
        """See ``Parameters``."""
        return _name(self.queue_url)


async def _delete_queue(call: Call, given: OfQueue) -> Told:
    await call.queues.delete(given.queue)
    return None


async def _purge_queue(call: Call, given: OfQueue) -> Told:
    await call.queues.purge(given.queue)
    return None


class GetQueueAttributes(OfQueue):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html"""

    attribute_names: list[str] = []


async def _get_queue_attributes(call: Call, given: GetQueueAttributes) -> Told:
    queue, wanted = await call.queues.get(given.queue), set(given.attribute_names)
    record, kept = queue.held.record, queue.kept
    told = {name: kept.attributes.get(name, str(default)) for name, (default, _, _) in NUMBERS.items()}
    told |= {name: kept.attributes[name] for name in TEXTS if kept.attributes.get(name)}
    told |= {
        "CreatedTimestamp": str(record.created_ns // _SECOND_NS),
        "LastModifiedTimestamp": str(kept.changed_ns // _SECOND_NS),
        "QueueArn": call.queues.arn(queue.name),
    }
    counted = [_COUNTED, f"{_COUNTED}NotVisible", f"{_COUNTED}Delayed"]
    unknown = wanted - {"All", *NUMBERS, *TEXTS, *_MADE, *counted}
    if unknown:
        raise QueueError("InvalidAttributeName", f"Unknown Attribute {min(unknown)[:80]}.")
    if wanted & {"All", *counted}:
        told |= {name: str(count) for name, count in zip(counted, await call.queues.counts(queue.name), strict=True)}
    return {"Attributes": {name: value for name, value in told.items() if wanted & {"All", name}}}


class SetQueueAttributes(OfQueue):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"""

    attributes: dict[str, str]


async def _set_queue_attributes(call: Call, given: SetQueueAttributes) -> Told:
    await call.queues.set_attributes(given.queue, given.attributes)
    return None


class SendMessage(OfQueue):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""

    message_body: str
    delay_seconds: Annotated[int, Meta(ge=0, le=900)] | None = None


async def _send_message(call: Call, given: SendMessage) -> Told:
    queue = await call.queues.get(given.queue)
    (number,) = await call.queues.send(
        queue, [_checked(queue, given.message_body, given.delay_seconds)], call.principal.user_id
    )
    return {"MessageId": number, "MD5OfMessageBody": _md5(given.message_body)}


class SendEntry(Entry):
    """One message of a batch."""

    message_body: str
    delay_seconds: Annotated[int, Meta(ge=0, le=900)] | None = None

    @property
    def message_bytes(self) -> int:
        """See ``Entry``."""
        return len(self.message_body.encode())


class SendMessageBatch(OfQueue):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""

    entries: list[SendEntry]


async def _send_message_batch(call: Call, given: SendMessageBatch) -> Told:
    queue = await call.queues.get(given.queue)

    async def send(entry: SendEntry) -> dict[str, Any]:
        body = _checked(queue, entry.message_body, entry.delay_seconds)
        (number,) = await call.queues.send(queue, [body], call.principal.user_id)
        return {"MessageId": number, "MD5OfMessageBody": _md5(entry.message_body)}

    return await _each(given.entries, send)


class ReceiveMessage(OfQueue):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html"""

    attribute_names: list[str] = []
    message_system_attribute_names: list[str] = []
    message_attribute_names: list[str] = []
    max_number_of_messages: Annotated[int, Meta(ge=1, le=MOST_IN_BATCH)] = 1
    visibility_timeout: Seconds | None = None
    wait_time_seconds: Annotated[int, Meta(ge=0, le=20)] | None = None


async def _receive_message(call: Call, given: ReceiveMessage) -> Told:
    queue = await call.queues.get(given.queue)
    visibility = _or(given.visibility_timeout, queue.number("VisibilityTimeout"))
    wait = _or(given.wait_time_seconds, queue.number("ReceiveMessageWaitTimeSeconds"))
    received = await call.queues.receive(queue, given.max_number_of_messages, visibility, wait)
    names = {*given.attribute_names, *given.message_system_attribute_names}
    return {"Messages": [_shown(each, names) for each in received]} if received else {}


def _shown(received: Received, names: set[str]) -> dict[str, Any]:
    message = received.message
    body = message.body
    if message.event is not None:
        body = message_of(message.event, received.number, on_bus=False).body.decode()
    attributes = {
        "SenderId": message.sender,
        "SentTimestamp": str(message.sent_ns // 1_000_000),
        "ApproximateReceiveCount": str(message.count),
        "ApproximateFirstReceiveTimestamp": str(message.first_ns // 1_000_000),
    }
    told = {"MessageId": message.id, "ReceiptHandle": received.handle, "MD5OfBody": _md5(body), "Body": body}
    chosen = {name: value for name, value in attributes.items() if names & {"All", name}}
    return told | {"Attributes": chosen} if chosen else told


class DeleteMessage(OfQueue):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html"""

    receipt_handle: str


async def _delete_message(call: Call, given: DeleteMessage) -> Told:
    queue = await call.queues.get(given.queue)
    await call.queues.remove(queue.name, given.receipt_handle)
    return None


class DeleteEntry(Entry):
    """One message of a batch."""

    receipt_handle: str


class DeleteMessageBatch(OfQueue):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html"""

    entries: list[DeleteEntry]


async def _delete_message_batch(call: Call, given: DeleteMessageBatch) -> Told:
    queue = await call.queues.get(given.queue)

    async def delete(entry: DeleteEntry) -> dict[str, Any]:
        await call.queues.remove(queue.name, entry.receipt_handle)
        return {}

    return await _each(given.entries, delete)


class ChangeMessageVisibility(DeleteMessage):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html"""

    visibility_timeout: Seconds


async def _change_message_visibility(call: Call, given: ChangeMessageVisibility) -> Told:
    queue = await call.queues.get(given.queue)
    await call.queues.hide(queue.name, given.receipt_handle, given.visibility_timeout)
    return None


class HideEntry(DeleteEntry):
    """One message of a batch."""

    visibility_timeout: Seconds


class ChangeMessageVisibilityBatch(OfQueue):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html"""

    entries: list[HideEntry]


async def _change_message_visibility_batch(call: Call, given: ChangeMessageVisibilityBatch) -> Told:
    queue = await call.queues.get(given.queue)

    async def hide(entry: HideEntry) -> dict[str, Any]:
        await call.queues.hide(queue.name, entry.receipt_handle, entry.visibility_timeout)
        return {}

    return await _each(given.entries, hide)


class Action(NamedTuple):
    """An action: its parameters, and what it does."""

    parameters: type[Parameters]
    handler: Callable[[Call, Any], Awaitable[Told]]

    async def carry_out(self, call: Call, name: str, parameters: Any, *, strict: bool) -> Told:
        """Carry it out if the caller may.

        Args:
            name: that of the action.
            parameters: as JSON has them.
            strict: whether a number must be one, and not its digits.

        Raises:
            QueueError: it cannot be done so.
            S3Error: the caller may not, or it failed.
        """
        if isinstance(parameters, dict):
            for field in msgspec.structs.fields(self.parameters):
                if field.required and field.encode_name not in parameters:
                    text = f"The request must contain the parameter {field.encode_name}."
                    raise QueueError("MissingParameter", text)
        try:
            given = msgspec.convert(parameters, self.parameters, strict=strict)
        except msgspec.ValidationError as error:
            raise QueueError("InvalidParameterValue", str(error)[:400]) from error
        call.require(name, given.queue)
        return await self.handler(call, given)


ACTIONS = {
    "ChangeMessageVisibility": Action(ChangeMessageVisibility, _change_message_visibility),
    "ChangeMessageVisibilityBatch": Action(ChangeMessageVisibilityBatch, _change_message_visibility_batch),
    "CreateQueue": Action(CreateQueue, _create_queue),
    "DeleteMessage": Action(DeleteMessage, _delete_message),
    "DeleteMessageBatch": Action(DeleteMessageBatch, _delete_message_batch),
    "DeleteQueue": Action(OfQueue, _delete_queue),
    "GetQueueAttributes": Action(GetQueueAttributes, _get_queue_attributes),
    "GetQueueUrl": Action(GetQueueUrl, _get_queue_url),
    "ListQueues": Action(ListQueues, _list_queues),
    "PurgeQueue": Action(OfQueue, _purge_queue),
    "ReceiveMessage": Action(ReceiveMessage, _receive_message),
    "SendMessage": Action(SendMessage, _send_message),
    "SendMessageBatch": Action(SendMessageBatch, _send_message_batch),
    "SetQueueAttributes": Action(SetQueueAttributes, _set_queue_attributes),
}


async def _each(entries: Sequence[E], act: Callable[[E], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Do something with each entry of a batch; what one of them is refused for stands in the answer."""
    ids = [entry.id for entry in entries]
    if not entries:
        raise _batch("EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(entries) > MOST_IN_BATCH:
        raise _batch("TooManyEntriesInBatchRequest", f"Maximum number of entries per request are {MOST_IN_BATCH}.")
    if len(set(ids)) < len(ids):
        raise _batch("BatchEntryIdsNotDistinct", "Two or more batch entries have the same Id.")
    if not all(map(_ENTRY_ID.fullmatch, ids)):
        raise _batch("InvalidBatchEntryId", "An Id can only have 1 to 80 letters, digits, hyphens and underscores.")
    total = sum(entry.message_bytes for entry in entries)
    if total > MOST_BATCH_BYTES:
        text = f"Batch requests cannot be longer than {MOST_BATCH_BYTES} bytes. You have sent {total} bytes."
        raise _batch("BatchRequestTooLong", text)
    done, failed = [], []
    for entry in entries:
        try:
            done.append({"Id": entry.id, **await act(entry)})
        except QueueError as error:
            failed.append({"Id": entry.id, "SenderFault": True, "Code": error.name, "Message": error.message})
        except S3Error as error:
            failed.append({"Id": entry.id, "SenderFault": False, "Code": error.code, "Message": error.message})
    return {"Successful": done, "Failed": failed}


def _batch(name: str, message: str) -> QueueError:
    return QueueError(name, message, older=_OLDER + name)


def _checked(queue: Queue, body: str, delay: int | None) -> tuple[str, int]:
    """Return a message that may be sent, with its delay. Raises QueueError."""
    if not body:
        raise QueueError("MissingParameter", "The request must contain the parameter MessageBody.")
    if _REFUSED_CHARACTERS.search(body):
        raise QueueError("InvalidMessageContents", "The message has characters outside the allowed set.")
    most = queue.number("MaximumMessageSize")
    if len(body.encode()) > most:
        raise QueueError(
            "InvalidParameterValue",
            f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes.",
        )
    return body, _or(delay, queue.number("DelaySeconds"))


def _or(given: int | None, default: int) -> int:
    return default if given is None else given


def _name(url: str) -> str:
    """Return the name of a queue, given its address. Raises QueueError."""
    found = _URL.fullmatch(url)
    if not found:
        raise QueueError("InvalidAddress", f"The address {url[:80]} is not valid for this endpoint.")
    return found[1]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
