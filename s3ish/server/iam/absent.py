"""What no user has here: a password, other keys, second factors. Programs ask before they remove a user.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
"""

from s3ish.errors import NoSuchEntity
from s3ish.identity.picking import pick
from s3ish.identity.records import UserRecord
from s3ish.server.iam.users import check
from s3ish.server.query_call import Action, Call, members
from s3ish.server.query_protocol import element

_OF_USERS = {
    "ListMFADevices": "MFADevices",
    "ListSSHPublicKeys": "SSHPublicKeys",
    "ListServiceSpecificCredentials": "ServiceSpecificCredentials",
    "ListSigningCertificates": "Certificates",
}
"""Lists of what a user has, by their actions, and the elements around them."""
_OF_ACCOUNT = {
    "ListAccountAliases": "AccountAliases",
    "ListInstanceProfiles": "InstanceProfiles",
    "ListSAMLProviders": "SAMLProviderList",
    "ListServerCertificates": "ServerCertificateMetadataList",
    "ListVirtualMFADevices": "VirtualMFADevices",
}
"""The same of the account."""


def _nothing(field: str) -> str:
    return members(field, []) + element("IsTruncated", False)


def _of_user(action: str, field: str) -> Action:
    async def answer(call: Call) -> str:
        name = check(call, action)
        if name:
            pick(call.registry.directory, UserRecord, name)
        return _nothing(field)

    return answer


def _of_account(action: str, field: str) -> Action:
    async def answer(call: Call) -> str:
        call.require(f"iam:{action}", "*")
        return _nothing(field)

    return answer


def _no_password(action: str) -> Action:
    async def answer(call: Call) -> str:
        name = check(call, action)
        if name:
            pick(call.registry.directory, UserRecord, name)
        raise NoSuchEntity(f"Login Profile for User {name or 'root'} cannot be found.")

    return answer


ACTIONS: dict[str, Action] = {
    **{action: _of_user(action, field) for action, field in _OF_USERS.items()},
    **{action: _of_account(action, field) for action, field in _OF_ACCOUNT.items()},
    **{action: _no_password(action) for action in ("GetLoginProfile", "DeleteLoginProfile")},
}
