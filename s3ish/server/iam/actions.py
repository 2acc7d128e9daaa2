"""All actions of the IAM query API."""

from s3ish.server.iam import absent, account, groups, keys, policies, rights, roles, simulations, users
from s3ish.server.query_call import Action

ACTIONS: dict[str, Action] = {
    **absent.ACTIONS,
    **account.ACTIONS,
    **groups.ACTIONS,
    **keys.ACTIONS,
    **policies.ACTIONS,
    **rights.ACTIONS,
    **roles.ACTIONS,
    **simulations.ACTIONS,
    **users.ACTIONS,
}
