"""Who makes a call that is not one of S3, and what it may do."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from s3ish.auth.condition_keys import Circumstances, Tags
from s3ish.auth.credentials import User
from s3ish.auth.evaluator import Denied, decide_beside
from s3ish.auth.principals import Principal
from s3ish.errors import AccessDenied
from s3ish.identity.records import RoleRecord, UserRecord
from s3ish.identity.registry import Registry

_TAG_FAMILIES = ("aws:resourcetag", "iam:resourcetag")
_POLICY_KEY, _BOUNDARY_KEY = "iam:policyarn", "iam:permissionsboundary"


class Caller(Struct, frozen=True, kw_only=True):
    """A caller: ``principal`` is who it is as far as rights go, ``circumstances`` what else rules may ask."""

    principal: Principal
    registry: Registry
    circumstances: Circumstances

    @property
    def now(self) -> datetime:
        """When it calls."""
        return self.circumstances.now

    def said(self, action: str) -> Tags:  # noqa: ARG002 - the form of every kind of caller
        """Return what conditions may ask of the parameters that an action reads."""
        return ()

    def tags_of(self, resource: str) -> Tags:
        """Return what conditions may ask of the tags of the user or role that is acted on."""
        directory = self.registry.directory
        named = directory.id_of(resource)
        found = directory.by_id(UserRecord, named) or directory.by_id(RoleRecord, named) or directory.policy(resource)
        tags = found.tags if found else ()
        return tuple((f"{family}/{key.lower()}", value) for family in _TAG_FAMILIES for key, value in tags)

    def require(self, action: str, resource: str, policy: str = "", boundary: str = "") -> None:
        """Check that the caller may do something. Raises AccessDenied, whose text names what is missing.

        Args:
            action: with its service: ``iam:CreateUser``.
            resource: an ARN, or ``*``.
            policy: the ARN of the managed policy that is attached or detached: conditions ask for it, so that who may
                give rights can be held to some.
            boundary: the ARN of the permissions boundary of whom it acts on, after a call that sets one: conditions ask
                for it, so that who may make users can be held to bounded ones.
        """
        further = tuple((key, arn) for key, arn in ((_POLICY_KEY, policy), (_BOUNDARY_KEY, boundary)) if arn)
        further += self.said(action) + self.tags_of(resource)
        circumstances = replace(self.circumstances, further=further) if further else self.circumstances
        decision = decide_beside(self.principal, action, resource, circumstances)
        if isinstance(decision, Denied):
            who = self.principal.arn
            error = AccessDenied(f"User: {who} is not authorized to perform: {action} on resource: {resource}")
            error.reason = decision.by
            raise error


def refuse_session(user: User) -> None:
    """Refuse a session of a user, which must not gain what lasts longer; one in a role has what the role has.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_getsessiontoken.html

    Raises:
        AccessDenied: it is one.
    """
    if user.parent and not user.id.startswith(RoleRecord.mark):
        raise AccessDenied("Cannot change or show users with the credentials of a session.")
