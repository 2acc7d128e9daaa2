"""The policies of users, groups and roles, attached and inline: the same calls for each of the three.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html
"""

from collections.abc import Callable

from s3ish.identity import holders
from s3ish.identity.picking import pick
from s3ish.identity.records import GroupRecord, Holder, RoleRecord, UserRecord, arn
from s3ish.server.iam import shown
from s3ish.server.query_call import Action, Call
from s3ish.server.query_protocol import element

_KINDS: dict[str, type[Holder]] = {"User": UserRecord, "Group": GroupRecord, "Role": RoleRecord}


def _check(call: Call, noun: str, action: str, policy: str = "", asked: str | None = None) -> str:
    """Return the name of whom a call is about, if the caller may do that. Raises AccessDenied.

    Args:
        policy: the ARN of the managed policy that it attaches or detaches.
        asked: the ARN of the permissions boundary that it sets.
    """
    name = call.text(f"{noun}Name", most=128)
    found = call.registry.directory.named(_KINDS[noun], name)
    resource, boundary = (found.arn, found.boundary) if found else (arn(noun.lower(), name), "")
    call.require(f"iam:{action}", resource, policy, boundary if asked is None else asked)
    return name


def _put(noun: str) -> Action:
    async def act(call: Call) -> str:
        name = _check(call, noun, f"Put{noun}Policy")
        document = call.text("PolicyDocument", most=131_072)
        await holders.put_inline(call.registry, _KINDS[noun], name, call.text("PolicyName", most=128), document)
        return ""

    return act


def _get(noun: str) -> Action:
    async def act(call: Call) -> str:
        name = _check(call, noun, f"Get{noun}Policy")
        policy_name = call.text("PolicyName", most=128)
        text = holders.find_inline(pick(call.registry.directory, _KINDS[noun], name), policy_name)
        return (
            element(f"{noun}Name", name)
            + element("PolicyName", policy_name)
            + element("PolicyDocument", shown.document(text))
        )

    return act


def _list(noun: str) -> Action:
    async def act(call: Call) -> str:
        name = _check(call, noun, f"List{noun}Policies")
        found = sorted(pick(call.registry.directory, _KINDS[noun], name).inline)
        return call.page(found, lambda it: it, lambda it: element("member", it), "PolicyNames")

    return act


def _delete(noun: str) -> Action:
    async def act(call: Call) -> str:
        name = _check(call, noun, f"Delete{noun}Policy")
        await holders.delete_inline(call.registry, _KINDS[noun], name, call.text("PolicyName", most=128))
        return ""

    return act


def _attach(noun: str) -> Action:
    async def act(call: Call) -> str:
        policy = call.text("PolicyArn")
        name = _check(call, noun, f"Attach{noun}Policy", policy)
        await holders.attach(call.registry, _KINDS[noun], name, policy)
        return ""

    return act


def _detach(noun: str) -> Action:
    async def act(call: Call) -> str:
        policy = call.text("PolicyArn")
        name = _check(call, noun, f"Detach{noun}Policy", policy)
        await holders.detach(call.registry, _KINDS[noun], name, policy)
        return ""

    return act


def _list_attached(noun: str) -> Action:
    async def act(call: Call) -> str:
        name = _check(call, noun, f"ListAttached{noun}Policies")
        prefix = f":policy{call.path_prefix()}"
        attached = pick(call.registry.directory, _KINDS[noun], name).attached
        found = sorted(policy for policy in attached if prefix in policy)
        return call.page(found, lambda it: it, lambda it: f"<member>{shown.attached(it)}</member>", "AttachedPolicies")

    return act


def _put_boundary(noun: str) -> Action:
    async def act(call: Call) -> str:
        boundary = call.text("PermissionsBoundary", most=2048)
        name = _check(call, noun, f"Put{noun}PermissionsBoundary", asked=boundary)
        await holders.set_boundary(call.registry, _KINDS[noun], name, boundary)
        return ""

    return act


def _delete_boundary(noun: str) -> Action:
    async def act(call: Call) -> str:
        name = _check(call, noun, f"Delete{noun}PermissionsBoundary")
        await holders.set_boundary(call.registry, _KINDS[noun], name, "")
        return ""

    return act


_FORMS: dict[str, Callable[[str], Action]] = {
    "Attach{}Policy": _attach,
    "Delete{}Policy": _delete,
    "Detach{}Policy": _detach,
    "Get{}Policy": _get,
    "ListAttached{}Policies": _list_attached,
    "List{}Policies": _list,
    "Put{}Policy": _put,
}
_OF_BOUNDARIES: dict[str, Callable[[str], Action]] = {
    "Delete{}PermissionsBoundary": _delete_boundary,
    "Put{}PermissionsBoundary": _put_boundary,
}
ACTIONS: dict[str, Action] = {
    **{form.format(noun): make(noun) for form, make in _FORMS.items() for noun in _KINDS},
    **{form.format(noun): make(noun) for form, make in _OF_BOUNDARIES.items() for noun in ("User", "Role")},
}
