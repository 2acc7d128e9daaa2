"""What is known of a request on its way through the pipeline."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from urllib.parse import unquote

from msgspec import Struct, field

from s3ish.api.context import KeyOutcome, SourceRead
from s3ish.api.operation import Operation
from s3ish.auth.authenticator import UNSIGNED, Authentication
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.diagnosis import without_secrets
from s3ish.auth.principals import ANONYMOUS, Principal
from s3ish.auth.request import HttpRequest
from s3ish.errors import S3Error
from s3ish.http.exchange import WHOLE
from s3ish.http.receive_buffer import Demand
from s3ish.model import Bucket
from s3ish.observe.audit import AuditLine, Decision
from s3ish.observe.lines import RequestLine
from s3ish.observe.refusals import Refusal
from s3ish.observe.spans import EndedRequest, Joined
from s3ish.server import respond
from s3ish.server.addresses import Addresses
from s3ish.server.admission import Ticket
from s3ish.server.body import RequestBody
from s3ish.server.proxies import Origin, Proxies
from s3ish.server.target import Target

_NONE: Mapping[str, Any] = {}
_NO_NAMES: frozenset[str] = frozenset()
_OWN_ADDRESS = Addresses()


class RequestRecord(Struct, kw_only=True):
    """What is known of one request so far; the log line and the metrics are made of it."""

    request_id: str
    method: str
    headers: Mapping[str, str]
    repeated: frozenset[str]
    query: str
    origin: Origin
    prefix: str
    path: str
    raw_path: str
    appetite: Demand | None = None
    takes_whole: bool = False  # whether an answer can be sent in one message
    operation: Operation | None = None
    names_region: bool = False  # whether its answer says in which region the bucket is
    action: str = ""  # of the query protocol, or of a website
    principal: Principal = ANONYMOUS
    pays: bool = False  # whether the caller said that it pays, and has to
    target: Target | None = None
    bucket: Bucket | None = None
    site: str = ""  # the bucket whose website is asked for
    site_error: S3Error | None = None  # why its own page for an error cannot be had
    error: str = ""
    reason: str = ""  # why it was refused, which the client does not learn
    decided_by: str = ""  # what gave the operation's right
    body: RequestBody | None = None
    each: list[KeyOutcome | SourceRead] = []  # of a batch, or what a copy has read
    cut_off: bool = False  # the server stops and waits no longer
    status: int = 0
    progress: respond.Progress = field(default_factory=respond.Progress)
    stages: dict[str, float] = {}  # and when each ended, in seconds of the monotonic clock
    ticket: Ticket | None = None  # of what the limits let it in for
    torn: str = ""  # who ended the answer before its end
    trace: Joined | None = None

    @classmethod
    def of(
        cls, scope: Mapping[str, Any], request_id: str, proxies: Proxies, addresses: Addresses = _OWN_ADDRESS
    ) -> Self:
        """Return what an ASGI scope says of a request."""
        headers, repeated = read_headers(scope["headers"])
        extensions = scope.get("extensions", _NONE)
        client = scope.get("client")
        peer = Origin(client[0] if client else "", scope.get("scheme", "http"), extensions.get("s3ish.tls", ""))
        origin = proxies.origin(peer, headers)
        if origin.host:
            headers["host"] = origin.host if ":" in origin.host or not origin.port else f"{origin.host}:{origin.port}"
        arrived = scope["raw_path"].decode("latin-1")
        prefix, path = addresses.split(arrived, headers.get("host", ""), origin)
        is_base = path == "/" and arrived == prefix  # with no slash behind it, and signed so
        return cls(
            request_id=request_id,
            method=scope["method"],
            headers=headers,
            repeated=repeated,
            query=scope["query_string"].decode("latin-1"),
            origin=origin,
            prefix=prefix,
            path=path,
            raw_path=arrived if is_base else prefix + path,
            appetite=extensions.get("s3ish.appetite"),
            takes_whole=WHOLE in extensions,
        )

    def request(self, host_bucket: str = "") -> HttpRequest:
        """Return what its signature is for; ``host_bucket`` is the bucket that its host names."""
        return HttpRequest(self.method, self.raw_path, self.query, self.headers, self.repeated, host_bucket)

    @property
    def ids(self) -> dict[str, str]:
        """What lines of the log call it by."""
        named = {"request_id": self.request_id}
        return named | {"trace_id": self.trace.trace_id} if self.trace else named

    @property
    def base(self) -> str:
        """The address of the server, as the client wrote it: scheme, host with port, and the base path."""
        return f"{self.origin.scheme}://{self.headers['host']}{self.prefix}"

    @property
    def operation_name(self) -> str:
        """The operation, as the log and metrics name it."""
        if self.operation is not None:
            return self.operation.name
        if self.action:
            return self.action
        return "Preflight" if self.method == "OPTIONS" else "Unknown"

    def circumstances(
        self,
        now: datetime,
        headers: Mapping[str, str],
        query: Mapping[str, str] = _NONE,
        *,
        region: str,
        identity: Authentication = UNSIGNED,
    ) -> Circumstances:
        """Return what rules may ask of it: of the query that alone which its operation reads; see ``Circumstances``."""
        operation = self.operation
        if query and operation:
            query = {name: query[name] for name in operation.parameters & query.keys()}
        return Circumstances(
            headers,
            query,
            now,
            self.origin.client,
            self.origin.scheme == "https",
            self.origin.tls,
            identity.signature,
            identity.signed_at,
            identity.way,
            region,
            operation.creates if operation else None,
            payload=identity.presigned_payload,
        )

    def line(self, seconds: float) -> RequestLine:
        """Return what the log tells of it.

        Args:
            seconds: how long it took.
        """
        target = self.target
        return RequestLine(
            method=self.method,
            operation=self.operation_name,
            bucket=target.bucket if target else "",
            key=target.key if target else "",
            path="" if target else self.path,
            status=self.status,
            error=self.error,
            reason=self.reason,
            received=self.body.received if self.body else 0,
            sent=self.progress.sent,
            seconds=round(seconds, 6),
            user=self.principal.access_key,
            client=self.origin.client,
            request_id=self.request_id,
            trace_id=self.trace.trace_id if self.trace else "",
            torn=self.torn,
        )

    def traced(self, joined: Joined, began: float, ended: float, ended_ns: int) -> EndedRequest:
        """Return what its spans are made of; see ``EndedRequest``."""
        target = self.target
        return EndedRequest(
            joined=joined,
            operation=self.operation_name,
            bucket=target.bucket if target else "",
            key=target.key if target else "",
            request_id=self.request_id,
            method=self.method,
            scheme=self.origin.scheme,
            host=self.headers.get("host", ""),
            path=self.raw_path,
            client=self.origin.client,
            agent=self.headers.get("user-agent", ""),
            status=self.status,
            error=self.error,
            torn=self.torn,
            received=self.body.received if self.body else 0,
            sent=self.progress.sent,
            began=began,
            ended=ended,
            ended_ns=ended_ns,
            stages=self.stages,
        )

    def audited(self, time: datetime) -> AuditLine:
        """Return its line of the audit log.

        Args:
            time: when it ended.
        """
        target, principal, decision = self.target, self.principal, self._decision()
        return AuditLine(
            time=time,
            request_id=self.request_id,
            caller=principal.arn or "anonymous",
            access_key=principal.access_key,
            operation=self.operation_name,
            action=self.operation.action if self.operation else "",
            bucket=target.bucket if target else "",
            key=target.key if target else "",
            version_id=self.parameter("versionId"),
            client=self.origin.client,
            agent=self.headers.get("user-agent", ""),
            status=self.status,
            error=self.error,
            decision=decision,
            by=self.reason if decision == "denied" else self.decided_by,
        )

    def _decision(self) -> Decision:
        if self.status in (401, 403):
            return "denied"
        return "allowed" if self.decided_by or self.action or self.status < 400 else "undecided"

    def refused(self, error: S3Error, time: datetime) -> Refusal:
        """Return what explains why it was refused.

        Args:
            time: when that was.
        """
        target, details = self.target, error.details
        return Refusal(
            request_id=self.request_id,
            at=time,
            operation=self.operation_name,
            method=self.method,
            path=self.path,
            bucket=target.bucket if target else "",
            key=target.key if target else "",
            client=self.origin.client,
            agent=self.headers.get("user-agent", ""),
            access_key=self.principal.access_key or str(details.get("AWSAccessKeyId", "")),
            caller=self.principal.arn,
            status=error.status,
            error=error.code,
            message=error.message,
            reason=error.reason,
            string_to_sign=str(details.get("StringToSign", "")),
            canonical_request=without_secrets(str(details.get("CanonicalRequest", ""))),
        )

    def parameter(self, name: str) -> str:
        """Return the value of a parameter of the query; empty if it is not there."""
        return next(
            (unquote(pair[len(name) + 1 :]) for pair in self.query.split("&") if pair.startswith(name + "=")), ""
        )


def read_headers(raw: list[tuple[bytes, bytes]]) -> tuple[dict[str, str], frozenset[str]]:
    """Return the headers by lower-case name, repeated ones joined by a comma, and the names of the repeated.

    The copy is taken before the first byte of the body is asked for, because trailers would be added to the raw list.
    """
    try:
        pairs = [(name.decode("latin-1"), value.decode().strip(" \t")) for name, value in raw]
    except UnicodeDecodeError:
        pairs = [(name.decode("latin-1"), _decoded(value).strip(" \t")) for name, value in raw]
    headers = dict(pairs)
    if len(headers) == len(pairs):
        return headers, _NO_NAMES
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    joined = {name: ",".join(several) for name, several in values.items()}
    return joined, frozenset(name for name, several in values.items() if len(several) > 1)


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
