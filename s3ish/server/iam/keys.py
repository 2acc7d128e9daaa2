"""Access keys, as the IAM query API names them.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
"""

from s3ish.errors import NoSuchEntity, ValidationError
from s3ish.identity import keys as kept
from s3ish.identity.picking import pick
from s3ish.identity.records import AccessKey, UserRecord
from s3ish.identity.users import check_is_kept
from s3ish.server.iam.users import check
from s3ish.server.query_call import Action, Call, moment
from s3ish.server.query_protocol import element


async def create_access_key(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html"""
    name = check_is_kept(check(call, "CreateAccessKey"))
    new = kept.make_key(call.registry)
    await kept.add_key(call.registry, name, new)
    secret = element("SecretAccessKey", new.secret_key)
    return f"<AccessKey>{_shown(name, new.key)}{secret}</AccessKey>"


async def list_access_keys(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html"""
    name = check(call, "ListAccessKeys")
    found: tuple[AccessKey, ...]
    if name:
        found = pick(call.registry.directory, UserRecord, name).keys
    else:
        found = (AccessKey(call.registry.directory.root.access_key, "", 0),)
    ordered = sorted(found, key=lambda key: key.id)
    return call.page(ordered, lambda it: it.id, lambda it: f"<member>{_shown(name, it)}</member>", "AccessKeyMetadata")


async def update_access_key(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html"""
    name = check_is_kept(check(call, "UpdateAccessKey"))
    access_key, status = call.text("AccessKeyId", most=128), call.text("Status")
    if status not in ("Active", "Inactive"):
        raise ValidationError("Status must be Active or Inactive")
    await kept.set_active(call.registry, name, access_key, active=status == "Active")
    return ""


async def delete_access_key(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccessKey.html"""
    name = check_is_kept(check(call, "DeleteAccessKey"))
    await kept.delete_key(call.registry, name, call.text("AccessKeyId", most=128))
    return ""


async def get_access_key_last_used(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html"""
    access_key = call.text("AccessKeyId", most=128)
    found = call.registry.directory.key(access_key)
    call.require("iam:GetAccessKeyLastUsed", found[0].arn if found else "*")
    if found is None:
        raise NoSuchEntity(f"The Access Key with id {access_key} cannot be found.")
    at_ns = await call.registry.used.of(access_key)
    used = element("LastUsedDate", moment(at_ns)) if at_ns else ""
    where = call.registry.store.region if at_ns else "N/A"
    return (
        element("UserName", found[0].name)
        + f"<AccessKeyLastUsed>{used}{element('ServiceName', 's3' if at_ns else 'N/A')}"
        + f"{element('Region', where)}</AccessKeyLastUsed>"
    )


def _shown(user_name: str, key: AccessKey) -> str:
    return (
        (element("UserName", user_name) if user_name else "")
        + element("AccessKeyId", key.id)
        + element("Status", "Active" if key.active else "Inactive")
        + element("CreateDate", moment(key.created_ns))
    )


ACTIONS: dict[str, Action] = {
    "CreateAccessKey": create_access_key,
    "DeleteAccessKey": delete_access_key,
    "GetAccessKeyLastUsed": get_access_key_last_used,
    "ListAccessKeys": list_access_keys,
    "UpdateAccessKey": update_access_key,
}
