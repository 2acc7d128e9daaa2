"""A request, from its first byte to its log line, in one place.

Locate, route, identify, find the bucket, authorise, read, handle, respond: eight steps, the same for every operation,
and no way around any of them.
"""

import asyncio
import contextlib
import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from msgspec.structs import replace

from s3ish.api.authorize import PAYER, check_owner, check_payer, check_permit, check_permit_of_upload
from s3ish.api.context import Body, Context
from s3ish.api.first_checks import refuse_query
from s3ish.api.get import get_object
from s3ish.api.misplaced import refuse_misplaced
from s3ish.api.operation import Operation, refuse_not_built
from s3ish.api.rules import requester_pays
from s3ish.auth.authenticator import Authentication, Authenticator, is_presigned
from s3ish.auth.condition_keys import Circumstances, Tags
from s3ish.auth.evaluator import Permit
from s3ish.auth.lasting import NO_NAMES
from s3ish.auth.principals import principal_of
from s3ish.auth.stand_ins import effective_headers
from s3ish.errors import (
    InternalError,
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    S3Error,
    ServiceUnavailable,
)
from s3ish.http.exchange import AnswerTorn
from s3ish.model import Bucket
from s3ish.objects.outbox import NO_TARGETS, Targets
from s3ish.objects.queues import Queues
from s3ish.objects.store import Store, translated
from s3ish.observe.lines import RequestLine
from s3ish.observe.observer import Observer
from s3ish.server import respond, sqs, sqs_protocols, website, welcome
from s3ish.server.access_log import AccessLog
from s3ish.server.accounts import Accounts, is_administrative
from s3ish.server.addresses import Addresses
from s3ish.server.admission import Admission
from s3ish.server.body import Disconnected, Longest, RequestBody
from s3ish.server.cors import preflight, rules_for, share
from s3ish.server.document_room import DocumentRoom
from s3ish.server.faults import FaultPoints
from s3ish.server.post import open_form
from s3ish.server.proxies import Proxies
from s3ish.server.query import read_query
from s3ish.server.request_record import RequestRecord
from s3ish.server.router import Router
from s3ish.server.target import Target, locate, locate_page, site_of
from s3ish.wire import shape
from s3ish.wire.shape import Written

log = structlog.get_logger()

_NO_PROXIES, _OWN_ADDRESS = Proxies(), Addresses()

DRAIN_BYTES = 1024 * 1024
"""How much of a refused body is read and dropped to keep the connection; more is cut off."""
_EXPLAINED = (400, 401, 403)
"""The statuses of refusals that are kept to be explained: somebody has to change something."""
_REGION = "x-amz-bucket-region"
_REGION_NAMED = frozenset(("HeadBucket", "ListObjects", "ListObjectsV2"))
"""Operations whose answers say in which region the bucket is."""
CLIENT_LEFT = 499
"""The status that is logged where the client left before it got one."""
LONG_DOCUMENT_BYTES = 32 * 1024
"""A longer one takes more than a millisecond to read, on a thread, so that others need not wait for it."""
LINGER_BYTES = 256 * 1024 * 1024
LINGER_SECONDS = 15.0
"""How much, and for how long, a client may go on sending after an early refusal before it is cut off."""


class S3Application:
    """The ASGI application of the S3 endpoint.

    Args:
        store: where objects live.
        router: which operation a request is.
        authenticator: who a request is from.
        observer: where metrics and log lines go.
        domains: names for virtual-hosted addressing.
        website_domains: names of websites.
        proxies: whose word on clients is believed.
        addresses: under which clients know the server.
        admission: holds requests to limits; None if there are none.
        faults: what happens at some points of every request, if anything does.
        accounts: what answers for users; None if nothing does.
        access_log: what gathers the lines of requests for the owners of buckets; None if nothing does.
        targets: to which events and replicas can go.
        queues: the queues; None if there are none.
        cors_origins: whose pages may use buckets without CORS rules.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        authenticator: Authenticator,
        observer: Observer,
        *,
        domains: tuple[str, ...],
        website_domains: tuple[str, ...] = (),
        proxies: Proxies = _NO_PROXIES,
        addresses: Addresses = _OWN_ADDRESS,
        admission: Admission | None = None,
        faults: FaultPoints | None = None,
        accounts: Accounts | None = None,
        access_log: AccessLog | None = None,
        targets: Targets = NO_TARGETS,
        queues: Queues | None = None,
        cors_origins: Sequence[str] = (),
    ) -> None:
        self._cors_rules = rules_for(cors_origins)
        self._targets = targets
        self._access_log = access_log
        self._accounts = accounts
        self._registry = accounts.registry if accounts else None
        self._keep_up = self._registry.keep_up if self._registry else _stay
        self._queue_api = sqs.QueueApi(authenticator, self._registry, queues) if queues else None
        self._store = store
        self._faults = faults
        self._router = router
        self._authenticator = authenticator
        self._observer = observer
        self._domains = domains
        self._website_domains = website_domains
        self._proxies, self._addresses, self._admission = proxies, addresses, admission
        self._longest = admission.longest if admission else Longest()
        self._document_room = DocumentRoom()
        self._host_id = store.clock.token(15)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        clock = self._store.clock
        started, tallies = clock.monotonic(), self._observer.requests
        call = RequestRecord.of(scope, self._new_request_id(), self._proxies, self._addresses)
        written: Written | None = None
        traces = self._observer.traces
        if traces:
            call.trace = traces.begin(call.headers)
        tallies.in_flight += 1
        try:
            written = await self._answer(call, receive)
            if "origin" in call.headers:
                await self._share(call, written)
            call.status = written.status
            if call.names_region:
                _tell_region(call, written)
            if call.pays and written.status < 300:
                written.headers.append(("x-amz-request-charged", "requester"))
            linger = None if call.body and call.body.is_read else await self._settle(call, receive)
            call.stages["handle"] = clock.monotonic()
            await self._send(call, written, send, linger)
        except Disconnected:
            call.status, call.error = CLIENT_LEFT, "ClientDisconnected"
        finally:
            tallies.in_flight -= 1
            if call.body:
                call.body.leave_room()
            if self._admission and call.ticket:
                self._admission.leave(call.ticket)
            ended = clock.monotonic()
            seconds = ended - started
            call.stages["send"] = ended
            line = call.line(seconds)
            self._observer.request(line, call.stages, started)
            if self._faults:
                self._faults.ended(line, call.headers)
            if traces and call.trace:
                traces.add(call.traced(call.trace, started, ended, clock.now_ns()))
            if self._observer.audit:
                self._observer.audit.add(call.audited(clock.now()))
            if self._access_log and call.bucket:
                self._access_log.note(call, call.bucket, written, seconds, self._host_id)
            if written and written.flow:  # also one of which nothing was sent
                await written.flow.aclose()

    def refuse(self, error: S3Error, path: str, client: str, *, answered: bool) -> Written:
        """Return the answer to what the HTTP layer refuses; count and log it.

        Args:
            path: as far as it is known.
            client: the address at the other end of the connection.
            answered: whether the client gets the answer.
        """
        request_id = self._new_request_id()
        written = respond.refuse(error, path, request_id, self._host_id)
        line = RequestLine(
            method="",
            operation="Unknown",
            bucket="",
            key="",
            path=path,
            status=error.status,
            error=error.code,
            received=0,
            sent=len(written.body) if answered else 0,
            seconds=0.0,
            user="",
            client=client,
            request_id=request_id,
        )
        self._observer.request(line)
        if self._faults:
            self._faults.ended(line, {})
        self._observer.requests.malformed(error.code)
        return written

    async def _answer(self, call: RequestRecord, receive: Any) -> Written:
        """Handle a request; every failure becomes an answer."""
        try:
            with translated():
                return await self._handle(call, receive)
        except S3Error as error:
            _log_failure(call, error)
            await self._recall(call)
            return self._refuse(call, error)
        except (Disconnected, ConnectionError) as error:
            raise Disconnected from error
        except MemoryError as error:
            log.error("out of memory", cause=str(error), **call.ids)
            return self._refuse(call, ServiceUnavailable())
        except asyncio.CancelledError:
            call.cut_off = True
            return self._refuse(call, ServiceUnavailable())
        except Exception:
            log.exception("unhandled", operation=call.operation and call.operation.name, **call.ids)
            return self._refuse(call, InternalError())

    async def _recall(self, call: RequestRecord) -> None:
        """Find the bucket of a request that was refused before that was done: log and answer show it."""
        wanted = self._access_log or call.names_region
        if wanted and call.bucket is None and call.target and call.target.bucket:
            with contextlib.suppress(S3Error), translated():
                held = await self._store.find_bucket(call.target.bucket)
                call.bucket = held.record if held else None

    def _new_request_id(self) -> str:
        return self._store.clock.random_bytes(8).hex().upper()

    async def _send(
        self, call: RequestRecord, written: Written, send: respond.Send, linger: respond.Linger | None
    ) -> None:
        """Send an answer. What ends it after its status cannot be said in it: the connection ends, and the log tells.

        Raises:
            AnswerTorn: the server cannot complete what it has begun.
            Disconnected: the client left before anything was sent.
        """
        progress, head, whole = call.progress, call.method == "HEAD", call.takes_whole and not self._faults
        if self._faults:
            send = self._faults.sending(call, send)
        try:
            with translated():
                await respond.send(
                    written, send, progress, call.request_id, self._host_id, head=head, linger=linger, whole=whole
                )
        except ConnectionError:
            if not progress.begun:
                raise Disconnected from None
            if not progress.whole:
                call.torn, call.error = "client", "ClientDisconnected"
        except asyncio.CancelledError as error:
            if not progress.whole:
                call.torn, call.error = "server", ServiceUnavailable.__name__
            raise AnswerTorn from error
        except Exception as error:
            call.torn, call.error = "server", type(error).__name__
            if isinstance(error, S3Error):
                log.error("answer torn", error=error.code, cause=_cause(error), **call.ids)
            else:
                log.exception("unhandled", **call.ids)
            raise AnswerTorn from error

    def _refuse(self, call: RequestRecord, error: S3Error) -> Written:
        call.error, call.reason = error.code, error.reason
        if error.status in _EXPLAINED:
            self._observer.refusals.add(call.refused(error, self._store.clock.now()))
        if call.site and error.status >= 400:
            return website.error_page(error, call.request_id, self._host_id, call.site_error)
        return respond.describe(error, call.path, call.request_id, self._host_id)

    async def _handle(self, call: RequestRecord, receive: Any) -> Written:
        target = call.target = self._locate(call)
        if call.method == "OPTIONS":
            return await self._preflight(call, target)
        if call.site:
            call.body = RequestBody(receive, call.headers, call.appetite)
            self._admit(call, get_object)
            return await website.answer(self._store, call, target, call.body)
        if self._queue_api and sqs_protocols.is_asked(call.method, call.headers):
            return await self._answer_queues(self._queue_api, call, receive)
        if not target.bucket and (beside := await self._answer_beside(call, receive)):
            return beside
        if self._registry and self._registry.is_behind:
            await self._registry.look()
        query = read_query(call.query)
        operation, target, identity, now = self._identify(call, target, query)
        stages, tick = call.stages, self._store.clock.monotonic
        body = call.body = RequestBody(receive, call.headers, call.appetite, self._longest)
        headers: Mapping[str, str] = call.headers
        source: Body = body
        if operation.reads_form:
            body.check_size(body.size)
            form = await open_form(body, call.headers, self._authenticator, self._keep_up, target.bucket, now)
            identity = replace(form.signer or identity, payload=identity.payload)
            headers, source = form.headers, form.file
            target = call.target = Target(target.bucket, form.key, target.by_host)
        if self._registry and identity.user:
            self._registry.note_use(identity.user)
        principal = call.principal = principal_of(identity.user)
        self._admit(call, operation)
        held = await self._store.find_bucket(target.bucket) if target.bucket else None
        bucket = call.bucket = held.record if held else None
        circumstances = call.circumstances(now, headers, query, identity=identity, region=self._store.region)
        call.decided_by = await self._authorise(call, operation, target, bucket, circumstances)
        stages["rights"] = tick()
        if operation.needs_bucket and bucket is None:
            raise NoSuchBucket(BucketName=target.bucket)
        if not operation.supported:
            raise refuse_not_built(operation)
        if self._faults:
            await self._faults.before(call)
        refuse_misplaced(operation, headers, query)
        if not (body.is_empty or operation.reads_form) or operation.reads_stream:
            body.read_claims(identity.payload, checksum_is_of_body=not operation.checksum_is_of_object)
        typed = await self._read(operation, headers, body, target, query)
        stages["read"] = tick()
        context = Context(
            store=self._store,
            principal=principal,
            bucket=bucket,
            circumstances=circumstances,
            body=source,
            request_id=call.request_id,
            path=call.prefix + call.path,
            scheme=call.origin.scheme,
            operation=operation.name,
            host_id=self._host_id,
            targets=self._targets,
            names=self._registry.directory if self._registry else NO_NAMES,
            each=call.each,
        )
        if operation.says or operation.permits:
            await self._authorise_said(call, operation, target, context, typed)
        try:
            response = await operation.handler(context, typed)
        except (NoSuchKey, NoSuchVersion):
            await context.hide_missing(target.bucket)
            raise
        written = shape.write(response, operation.status) if response is not None else Written(operation.status, [])
        return await self._faults.after(call, written) if self._faults else written

    async def _preflight(self, call: RequestRecord, target: Target) -> Written:
        """Answer a page that asks whether it may send a request from another origin."""
        held = await self._store.find_bucket(target.bucket) if target.bucket else None
        call.bucket = held.record if held else None
        return preflight(call.bucket, call.headers, target.level, self._cors_rules)

    def _admit(self, call: RequestRecord, operation: Operation) -> None:
        """Let a request in, if there are limits. Raises SlowDown."""
        if self._admission:
            call.ticket = self._admission.enter(call.principal.arn, operation)

    async def _answer_beside(self, call: RequestRecord, receive: Any) -> Written | None:
        """Answer a request to the service that is for no operation of S3; None if it is for one."""
        if self._accounts:
            answered = await self._accounts.answer(call, receive)
            if answered:
                if answered.error:
                    _log_failure(call, answered.error)
                return answered.written
        if welcome.is_of_browser(call.method, call.query, call.headers):
            return welcome.page(call.base)
        return None

    def _locate(self, call: RequestRecord) -> Target:
        """Return what a request names, a page of a website too; the service itself if it is for the admin API."""
        host, path = call.headers.get("host", ""), call.path
        if self._website_domains:
            call.site = site_of(host, self._website_domains)
            if call.site:
                return locate_page(call.site, path)
        if self._accounts and is_administrative(path):
            whole = locate(host, "/", self._domains)
            if not whole.by_host:
                return whole
        return locate(host, path, self._domains)

    async def _answer_queues(self, api: sqs.QueueApi, call: RequestRecord, receive: Any) -> Written:
        """Answer a request about queues."""
        body = call.body = RequestBody(receive, call.headers, call.appetite)
        request = call.request()
        circumstances = call.circumstances(self._store.clock.service_now(), call.headers, region=self._store.region)
        answered = await api.answer(body, request, circumstances, call.base, call.request_id)
        call.action, call.principal = answered.action, answered.principal
        call.error, call.reason = answered.code, answered.reason
        return answered.written

    def _identify(
        self, call: RequestRecord, target: Target, query: Mapping[str, str]
    ) -> tuple[Operation, Target, Authentication, datetime]:
        """Find out which operation a request is, what it is about, and who it is from."""
        request = call.request(target.bucket if target.by_host else "")
        if query and is_presigned(query.keys()):
            call.headers = effective_headers(call.headers, query)
        now = self._store.clock.service_now()
        others = self._addresses.others(request, call.path, call.origin, by_host=target.by_host)
        try:
            operation = call.operation = self._router.route(call.method, target.level, query, call.headers)
        except MethodNotAllowed:
            self._authenticator.identify(request, now, others)  # a wrong signature is refused first
            raise
        call.names_region = operation.name in _REGION_NAMED
        if query:
            if operation.level != target.level:
                target = call.target = Target(target.bucket, "", target.by_host)
            refuse_query(operation, query)
        identity = self._authenticator.identify(request, now, others)
        if identity.uncovered:
            self._router.check_covered(operation, query, call.headers, identity.uncovered)
        call.stages["signature"] = self._store.clock.monotonic()
        return operation, target, identity, now

    async def _share(self, call: RequestRecord, written: Written) -> None:
        """Let a page of another origin see the answer, as far as the bucket or the settings allow it."""
        if call.target is None or not call.target.bucket or call.method == "OPTIONS":
            return
        with contextlib.suppress(S3Error), translated():
            held = await self._store.find_bucket(call.target.bucket)
            share(written, held.record if held else None, call.headers["origin"], call.method, self._cors_rules)

    async def _authorise(
        self,
        call: RequestRecord,
        operation: Operation,
        target: Target,
        bucket: Bucket | None,
        circumstances: Circumstances,
    ) -> str:
        """Check the operation's own right, before anything is said of what exists.

        Returns:
            Which rule gives it; empty where the body has to be read first.

        Raises:
            AccessDenied: none does, or the caller must pay and does not say that it will.
            NoSuchBucket: there is none; S3 tells that to anonymous callers too.
        """
        principal = call.principal
        if not operation.needs_bucket:
            bucket = None
        elif bucket is None and principal.is_anonymous:
            raise NoSuchBucket(BucketName=target.bucket)
        check_owner(bucket, circumstances.headers.get("x-amz-expected-bucket-owner"), principal)
        if bucket and requester_pays(bucket) and _may_be_charged(operation):
            call.pays = check_payer(bucket, principal, circumstances.headers)
        if operation.says and (bucket or not (operation.needs_bucket or principal.is_anonymous)):
            return ""  # it is decided on with what the body says
        if operation.is_of_each_key:
            return "each key is decided by itself"
        permit = _own_permit(operation, target, circumstances)
        check = check_permit_of_upload if "uploadId" in circumstances.query else check_permit
        return await check(self._store, principal, permit, bucket, circumstances)

    async def _authorise_said(
        self, call: RequestRecord, operation: Operation, target: Target, context: Context, typed: Any
    ) -> None:
        """Check the rights that depend on what a request says: its own, if that is in the body, and further ones.

        Raises:
            AccessDenied: one is missing.
            NoSuchBucket: a further one is on a bucket that there is not.
        """
        if operation.says:
            permit = _own_permit(operation, target, context.circumstances, operation.says(typed))
            bucket = context.bucket if operation.needs_bucket else None
            call.decided_by = await check_permit(self._store, context.principal, permit, bucket, context.circumstances)
        for permit in operation.permits(typed) if operation.permits else ():
            await context.require(permit)

    async def _read(
        self,
        operation: Operation,
        headers: Mapping[str, str],
        body: RequestBody,
        target: Target,
        query: Mapping[str, str],
    ) -> Any:
        """Read the typed request, its XML body included."""
        document = b""
        if operation.reads_stream:
            body.check_length()
        elif operation.reads_document:
            document = await body.document(
                operation.body_bytes, needs_digest=operation.needs_digest, room=self._document_room
            )
        labels = {"Bucket": target.bucket, "Key": target.key}
        read = shape.wire(operation.request).read_request
        if len(document) > LONG_DOCUMENT_BYTES:
            return await self._store.offload.run(read, labels, query, headers, document)
        return read(labels, query, headers, document)

    async def _settle(self, call: RequestRecord, receive: Any) -> respond.Linger | None:
        """Deal with a body that was not read; return what to do with it after the answer if the connection must end.

        A client that waits for ``100 Continue`` has sent nothing yet, and what it sends next would be taken for the
        body: the connection ends. A short rest is dropped to keep the connection.
        """
        body = call.body = call.body or RequestBody(receive, call.headers, call.appetite)
        if body.is_read:
            return None
        if call.cut_off:
            return _leave
        unread = body.unread_bytes
        waits = "expect" in call.headers and body.received == 0
        if waits or unread is None or unread > DRAIN_BYTES:
            return functools.partial(linger, body)
        await body.drain(DRAIN_BYTES)
        return None


def _own_permit(operation: Operation, target: Target, circumstances: Circumstances, said: Tags = ()) -> Permit:
    """Return the right that an operation takes by itself."""
    action = operation.version_action if "versionId" in circumstances.query else operation.action
    return Permit(action, target.bucket, target.key, said=said)


async def _stay() -> None:
    """Do nothing: users that are not in the store do not change."""


async def _leave() -> None:
    """End the connection at once."""


async def linger(body: RequestBody) -> None:
    """Go on taking what a client sends that has not seen its answer yet.

    A connection that is closed with bytes unread is reset, and a client in the middle of sending would see the reset
    instead of the answer.
    """
    with contextlib.suppress(Disconnected, TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            await body.drain(LINGER_BYTES)


@functools.lru_cache(256)
def _may_be_charged(operation: Operation) -> bool:
    """Whether S3 asks others than the owner of a bucket to pay for an operation on it."""
    return operation.reads_form or (operation.supported and PAYER in shape.wire(operation.request).names_at("header"))


def _tell_region(call: RequestRecord, written: Written) -> None:
    """Say where the bucket is, to whom may not look into it too: clients ask for its region so, and unsigned.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    """
    if call.bucket and all(name != _REGION for name, _ in written.headers):
        written.headers.append((_REGION, call.bucket.region))


def _log_failure(call: RequestRecord, error: S3Error) -> None:
    """Log an error that is the server's own."""
    if error.status >= 500 and error.status != 501:
        log.error("request failed", error=error.code, cause=_cause(error), **call.ids)


def _cause(error: BaseException) -> str:
    cause = error.__cause__
    return f"{type(cause).__name__}: {cause}" if cause else ""
