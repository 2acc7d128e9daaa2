"""All actions of the IAM query API."""

from s3ish.server.iam import keys, rights, users
from s3ish.server.query_call import Action

ACTIONS: dict[str, Action] = {**keys.ACTIONS, **rights.ACTIONS, **users.ACTIONS}
