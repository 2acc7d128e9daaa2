"""Access logs of buckets: a line of each request, gathered and stored as objects in the bucket that the owner chose.

Delivery is best effort, as S3's is: what a worker has gathered is lost if it is killed. What the delivery writes is no
request, and is not logged itself.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html
"""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import structlog
from msgspec import Struct

from s3ish.api.access_log import LOGGING, LoggingEnabled, grants_of
from s3ish.api.context import KeyOutcome, SourceRead
from s3ish.api.own_objects import put_own
from s3ish.api.subresources import type_of
from s3ish.auth.mismatch import without_keys
from s3ish.auth.principals import Principal
from s3ish.errors import NoSuchBucket, S3Error
from s3ish.model import Attributes, Bucket
from s3ish.objects.store import Store, translated
from s3ish.server.request_record import RequestRecord
from s3ish.server.website import OPERATION as WEBSITE
from s3ish.wire.shape import Written

log = structlog.get_logger()

MAX_PENDING_BYTES = 16 * 1024 * 1024
"""How much a worker gathers; beyond that lines are lost, and the log of the server says so."""
OBJECT_BYTES = 1024 * 1024
"""So much of one log becomes an object at once."""
_PAUSE_SECONDS = 5.0
"""How often lines are looked at that may be enough for an object."""
_DAY = "%Y-%m-%d"
_RESOURCES = {"legal-hold": "LEGAL_HOLD", "retention": "RETENTION"}
"""What S3 calls what a query key selects, where its errors call it something else."""
_COPIES = {"CopyObject": "REST.COPY.OBJECT", "UploadPartCopy": "REST.COPY.PART"}
_SOURCES = {"CopyObject": "REST.COPY.OBJECT_GET", "UploadPartCopy": "REST.COPY.PART_GET"}
"""What S3 calls the reading of what they copy."""
_OF_BATCH = "BATCH.DELETE.OBJECT"
"""What S3 calls the deletion of each key of a batch."""
_SECRETS = re.compile(r"(?i)\b((?:x-amz-)?(?:signature|security-token)=)[^&]*")
"""With these a reader of the log could repeat a request that was presigned."""


class _Pending(Struct):
    """Lines on their way to one bucket, and since when the first waits (seconds of the monotonic clock)."""

    source: Bucket
    enabled: LoggingEnabled
    day: str
    since: float
    lines: list[bytes]
    size: int = 0


class AccessLog:
    """Gathers the lines of one worker and delivers them.

    Args:
        seconds: how long lines are gathered before they become an object.

    ``pause_seconds`` is how often ``deliver`` is to be called.
    """

    def __init__(self, store: Store, seconds: float) -> None:
        self._store, self._seconds = store, seconds
        self.pause_seconds = min(_PAUSE_SECONDS, seconds)
        self._pending: dict[tuple[str, str, str], _Pending] = {}
        self._size = 0
        self._lost = 0
        self._delivering = asyncio.Lock()

    def note(self, call: RequestRecord, bucket: Bucket, written: Written | None, seconds: float, host_id: str) -> None:
        """Gather the line of a request that has ended, if its bucket has a log, and that of what it copied.

        Args:
            written: its answer, if there was one.
            seconds: how long it took.
        """
        enabled = _log_of(bucket)
        if enabled is None and not call.each:
            return
        now = self._store.clock.service_now() - timedelta(seconds=seconds)
        if enabled:
            lines = [line_of(call, bucket, written, now, seconds, host_id)]
            keys = [each for each in call.each if isinstance(each, KeyOutcome)]
            lines += [_line_of_key(call, bucket, now, host_id, outcome) for outcome in keys]
            self._gather(bucket, enabled, now, lines)
        for source in call.each:
            if isinstance(source, SourceRead) and (enabled := _log_of(source.bucket)):
                self._gather(source.bucket, enabled, now, [_line_of_source(call, source, now, host_id)])

    def _gather(self, bucket: Bucket, enabled: LoggingEnabled, now: datetime, lines: list[bytes]) -> None:
        size = sum(map(len, lines))
        if self._size + size > MAX_PENDING_BYTES:
            self._lost += len(lines)
            return
        day = now.strftime(_DAY)
        place = (bucket.name, bucket.documents[LOGGING.name], day if _by_event(enabled) else "")
        pending = self._pending.get(place)
        if pending is None:
            pending = self._pending[place] = _Pending(bucket, enabled, day, self._store.clock.monotonic(), [])
        pending.lines += lines
        pending.size += size
        self._size += size

    async def deliver(self, *, all_of_it: bool = False) -> None:
        """Store what has been gathered for long enough, or is much; all of it when the worker ends."""
        if self._lost:
            log.warning("lines of access logs are lost", lines=self._lost)
            self._lost = 0
        now = self._store.clock.monotonic()
        async with self._delivering:  # who asks for all of it waits for what is under way
            for place, pending in list(self._pending.items()):
                if all_of_it or pending.size >= OBJECT_BYTES or now - pending.since >= self._seconds:
                    del self._pending[place]
                    self._size -= pending.size
                    await self._store_lines(pending)

    async def _store_lines(self, pending: _Pending) -> None:
        """Store lines as an object; they are lost if that cannot be done."""
        enabled = pending.enabled
        try:
            with translated():
                target = (await self._store.bucket(enabled.target)).record
            if target.owner.id != pending.source.owner.id:
                raise NoSuchBucket(BucketName=enabled.target)
            plain = Attributes(headers={"content-type": "text/plain"}, acl=grants_of(enabled, target))
            key = self._key(pending)
            await put_own(self._store, target, key, b"".join(pending.lines), plain)
        except S3Error as error:
            log.warning(
                "access log not delivered",
                bucket=pending.source.name,
                target=enabled.target,
                lines=len(pending.lines),
                error=error.code,
            )

    def _key(self, pending: _Pending) -> str:
        now = self._store.clock.service_now()
        unique = self._store.clock.random_bytes(8).hex().upper()
        enabled, source = pending.enabled, pending.source
        if enabled.key_format is None or enabled.key_format.partitioned is None:
            return f"{enabled.prefix}{now:%Y-%m-%d-%H-%M-%S}-{unique}"
        at = datetime.strptime(pending.day, _DAY).replace(tzinfo=UTC) if _by_event(enabled) else now
        folder = f"{source.owner.id}/{source.region}/{source.name}/{at:%Y/%m/%d}"
        return f"{enabled.prefix}{folder}/{at:%Y-%m-%d-%H-%M-%S}-{unique}"


def _log_of(bucket: Bucket) -> LoggingEnabled | None:
    status = LOGGING.of(bucket)
    return status.enabled if status else None


def _by_event(enabled: LoggingEnabled) -> bool:
    """Whether the keys of log objects name the day of the requests, not that of the delivery."""
    form = enabled.key_format.partitioned if enabled.key_format else None
    return form is not None and form.date_source == "EventTime"


def line_of(
    call: RequestRecord, bucket: Bucket, written: Written | None, now: datetime, seconds: float, host_id: str
) -> bytes:
    """Return the line of a request in S3's format: fields between blanks, ``-`` for what is not known."""
    headers = dict(written.headers) if written else {}
    target = call.target
    query = f"?{_redacted(call.query)}" if call.query else ""
    return _line(
        call,
        bucket,
        now,
        operation_of(call),
        quote(target.key) if target and target.key else "-",
        (
            _quoted(f"{call.method} {call.path}{query} HTTP/1.1"),
            str(call.status),
            call.error or "-",
            str(call.progress.sent or "-"),
            _object_size(call, headers),
            str(round(seconds * 1000)),
            "-",
            _quoted(_redacted(call.headers.get("referer", ""))),
            _quoted(call.headers.get("user-agent")),
            headers.get("x-amz-version-id", "-"),
            host_id,
        ),
    )


def _line_of_key(call: RequestRecord, bucket: Bucket, now: datetime, host_id: str, outcome: KeyOutcome) -> bytes:
    """Return the line of one key of a batch: what is of the request as a whole stands in the request's line."""
    rest = (str(outcome.status), outcome.error or "-", "-", "-", "-", "-", '"-"', '"-"')
    version = _plain(outcome.version_id) or "-"
    return _line(call, bucket, now, _OF_BATCH, quote(outcome.key) or "-", ('"-"', *rest, version, host_id))


def _line_of_source(call: RequestRecord, source: SourceRead, now: datetime, host_id: str) -> bytes:
    """Return the line that the log of its source has of a copy: what is of the request stands in the other one."""
    operation = _SOURCES[call.operation_name]
    rest = ("200", "-", "-", str(source.size), "-", "-", '"-"', '"-"', source.version_id or "-", host_id)
    return _line(call, source.bucket, now, operation, quote(source.key), ('"-"', *rest))


def _line(
    call: RequestRecord, bucket: Bucket, now: datetime, operation: str, key: str, middle: tuple[str, ...]
) -> bytes:
    version, auth = _signature(call)
    fields = (
        bucket.owner.id,
        bucket.name,
        f"[{now:%d/%b/%Y:%H:%M:%S +0000}]",
        call.origin.client or "-",
        _requester(call.principal),
        call.request_id,
        operation,
        key,
        *middle,
        version,
        "-",
        auth,
        _plain(call.headers.get("host", "-")),
        "-",
        "-",
        "-",
    )
    return (" ".join(fields) + "\n").encode("ascii", "replace")


def _requester(principal: Principal) -> str:
    """Return what S3 calls who asked: an account by its canonical id, whoever acts in one by an ARN."""
    if principal.is_anonymous:
        return "-"
    if principal.is_of_account or principal.names:
        return _plain(principal.arn).replace(" ", "%20")
    return principal.owner.id


def operation_of(call: RequestRecord) -> str:
    """Return what S3 calls the operation of a request in its logs: ``REST.GET.OBJECT``."""
    operation = call.operation
    if call.action == WEBSITE:
        return f"WEBSITE.{call.method}.OBJECT"
    if operation is None:
        return f"REST.{call.method}.{'PREFLIGHT' if call.method == 'OPTIONS' else 'UNKNOWN'}"
    if operation.name in _COPIES:
        return _COPIES[operation.name]
    keys = [key for key, value in operation.query if value is None][:1]
    resource = _RESOURCES.get("".join(keys)) or type_of(operation.level, keys)
    return f"REST.{operation.method}.{resource}"


def _object_size(call: RequestRecord, headers: dict[str, str]) -> str:
    """Return the size of the object that a request was about, as far as its answer says it."""
    if call.target is None or not call.target.key or call.status >= 300:
        return "-"
    if "content-range" in headers:
        return headers["content-range"].rpartition("/")[2]
    if call.method in ("GET", "HEAD"):
        return headers.get("content-length", "-")
    return str(call.body.received) if call.method == "PUT" and call.body and call.body.received else "-"


def _signature(call: RequestRecord) -> tuple[str, str]:
    """Return the version of a signature and where it stood."""
    if call.principal.is_anonymous:
        return "-", "-"
    authorization = call.headers.get("authorization", "")
    if authorization:
        return ("SigV4" if authorization.startswith("AWS4") else "SigV2"), "AuthHeader"
    return ("SigV4" if "X-Amz-Signature" in call.query else "SigV2"), "QueryString"


def _redacted(text: str) -> str:
    """Return a URL, or the query of one, without what lets its readers repeat a request."""
    return _SECRETS.sub(r"\1REDACTED", without_keys(text))


def _quoted(text: str | None) -> str:
    return f'"{_plain(text)}"' if text else '"-"'


def _plain(text: str) -> str:
    """Return a text that ends neither its field nor its line."""
    return quote(text[:2048], " !#$&'()*+,-./:;<=>?@[]^_`{|}~%")
