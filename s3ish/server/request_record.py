"""What is known of a request on its way through the pipeline."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from s3ish.api.context import KeyOutcome
from s3ish.api.operation import Operation
from s3ish.auth.authenticator import UNSIGNED, Authentication
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.diagnosis import without_secrets
from s3ish.auth.principals import ANONYMOUS, Principal
from s3ish.auth.request import HttpRequest
from s3ish.errors import S3Error
from s3ish.http.receive_buffer import Demand
from s3ish.model import Bucket
from s3ish.observe.audit import AuditLine
from s3ish.observe.lines import RequestLine
from s3ish.observe.refusals import Refusal
from s3ish.observe.requests import Stage
from s3ish.observe.spans import EndedRequest, Joined
from s3ish.server import respond
from s3ish.server.addresses import Addresses
from s3ish.server.admission import Ticket
from s3ish.server.body import RequestBody
from s3ish.server.proxies import Origin, Proxies
from s3ish.server.target import Target

_NO_QUERY: Mapping[str, str] = {}
_OWN_ADDRESS = Addresses()


class RequestRecord:
    """What is known of one request so far; the log line and the metrics are made of it."""

    __slots__ = (
        "action",
        "appetite",
        "body",
        "bucket",
        "cut_off",
        "decided_by",
        "each",
        "error",
        "headers",
        "method",
        "operation",
        "origin",
        "path",
        "pays",
        "prefix",
        "principal",
        "progress",
        "query",
        "raw_path",
        "reason",
        "repeated",
        "request_id",
        "site",
        "site_error",
        "stages",
        "status",
        "target",
        "ticket",
        "torn",
        "trace",
    )

    def __init__(
        self, scope: Mapping[str, Any], request_id: str, proxies: Proxies, addresses: Addresses = _OWN_ADDRESS
    ) -> None:
        self.request_id = request_id
        self.method: str = scope["method"]
        self.query: str = scope["query_string"].decode("latin-1")
        headers, self.repeated = read_headers(scope["headers"])
        self.headers: Mapping[str, str] = headers
        extensions = scope.get("extensions", {})
        self.appetite: Demand | None = extensions.get("s3ish.appetite")
        self.operation: Operation | None = None
        self.action = ""  # of the query protocol, or of a website
        self.principal: Principal = ANONYMOUS
        self.pays = False  # whether the caller said that it pays, and has to
        self.target: Target | None = None
        self.bucket: Bucket | None = None
        self.site = ""  # the bucket whose website is asked for
        self.site_error: S3Error | None = None  # why its own page for an error cannot be had
        self.error = ""
        self.reason = ""  # why it was refused, which the client does not learn
        self.decided_by = ""  # what gave the operation's right
        peer = Origin((scope.get("client") or ("",))[0], scope.get("scheme", "http"), extensions.get("s3ish.tls", ""))
        origin = self.origin = proxies.origin(peer, self.headers)
        if origin.host:
            headers["host"] = origin.host if ":" in origin.host or not origin.port else f"{origin.host}:{origin.port}"
        arrived = scope["raw_path"].decode("latin-1")
        self.prefix, self.path = addresses.split(arrived, headers.get("host", ""), origin)
        is_base = self.path == "/" and arrived == self.prefix  # with no slash behind it, and signed so
        self.raw_path = arrived if is_base else self.prefix + self.path
        self.body: RequestBody | None = None
        self.each: list[KeyOutcome] = []  # of a batch
        self.cut_off = False  # the server stops and waits no longer
        self.status = 0
        self.progress = respond.Progress()
        self.stages: list[Stage] = []  # and when each ended, in seconds of the monotonic clock
        self.ticket: Ticket | None = None  # of what the limits let it in for
        self.torn = ""  # who ended the answer before its end
        self.trace: Joined | None = None

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
        query: Mapping[str, str] = _NO_QUERY,
        *,
        region: str,
        identity: Authentication = UNSIGNED,
    ) -> Circumstances:
        """Return what rules may ask of it; see ``Circumstances``."""
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
            self.operation.creates if self.operation else None,
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
        target, principal = self.target, self.principal
        denied = self.status in (401, 403)
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
            decision="denied" if denied else "allowed",
            by=self.reason if denied else self.decided_by,
        )

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
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for name_bytes, value_bytes in raw:
        name = name_bytes.decode("latin-1")
        try:
            value = value_bytes.decode().strip(" \t")
        except UnicodeDecodeError:
            value = value_bytes.decode("latin-1").strip(" \t")
        if name in headers:
            repeated.add(name)
            headers[name] += "," + value
        else:
            headers[name] = value
    return headers, frozenset(repeated)
