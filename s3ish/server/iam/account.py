"""The account as a whole, as the IAM query API shows it: how much there is of what, all of it, and who may sign in how.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
"""

import base64
import csv
import io
from collections.abc import Iterator

from s3ish.auth.ready_policies import READY
from s3ish.errors import NoSuchEntity, ValidationError
from s3ish.identity.directory import READY_ARN, Directory, ready_policy
from s3ish.identity.groups import MOST_GROUPS
from s3ish.identity.holders import MOST_ATTACHED, MOST_INLINE
from s3ish.identity.keys import MOST_KEYS
from s3ish.identity.policies import MOST_CHARACTERS, MOST_POLICIES, MOST_VERSIONS
from s3ish.identity.records import GroupRecord, Holder, PolicyRecord, Record, RoleRecord, UserRecord, arn
from s3ish.identity.roles import MOST_ROLES, MOST_TRUST_CHARACTERS
from s3ish.identity.users import MOST_USERS
from s3ish.model import ACCOUNT
from s3ish.server.iam import shown
from s3ish.server.query_call import Action, Call, members, moment
from s3ish.server.query_protocol import element

_LISTS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
_NEITHER = "N/A"
_KEYS_SHOWN = 2
"""How many keys of a user a credential report has room for."""
_COLUMNS = [
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "password_next_rotation",
    "mfa_active",
    "access_key_1_active",
    "access_key_1_last_rotated",
    "access_key_1_last_used_date",
    "access_key_1_last_used_region",
    "access_key_1_last_used_service",
    "access_key_2_active",
    "access_key_2_last_rotated",
    "access_key_2_last_used_date",
    "access_key_2_last_used_region",
    "access_key_2_last_used_service",
    "cert_1_active",
    "cert_1_last_rotated",
    "cert_2_active",
    "cert_2_last_rotated",
]


async def get_account_summary(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html"""
    call.require("iam:GetAccountSummary", "*")
    directory = call.registry.directory
    policies = directory.all(PolicyRecord)
    found = {
        "AccessKeysPerUserQuota": MOST_KEYS,
        "AccountAccessKeysPresent": 1,
        "AccountMFAEnabled": 0,
        "AssumeRolePolicySizeQuota": MOST_TRUST_CHARACTERS,
        "AttachedPoliciesPerGroupQuota": MOST_ATTACHED,
        "AttachedPoliciesPerRoleQuota": MOST_ATTACHED,
        "AttachedPoliciesPerUserQuota": MOST_ATTACHED,
        "GroupPolicySizeQuota": MOST_INLINE[GroupRecord],
        "Groups": len(directory.all(GroupRecord)),
        "GroupsQuota": MOST_GROUPS,
        "InstanceProfiles": 0,
        "MFADevices": 0,
        "MFADevicesInUse": 0,
        "Policies": len(policies),
        "PoliciesQuota": MOST_POLICIES,
        "PolicySizeQuota": MOST_CHARACTERS,
        "PolicyVersionsInUse": sum(len(policy.versions) for policy in policies),
        "Providers": len(call.providers.all),
        "RolePolicySizeQuota": MOST_INLINE[RoleRecord],
        "Roles": len(directory.all(RoleRecord)),
        "RolesQuota": MOST_ROLES,
        "ServerCertificates": 0,
        "UserPolicySizeQuota": MOST_INLINE[UserRecord],
        "Users": len(directory.all(UserRecord)),
        "UsersQuota": MOST_USERS,
        "VersionsPerPolicyQuota": MOST_VERSIONS,
    }
    entries = "".join(f"<entry>{element('key', key)}{element('value', value)}</entry>" for key, value in found.items())
    return f"<SummaryMap>{entries}</SummaryMap>"


# --- all that there is


async def get_account_authorization_details(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html"""
    call.require("iam:GetAccountAuthorizationDetails", "*")
    wanted = call.members("Filter") or list(_FILTERS)
    if unknown := [kind for kind in wanted if kind not in _FILTERS]:
        raise ValidationError(f"Filter must be of {', '.join(_FILTERS)}, not {unknown[0][:32]}")
    directory = call.registry.directory
    everything = [
        (f"{kind} {policy_arn or record.name}", record, policy_arn)
        for kind in sorted(set(wanted))
        for record, policy_arn in _all(directory, kind)
    ]
    found, end = call.cut(everything, lambda it: it[0])
    lists: dict[str, list[str]] = {field: [] for field in _LISTS}
    for _, record, policy_arn in found:
        field, text = _detail(directory, record, policy_arn)
        lists[field].append(text)
    return "".join(members(field, texts) for field, texts in lists.items()) + end


def _all(directory: Directory, kind: str) -> Iterator[tuple[Record, str]]:
    """Yield all of a kind in the order of their names; of managed policies the ARNs too."""
    if kind == "AWSManagedPolicy":
        yield from ((ready_policy(name), READY_ARN + name) for name in sorted(READY))
    elif kind == "LocalManagedPolicy":
        yield from sorted(((it, it.arn) for it in directory.all(PolicyRecord)), key=lambda it: it[1])
    else:
        yield from ((it, "") for it in directory.all(_FILTERS[kind]))


def _detail(directory: Directory, record: Record, policy_arn: str) -> tuple[str, str]:
    """Return the list that a record stands in, and how it stands there."""
    if isinstance(record, UserRecord):
        return "UserDetailList", _user(record, directory)
    if isinstance(record, GroupRecord):
        return "GroupDetailList", _group(record)
    if isinstance(record, RoleRecord):
        return "RoleDetailList", _role(record, directory)
    assert isinstance(record, PolicyRecord)
    return "Policies", _managed(record, policy_arn, directory)


def _user(user: UserRecord, directory: Directory) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_UserDetail.html"""
    groups = [group.name for group in directory.groups_of(user)]
    return (
        shown.user(user)
        + _policies(user, "UserPolicyList")
        + f"<GroupList>{''.join(element('member', name) for name in groups)}</GroupList>"
    )


def _group(group: GroupRecord) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GroupDetail.html"""
    return shown.group(group) + _policies(group, "GroupPolicyList")


def _role(role: RoleRecord, directory: Directory) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_RoleDetail.html"""
    return shown.role(role, directory) + _policies(role, "RolePolicyList") + members("InstanceProfileList", [])


def _managed(policy: PolicyRecord, policy_arn: str, directory: Directory) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ManagedPolicyDetail.html"""
    versions = [shown.version(policy, version, whole=True) for version in reversed(policy.versions)]
    return shown.policy(policy, policy_arn, directory) + members("PolicyVersionList", versions)


def _policies(holder: Holder, field: str) -> str:
    own = [
        element("PolicyName", name) + element("PolicyDocument", shown.document(text))
        for name, text in sorted(holder.inline.items())
    ]
    return members(field, own) + members("AttachedManagedPolicies", [shown.attached(it) for it in holder.attached])


# --- who may sign in how


async def get_account_password_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountPasswordPolicy.html"""
    call.require("iam:GetAccountPasswordPolicy", "*")
    raise NoSuchEntity(f"The Password Policy with domain name {ACCOUNT} cannot be found.")


async def list_providers(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListOpenIDConnectProviders.html"""
    call.require("iam:ListOpenIDConnectProviders", "*")
    names = sorted(provider.name for provider in call.providers.all)
    return members("OpenIDConnectProviderList", [element("Arn", arn("oidc-provider", name)) for name in names])


async def get_provider(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetOpenIDConnectProvider.html

    It stands in the configuration, which keeps no thumbprints and no time.
    """
    wanted = call.text("OpenIDConnectProviderArn")
    call.require("iam:GetOpenIDConnectProvider", wanted)
    for provider in call.providers.all:
        if arn("oidc-provider", provider.name) == wanted:
            audiences = "".join(element("member", audience) for audience in provider.audiences)
            listed = f"<ClientIDList>{audiences}</ClientIDList>" + members("ThumbprintList", [])
            return element("Url", provider.name) + listed + element("CreateDate", moment(0)) + members("Tags", [])
    raise NoSuchEntity(f"OpenIDConnect Provider not found for arn {wanted[:256]}")


async def generate_credential_report(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GenerateCredentialReport.html

    Nothing is kept: a report is of the moment when it is asked for.
    """
    call.require("iam:GenerateCredentialReport", "*")
    return element("State", "COMPLETE")


async def get_credential_report(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetCredentialReport.html"""
    call.require("iam:GetCredentialReport", "*")
    directory, text = call.registry.directory, io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerow(_row("<root_account>", f"arn:aws:iam::{ACCOUNT}:root", 0, [("true", 0, 0)], call))
    used = await call.registry.used.all()
    for user in directory.all(UserRecord):
        newest = sorted(user.keys, key=lambda key: -key.created_ns)[:_KEYS_SHOWN]
        keys = [("true" if key.active else "false", key.created_ns, used.get(key.id, 0)) for key in newest]
        rows.writerow(_row(user.name, user.arn, user.created_ns, keys, call))
    content = base64.b64encode(text.getvalue().encode()).decode()
    generated = moment(call.registry.store.clock.service_ns())
    return element("Content", content) + element("ReportFormat", "text/csv") + element("GeneratedTime", generated)


def _row(name: str, user_arn: str, created_ns: int, keys: list[tuple[str, int, int]], call: Call) -> list[str]:
    """Return a row of a credential report; a key is whether it is active, and when it was made and used."""
    row = [name, user_arn, moment(created_ns), "false", _NEITHER, _NEITHER, _NEITHER, "false"]
    for active, made_ns, used_ns in [*keys, *[("false", 0, 0)] * (_KEYS_SHOWN - len(keys))]:
        used = (moment(used_ns), call.registry.store.region, "s3") if used_ns else (_NEITHER,) * 3
        row += [active, moment(made_ns) if made_ns else _NEITHER, *used]
    return [*row, "false", _NEITHER, "false", _NEITHER]


_FILTERS: dict[str, type[Record]] = {
    "User": UserRecord,
    "Role": RoleRecord,
    "Group": GroupRecord,
    "LocalManagedPolicy": PolicyRecord,
    "AWSManagedPolicy": PolicyRecord,
}
ACTIONS: dict[str, Action] = {
    "GenerateCredentialReport": generate_credential_report,
    "GetAccountAuthorizationDetails": get_account_authorization_details,
    "GetAccountPasswordPolicy": get_account_password_policy,
    "GetAccountSummary": get_account_summary,
    "GetCredentialReport": get_credential_report,
    "GetOpenIDConnectProvider": get_provider,
    "ListOpenIDConnectProviders": list_providers,
}
