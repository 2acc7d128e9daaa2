"""Object Lock: the configuration of a bucket, retention and legal hold of a version, and what new objects get.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from s3ish.api.context import Context
from s3ish.api.documents import DocumentHeaders, Effect, bucket_document
from s3ish.api.operation import operation
from s3ish.api.replica import ReplicaMark, cause_of, make_replica
from s3ish.api.shapes import AttributeHeaders, DocumentDigest, ObjectRequest, RequesterPays
from s3ish.auth.condition_keys import Tags, lock_said
from s3ish.auth.evaluator import Permit
from s3ish.errors import (
    InvalidArgument,
    InvalidBucketState,
    InvalidRequest,
    MalformedXML,
    NoSuchObjectLockConfiguration,
    ObjectLockConfigurationNotFoundError,
    S3Error,
)
from s3ish.model import Bucket, Lock, Version
from s3ish.objects import lock, versions
from s3ish.wire.fields import body, element, header, ignored, query
from s3ish.wire.scalars import read_iso8601, write_iso8601
from s3ish.wire.shape import shape

MODES = ("GOVERNANCE", "COMPLIANCE")
MAX_DAYS, MAX_YEARS = 36_500, 100
_SWITCH = ("ON", "OFF")


@shape
class Duration:
    """How long something lasts, in days or years."""

    days: int | None = element("Days")
    years: int | None = element("Years")


@shape
class DefaultRetention(Duration):
    """What new objects get."""

    mode: str | None = element("Mode", choices=MODES)
    event_hold: Duration | None = element("DefaultEventHold")


@shape
class LockRule:
    """The rule of a bucket."""

    retention: DefaultRetention | None = element("DefaultRetention")


@shape(root="ObjectLockConfiguration")
class LockConfiguration:
    """Whether objects of a bucket can be locked, and what new ones get."""

    enabled: str | None = element("ObjectLockEnabled", choices=("Enabled",))
    rule: LockRule | None = element("Rule")


@shape
class LockConfigurationHeaders(DocumentHeaders, RequesterPays):
    """What a request carries that puts a configuration."""

    token = ignored(
        "x-amz-bucket-object-lock-token", because="was asked for by S3 when locks were new to buckets that exist"
    )


def _check(configuration: LockConfiguration, bucket: Bucket) -> None:
    if configuration.enabled is None:
        raise MalformedXML
    if bucket.versioning != "Enabled":
        raise InvalidBucketState("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
    retention = configuration.rule.retention if configuration.rule else None
    if configuration.rule and retention is None:
        raise MalformedXML
    if retention is None:
        return
    if retention.mode is None:
        raise MalformedXML
    duration = retention.event_hold or retention
    _check_duration(duration.days, duration.years)


def _check_duration(days: int | None, years: int | None) -> None:
    if (days is None) == (years is None):
        raise MalformedXML
    period, most = (days, MAX_DAYS) if days is not None else (years, MAX_YEARS)
    if period is None or period <= 0:
        raise InvalidArgument("Default retention period must be a positive integer value.")
    if period > most:
        raise InvalidArgument("Default retention period too large.")


OBJECT_LOCK = bucket_document(
    LockConfiguration,
    "object-lock",
    "GetObjectLockConfiguration PutObjectLockConfiguration",
    action="s3:{}BucketObjectLockConfiguration",
    effect=Effect.ACTED_UPON,
    missing=ObjectLockConfigurationNotFoundError,
    check=_check,
    headers=LockConfigurationHeaders,
)


def is_lockable(bucket: Bucket) -> bool:
    """Tell whether objects of a bucket can be locked."""
    return OBJECT_LOCK.name in bucket.documents


# --- what new objects get


def lock_of(context: Context, request: AttributeHeaders) -> Lock | None:
    """Return the lock of a new object: what the request gives, else what the bucket has by default.

    Raises:
        InvalidRequest: the bucket has no locks.
        InvalidArgument: the request gives half of a lock, or one that has ended.
    """
    given = _given(request)
    if not given and not is_lockable(context.target):
        return None
    if not is_lockable(context.target):
        raise InvalidRequest("Bucket is missing Object Lock Configuration")
    now_ns = context.store.clock.service_ns()
    made = _retention_of_headers(request, now_ns) or default_retention(context.target, now_ns) or lock.NO_LOCK
    if request.legal_hold is not None:
        if request.legal_hold not in _SWITCH:
            raise InvalidArgument(
                "Legal Hold must be either of 'ON' or 'OFF'",
                ArgumentName="x-amz-object-lock-legal-hold",
                ArgumentValue=request.legal_hold[:64],
            )
        made = lock.with_hold(made, on=request.legal_hold == "ON")
    return None if made == lock.NO_LOCK else made


def check_digest(context: Context, made: Lock | None, what: str) -> None:
    """Check that data which a lock will keep comes with a digest; ``what`` is what S3 calls the write.

    A signature over the data is one here, though not to S3: see docs/decisions/0054-signed-data-has-a-digest.md.
    Raises InvalidRequest. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    """
    sent = context.body
    if made is not None and not sent.is_signed and sent.algorithm is None and sent.claims().md5 is None:
        raise InvalidRequest(
            f"Content-MD5 OR x-amz-checksum- HTTP header is required for {what} requests with Object Lock parameters"
        )


def _given(request: AttributeHeaders) -> bool:
    return (
        request.lock_mode is not None
        or request.lock_until is not None
        or request.legal_hold is not None
        or request.event_hold is not None
        or request.event_hold_days is not None
        or request.event_hold_years is not None
    )


def _retention_of_headers(request: AttributeHeaders, now_ns: int) -> Lock | None:
    if request.lock_mode is not None and request.lock_mode not in MODES:
        raise InvalidArgument(
            "Unknown wormMode directive.",
            ArgumentName="x-amz-object-lock-mode",
            ArgumentValue=request.lock_mode[:64],
        )
    hold = request.event_hold
    if hold is not None and hold not in _SWITCH:
        raise InvalidArgument("Event Hold must be either of 'ON' or 'OFF'", ArgumentName="x-amz-object-lock-event-hold")
    days, years = request.event_hold_days, request.event_hold_years
    if hold == "ON":
        if request.lock_mode is None or request.lock_until is not None or (days is None) == (years is None):
            raise InvalidArgument(
                "An event hold needs x-amz-object-lock-mode and one duration.",
                ArgumentName="x-amz-object-lock-event-hold",
            )
        _check_duration(days, years)
        return Lock(mode=_mode(request.lock_mode), event_hold=True, event_days=days or 0, event_years=years or 0)
    if days is not None or years is not None:
        raise InvalidArgument(
            "The duration of an event hold needs an event hold.", ArgumentName="x-amz-object-lock-event-hold"
        )
    if request.lock_mode is None and request.lock_until is None:
        return None
    if request.lock_mode is None or request.lock_until is None:
        raise InvalidArgument(
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
            ArgumentName=f"x-amz-object-lock-{'mode' if request.lock_mode is None else 'retain-until-date'}",
        )
    malformed = _wrong_end("The retain until date must be provided in ISO 8601 format", request.lock_until)
    return Lock(mode=_mode(request.lock_mode), until_ns=_future(request.lock_until, now_ns, malformed))


def _mode(text: str) -> Any:
    return text  # one of MODES, which is what a lock's mode can be


def _future(text: str, now_ns: int, malformed: S3Error) -> int:
    """Read the end of a retention. Raises ``malformed`` if it is no date, InvalidArgument if it has passed."""
    try:
        until_ns = read_iso8601(text)
    except ValueError as error:
        raise malformed from error
    if until_ns <= now_ns:
        raise _wrong_end("The retain until date must be in the future!", text)
    return until_ns


def _wrong_end(message: str, text: str) -> InvalidArgument:
    return InvalidArgument(message, ArgumentName="x-amz-object-lock-retain-until-date", ArgumentValue=text[:64])


def default_retention(bucket: Bucket, now_ns: int) -> Lock | None:
    """Return the retention that a bucket gives to new objects."""
    configuration = OBJECT_LOCK.of(bucket)
    retention = configuration.rule.retention if configuration and configuration.rule else None
    if retention is None or retention.mode is None:
        return None
    if retention.event_hold is not None:
        held = retention.event_hold
        return Lock(mode=_mode(retention.mode), event_hold=True, event_days=held.days or 0, event_years=held.years or 0)
    until_ns = lock.after(now_ns, retention.days or 0, retention.years or 0)
    return Lock(mode=_mode(retention.mode), until_ns=until_ns)


def write_lock(request: Any) -> Iterable[Permit]:
    """Return the rights that a request to make an object needs beside its own if it gives a lock."""
    if request.lock_mode is not None or request.lock_until is not None or request.event_hold is not None:
        yield Permit("s3:PutObjectRetention", request.bucket, request.key)
    if request.legal_hold is not None:
        yield Permit("s3:PutObjectLegalHold", request.bucket, request.key)


@shape
class LockEcho:
    """The lock of an object, as its readers see it."""

    mode: str | None = header("x-amz-object-lock-mode")
    until: str | None = header("x-amz-object-lock-retain-until-date")
    legal_hold: str | None = header("x-amz-object-lock-legal-hold")
    event_hold: str | None = header("x-amz-object-lock-event-hold")
    event_days: int | None = header("x-amz-object-lock-event-hold-duration-days")
    event_years: int | None = header("x-amz-object-lock-event-hold-duration-years")


async def shown_lock(context: Context, version: Version) -> LockEcho | None:
    """Return the lock of a version as far as the caller may see it."""
    kept = version.attributes.lock
    if kept is None:
        return None
    shown = LockEcho()
    if kept.mode and await context.may(Permit("s3:GetObjectRetention", version.bucket, version.key)):
        shown.mode = kept.mode
        shown.until = write_iso8601(kept.until_ns) if kept.until_ns else None
        if kept.event_hold:
            shown.event_hold, shown.event_days, shown.event_years = (
                "ON",
                kept.event_days or None,
                kept.event_years or None,
            )
    held = kept.legal_hold is not None
    if held and await context.may(Permit("s3:GetObjectLegalHold", version.bucket, version.key)):
        shown.legal_hold = "ON" if kept.legal_hold else "OFF"
    return shown


# --- retention and legal hold of a version


@shape
class EventHoldDuration(Duration):
    """How long a version is kept after its event hold is released."""


@shape(root="Retention")
class Retention:
    """The retention of a version."""

    mode: str | None = element("Mode", choices=MODES)
    until: str | None = element("RetainUntilDate")
    event_hold: str | None = element("EventHold", choices=_SWITCH)
    duration: EventHoldDuration | None = element("EventHoldDuration")


@shape(root="LegalHold")
class LegalHold:
    """The legal hold of a version."""

    status: str | None = element("Status", choices=_SWITCH)


@shape
class LockRequest(ObjectRequest):
    """A request about the lock of a version."""

    version_id: str | None = query("versionId")


@shape
class PutRetentionRequest(LockRequest, DocumentDigest, ReplicaMark):
    """PUT /{Bucket}/{Key+}?retention"""

    bypass: bool | None = header("x-amz-bypass-governance-retention")
    retention: Retention | None = body("Retention", required=False)


@shape
class PutLegalHoldRequest(LockRequest, DocumentDigest, ReplicaMark):
    """PUT /{Bucket}/{Key+}?legal-hold"""

    hold: LegalHold | None = body("LegalHold", required=False)


def _check_lockable(bucket: Bucket) -> None:
    if not is_lockable(bucket):
        raise InvalidRequest("Bucket is missing Object Lock Configuration")


@operation("GET /{Bucket}/{Key+}?retention", action="s3:GetObjectRetention")
async def get_object_retention(context: Context, request: LockRequest) -> Retention:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html"""
    _check_lockable(context.target)
    version = await versions.get(context.store, request.bucket, request.key, request.version_id)
    kept = version.attributes.lock
    if kept is None or not kept.mode:
        raise NoSuchObjectLockConfiguration
    duration = EventHoldDuration(days=kept.event_days or None, years=kept.event_years or None)
    return Retention(
        mode=kept.mode,
        until=write_iso8601(kept.until_ns) if kept.until_ns else None,
        event_hold="ON" if kept.event_hold else None,
        duration=duration if kept.event_hold else None,
    )


def _retention_said(request: PutRetentionRequest) -> Tags:
    wanted = request.retention or Retention()
    duration = wanted.duration or Duration()
    held_for = duration.days, duration.years
    return lock_said(mode=wanted.mode, until=wanted.until, event_hold=wanted.event_hold, held_for=held_for)


@operation(
    "PUT /{Bucket}/{Key+}?retention",
    action="s3:PutObjectRetention",
    needs_digest=True,
    permits=make_replica,
    says=_retention_said,
)
async def put_object_retention(context: Context, request: PutRetentionRequest) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html"""
    if request.retention is None:
        raise MalformedXML
    _check_lockable(context.target)
    now_ns = context.store.clock.service_ns()
    wanted = _wanted(request.retention, now_ns)
    bypass = await may_bypass(context, request.bucket, request.key, request.bypass)

    def change(version: Version) -> Version:
        own = version.attributes
        if request.replica is not None:  # the source says so: what is stricter counts
            kept = lock.no_looser(own.lock, wanted, now_ns)
        else:
            kept = lock.with_retention(own.lock, wanted, now_ns, bypass=bypass)
        return replace(version, attributes=replace(own, lock=kept))

    await versions.amend_version(
        context.store, request.bucket, request.key, request.version_id, change, cause=cause_of(context, request)
    )


@operation("GET /{Bucket}/{Key+}?legal-hold", action="s3:GetObjectLegalHold")
async def get_object_legal_hold(context: Context, request: LockRequest) -> LegalHold:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLegalHold.html"""
    _check_lockable(context.target)
    version = await versions.get(context.store, request.bucket, request.key, request.version_id)
    kept = version.attributes.lock
    if kept is None or kept.legal_hold is None:
        raise NoSuchObjectLockConfiguration
    return LegalHold(status="ON" if kept.legal_hold else "OFF")


@operation(
    "PUT /{Bucket}/{Key+}?legal-hold",
    action="s3:PutObjectLegalHold",
    needs_digest=True,
    permits=make_replica,
    says=lambda request: lock_said(hold=request.hold.status if request.hold else None),
)
async def put_object_legal_hold(context: Context, request: PutLegalHoldRequest) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html"""
    if request.hold is None or request.hold.status is None:
        raise MalformedXML
    _check_lockable(context.target)
    on = request.hold.status == "ON"

    def change(version: Version) -> Version:
        return replace(
            version, attributes=replace(version.attributes, lock=lock.with_hold(version.attributes.lock, on=on))
        )

    await versions.amend_version(
        context.store, request.bucket, request.key, request.version_id, change, cause=cause_of(context, request)
    )


def _wanted(retention: Retention, now_ns: int) -> Lock:
    """Return the retention that a request puts; an empty one removes it. Raises MalformedXML, InvalidArgument."""
    duration = retention.duration
    if retention.event_hold == "ON":
        if retention.mode is None or duration is None or retention.until is not None:
            raise MalformedXML
        _check_duration(duration.days, duration.years)
        return Lock(
            mode=_mode(retention.mode),
            event_hold=True,
            event_days=duration.days or 0,
            event_years=duration.years or 0,
        )
    if retention.event_hold == "OFF" and retention.mode is not None and retention.until is None:
        return Lock(mode=_mode(retention.mode))
    if retention.mode is None and retention.until is None:
        return lock.NO_LOCK
    if retention.mode is None or retention.until is None:
        raise MalformedXML
    return Lock(mode=_mode(retention.mode), until_ns=_future(retention.until, now_ns, MalformedXML()))


def check_bypass(bucket: Bucket, asked: bool | None) -> None:
    """Check that a request asks to pass by the governance mode only where there are locks. Raises InvalidArgument."""
    if asked is not None and not is_lockable(bucket):
        raise InvalidArgument(
            "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.",
            ArgumentName="x-amz-bypass-governance-retention",
        )


async def may_bypass(
    context: Context, bucket: str, key: str, asked: bool | None, version_id: str | None = None
) -> bool:
    """Tell whether the caller asks to pass by the governance mode, and has the right. Raises AccessDenied.

    Args:
        version_id: that of the version, where the query of the request does not name it.
    """
    if not asked:
        return False
    await context.require(Permit("s3:BypassGovernanceRetention", bucket, key, version_id=version_id))
    return True
