"""What policies would decide, as IAM is asked: policies that a call brings, or those of a user, group or role.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
"""

import re

from msgspec.structs import replace

from s3ish.auth.actions import actions_matching
from s3ish.auth.policy import read_policy
from s3ish.auth.policy_fit import check_new
from s3ish.auth.principals import Principal
from s3ish.auth.simulation import Match, Result, Simulation, Source, strictest
from s3ish.errors import InvalidInput, MalformedPolicy, NoSuchEntity
from s3ish.identity.directory import READY_ARN, Directory
from s3ish.identity.picking import pick, pick_policy
from s3ish.identity.records import GroupRecord, Holder, RoleRecord, UserRecord
from s3ish.model import ACCOUNT
from s3ish.server.query_call import Action, Call, members
from s3ish.server.query_protocol import element
from s3ish.wire.xml import escape

_MOST_QUESTIONS, _MOST_LOOKS = 1000, 100_000
"""How many actions on resources a call may ask for, and how many statements and condition keys that may look at, one by
one: the answer, which names them, is computed at once, on a thread."""
_MOST_CHARACTERS = 131_072
_ACTION = re.compile(r"[a-z0-9-]{1,64}:\w{1,64}", re.IGNORECASE | re.ASCII)
_RESOURCE = re.compile(r"\*|arn:[^\s:]+:[^\s:]+:[^\s:]*:[^\s:]*:.+", re.DOTALL)
_BUCKET = re.compile(r"arn:aws:s3:::([^/*?]+)")
_HOLDER = re.compile(rf"arn:aws:iam::{ACCOUNT}:(user|group|role)/(?:[!-~]*/)?([\w+=,.@-]+)", re.ASCII)
_KINDS: dict[str, type[Holder]] = {"user": UserRecord, "group": GroupRecord, "role": RoleRecord}
_TYPES = frozenset(
    f"{name}{more}" for name in ("string", "numeric", "boolean", "ip", "binary", "date") for more in ("", "List")
)


async def simulate_custom_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html"""
    call.require("iam:SimulateCustomPolicy", "*")
    call.some("PolicyInputList")
    return await _answer(call, _brought(call, "PolicyInputList"), None, _named(call))


async def simulate_principal_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html"""
    holder = _source(call, "SimulatePrincipalPolicy")
    directory = call.registry.directory
    own = [*_own(directory, holder), *_brought(call, "PolicyInputList")]
    boundary = _managed(directory, holder.boundary) if holder.boundary else None
    return await _answer(call, own, boundary, _named(call, holder) or _as_principal(directory, holder))


async def get_context_keys_for_custom_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForCustomPolicy.html"""
    call.require("iam:GetContextKeysForCustomPolicy", "*")
    call.some("PolicyInputList")
    return _keys(_brought(call, "PolicyInputList"))


async def get_context_keys_for_principal_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForPrincipalPolicy.html"""
    holder = _source(call, "GetContextKeysForPrincipalPolicy")
    return _keys([*_own(call.registry.directory, holder), *_brought(call, "PolicyInputList")])


def _keys(sources: list[Source]) -> str:
    found = {key.lower(): key for source in sources for key in source.keys}
    return members("ContextKeyNames", [escape(key) for key in found.values()])


async def _answer(call: Call, own: list[Source], boundary: Source | None, caller: Principal | None) -> str:
    brought = _brought(call, "PermissionsBoundaryPolicyInputList")
    if len(brought) > 1:
        raise InvalidInput("Only one permissions boundary can take part.")
    boundary = brought[0] if brought else boundary
    actions, resources = _actions(call), _resources(call)
    if len(actions) * len(resources) > _MOST_QUESTIONS:
        raise InvalidInput(f"At most {_MOST_QUESTIONS} actions on resources can be simulated in one call.")
    of_bucket, bucket = _resource_policy(call, resources[0], has_caller=caller is not None)
    principal = replace(
        caller or Principal("user", call.registry.directory.root.owner),
        policies=tuple(source.policy for source in own),
        boundary=boundary.policy if boundary else None,
    )
    simulation = Simulation(principal, tuple(own), _context(call), call.now, boundary, of_bucket, bucket)
    if len(actions) * len(resources) * simulation.weight > _MOST_LOOKS:
        raise InvalidInput(f"At most {_MOST_LOOKS} statements and condition keys can be looked at in one call.")
    return await call.registry.store.offload.run(
        call.page,
        [(f"{number:05}", action) for number, action in enumerate(actions)],
        lambda it: it[0],
        lambda it: _evaluation(it[1], [simulation.ask(it[1], resource) for resource in resources]),
        "EvaluationResults",
    )


# --- what a call brings


def _actions(call: Call) -> list[str]:
    actions = call.some("ActionNames")
    for action in actions:
        fits = _ACTION.fullmatch(action) is not None
        if fits and action.lower().startswith("s3:"):
            fits = bool(actions_matching(action))
        if not fits:
            raise InvalidInput(f"Invalid action: {action[:128]}")
    return actions


def _resources(call: Call) -> list[str]:
    resources = call.members("ResourceArns") or ["*"]
    for resource in resources:
        if len(resource) > 2048 or not _RESOURCE.fullmatch(resource):
            raise InvalidInput(f"Invalid resource: {resource[:256]}")
    return resources


def _context(call: Call) -> tuple[tuple[str, str], ...]:
    """Return the values of condition keys: ``ContextEntries.member.1.ContextKeyName``, and so on."""
    found: list[tuple[str, str]] = []
    for number in call.numbers("ContextEntries"):
        entry = f"ContextEntries.member.{number}"
        name = call.parameters.get(f"{entry}.ContextKeyName", "")
        if not 5 <= len(name) <= 256 or call.parameters.get(f"{entry}.ContextKeyType") not in _TYPES:
            raise InvalidInput(f"{entry} needs a ContextKeyName of 5 to 256 characters and a ContextKeyType.")
        found += [(name.lower(), value) for value in call.members(f"{entry}.ContextKeyValues")]
    return tuple(found)


def _resource_policy(call: Call, resource: str, *, has_caller: bool) -> tuple[Source | None, str]:
    """Return the policy of a bucket that takes part, and the bucket. Raises InvalidInput.

    Args:
        resource: the first that is asked for.
        has_caller: whether it is known who asks, as such a policy names callers.
    """
    if call.optional("ResourceOwner", ACCOUNT) not in (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"):
        raise InvalidInput(f"The owner of all resources is arn:aws:iam::{ACCOUNT}:root.")
    text, found = call.optional("ResourcePolicy", most=_MOST_CHARACTERS), _BUCKET.match(resource)
    if not text:
        return None, ""
    if not has_caller or found is None:
        raise InvalidInput("A ResourcePolicy needs CallerArn, and a bucket or an object in ResourceArns.")
    return _read("ResourcePolicy", "resource", text, found[1]), found[1]


def _brought(call: Call, field: str) -> list[Source]:
    return [_read(f"{field}.{number}", "none", text) for number, text in enumerate(call.members(field), 1)]


def _read(name: str, kind: str, text: str, bucket: str = "") -> Source:
    try:
        policy = read_policy(text, bucket)
        check_new(text)
    except MalformedPolicy as error:
        raise InvalidInput(f"{name}: {error.message}") from error
    return Source(name, kind, text, policy)


def _named(call: Call, holder: Holder | None = None) -> Principal | None:
    """Return the user whom a call names as who asks; None if it names none.

    It has its tags where it is the holder whose policies are asked: others could be found out by conditions on them.
    """
    arn = call.optional("CallerArn")
    if not arn:
        return None
    found = _HOLDER.fullmatch(arn)
    if found is None or found[1] != "user":
        raise InvalidInput("CallerArn must be the ARN of a user.")
    directory = call.registry.directory
    user = pick(directory, UserRecord, found[2])
    return _as_principal(directory, user if user is holder else replace(user, tags=()))


# --- what users, groups and roles have


def _source(call: Call, action: str) -> Holder:
    """Return whose policies are asked, if the caller may ask. Raises AccessDenied, InvalidInput, NoSuchEntity."""
    arn = call.text("PolicySourceArn")
    call.require(f"iam:{action}", arn)
    found = _HOLDER.fullmatch(arn)
    if found is None:
        raise InvalidInput(f"Invalid Entity Arn: {arn[:256]} does not clearly define entity type and name.")
    holder = pick(call.registry.directory, _KINDS[found[1]], found[2])
    if holder.arn != arn:
        raise NoSuchEntity(f"Could not find entity {arn[:256]}")
    if isinstance(holder, UserRecord) and holder.fixed:
        raise InvalidInput("The policies of users of the configuration are known to s3ish explain alone.")
    return holder


def _own(directory: Directory, holder: Holder) -> list[Source]:
    groups = directory.groups_of(holder) if isinstance(holder, UserRecord) else []
    return [
        source
        for it in (holder, *groups)
        for source in (
            *(Source(name, it.noun, text, read_policy(text)) for name, text in it.inline.items()),
            *(_managed(directory, arn) for arn in it.attached),
        )
    ]


def _managed(directory: Directory, arn: str) -> Source:
    record = pick_policy(directory, arn)
    kind = "aws-managed" if arn.startswith(READY_ARN) else "user-managed"
    return Source(record.name, kind, record.document, read_policy(record.document))


def _as_principal(directory: Directory, holder: Holder) -> Principal | None:
    owner = directory.root.owner
    if isinstance(holder, UserRecord):
        return Principal("user", owner, holder.name, tags=holder.tags, id=holder.id, path=holder.path)
    if not isinstance(holder, RoleRecord):
        return None
    names = (f"assumed-role/{holder.name}/simulated", f"role{holder.path}{holder.name}")
    return Principal("session", owner, names[0].partition("/")[2], names=names, tags=holder.tags, id=f"{holder.id}:")


# --- as it stands in answers


def _evaluation(action: str, results: list[Result]) -> str:
    outcome = strictest(results)
    deciding = [result for result in results if result.outcome == outcome]
    matches = dict.fromkeys(match for result in deciding for match in result.matches)
    missing = dict.fromkeys(key for result in results for key in result.missing)
    bounds = [result.in_bounds for result in results if result.in_bounds is not None]
    shown = (
        element("EvalActionName", action)
        + (element("EvalResourceName", results[0].resource) if len(results) == 1 else "")
        + element("EvalDecision", outcome)
        + _matched(list(matches))
        + members("MissingContextValues", [escape(key) for key in missing])
        + (_bounded(all(bounds)) if bounds else "")
        + members("ResourceSpecificResults", [] if results[0].resource == "*" else [_specific(it) for it in results])
    )
    return f"<member>{shown}</member>"


def _specific(result: Result) -> str:
    return (
        element("EvalResourceName", result.resource)
        + element("EvalResourceDecision", result.outcome)
        + _matched(list(result.matches))
        + members("MissingContextValues", [escape(key) for key in result.missing])
        + (_bounded(result.in_bounds) if result.in_bounds is not None else "")
    )


def _bounded(allowed: bool) -> str:
    detail = element("AllowedByPermissionsBoundary", allowed)
    return f"<PermissionsBoundaryDecisionDetail>{detail}</PermissionsBoundaryDecisionDetail>"


def _matched(matches: list[Match]) -> str:
    return members(
        "MatchedStatements",
        [
            element("SourcePolicyId", match.source.id)
            + element("SourcePolicyType", match.source.kind)
            + _position("StartPosition", match.source.text, match.begin)
            + _position("EndPosition", match.source.text, match.end)
            for match in matches
        ],
    )


def _position(name: str, text: str, at: int) -> str:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return f"<{name}>{element('Line', line)}{element('Column', column)}</{name}>"


ACTIONS: dict[str, Action] = {
    "GetContextKeysForCustomPolicy": get_context_keys_for_custom_policy,
    "GetContextKeysForPrincipalPolicy": get_context_keys_for_principal_policy,
    "SimulateCustomPolicy": simulate_custom_policy,
    "SimulatePrincipalPolicy": simulate_principal_policy,
}
