"""Why a request was refused, and whether another one would be: the admin API of what decides."""

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from s3ish.api.authorize import decision_on
from s3ish.auth.actions import actions_matching, nearest_to
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.evaluator import Denied, Permit
from s3ish.auth.principals import ANONYMOUS, Principal, principal_of
from s3ish.errors import NoSuchEntity, ValidationError
from s3ish.identity.picking import pick
from s3ish.identity.records import UserRecord
from s3ish.observe.refusals import Refusal
from s3ish.server.admin.call import AdminCall

_MOST = 100
_ARN = "arn:aws:s3:::"


class Question(Struct, frozen=True, forbid_unknown_fields=True):
    """A request that was not sent.

    ``caller`` is the name of a user, an access key, ``root`` or ``anonymous``; ``action`` is S3's, ``resource`` an ARN.
    ``headers``, ``query``, ``source_ip`` and ``secure`` are what policies may ask of it, ``context`` are values of
    condition keys, in place of those that it would have. ``at`` is when it comes, as RFC 3339 writes it; now, if that
    is empty.
    """

    caller: str
    action: str
    resource: str
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    context: dict[str, str] = {}
    source_ip: str = ""
    secure: bool = False
    at: str = ""


async def list_refusals(call: AdminCall) -> Any:
    """Return the newest refusals of all processes, without what was signed."""
    call.require("s3ish:Explain", "*")
    return {"refusals": [_shown(refusal, whole=False) for refusal in call.refusals.recent(_MOST)]}


async def explain_request(call: AdminCall) -> Any:
    """Return all that is known of a request that was refused."""
    call.require("s3ish:Explain", "*")
    refusal = call.refusals.find(call.names["request"])
    if refusal is None:
        raise NoSuchEntity("No such request was refused not long ago: its id is that of x-amz-request-id.")
    return {"refusal": _shown(refusal, whole=True)}


async def decide(call: AdminCall) -> Any:
    """Return what would be decided on a request."""
    call.require("s3ish:Explain", "*")
    asked = call.read(Question)
    permit = _permit(asked)
    store = call.registry.store
    held = await store.find_bucket(permit.bucket) if permit.bucket else None
    circumstances = Circumstances(
        {name.lower(): value for name, value in asked.headers.items()},
        asked.query,
        _moment(asked.at, call.now),
        asked.source_ip,
        asked.secure,
        region=store.region,
        further=tuple((name.lower(), value) for name, value in asked.context.items()),
    )
    principal = _caller(call, asked.caller)
    decision = await decision_on(store, principal, permit, held.record if held else None, circumstances)
    denied = isinstance(decision, Denied)
    return {
        "decision": "denied" if denied else "allowed",
        "by": decision.by,
        "explicit": isinstance(decision, Denied) and decision.explicit,
        "caller": principal.arn or "anonymous",
        "bucket_exists": held is not None,
    }


def _shown(refusal: Refusal, *, whole: bool) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(refusal).items() if value not in ("", None)}
    fields["at"] = f"{refusal.at:%Y-%m-%dT%H:%M:%SZ}"
    if not whole:
        fields.pop("string_to_sign", None)
        fields.pop("canonical_request", None)
    return fields


def _permit(asked: Question) -> Permit:
    if actions_matching(asked.action) != {asked.action.partition(":")[2].lower()}:
        meant = nearest_to(asked.action[:64])
        hint = f": is it {meant}?" if meant else ""
        raise ValidationError(f"{asked.action[:64]} is no action of S3 here, like s3:GetObject{hint}")
    if asked.resource == "*":
        return Permit(asked.action)
    if not asked.resource.startswith(_ARN) or len(asked.resource) == len(_ARN):
        raise ValidationError(f"resource is neither * nor an ARN that begins with {_ARN}")
    bucket, _, key = asked.resource.removeprefix(_ARN).partition("/")
    return Permit(asked.action, bucket, key)


def _moment(text: str, now: datetime) -> datetime:
    if not text:
        return now
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ValidationError("at is not a time like 2026-01-31T12:00:00Z") from error


def _caller(call: AdminCall, name: str) -> Principal:
    """Return who a name or access key is. Raises NoSuchEntity: there is no such user, or it has no active key."""
    directory = call.directory
    if name == "anonymous":
        return ANONYMOUS
    if name == "root":
        return principal_of(directory.root)
    found = directory.find(name)
    if found is None:
        users = (directory.find(key.id) for key in pick(directory, UserRecord, name).keys)
        found = next((user for user in users if user is not None), None)
    if found is None:
        raise NoSuchEntity(f"The user {name[:128]} has no active key, so that no request can be theirs.")
    return principal_of(found)
