"""Whether a caller may do what it asks: one pure function, asked for every right that a request needs.

The order is AWS's: what is denied is denied; then a policy of the caller, a policy of the bucket or an access list must
give the right. What policies of the caller give, its permissions boundary must give too, and to a session its policy.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-s3-evaluates-access-control.html

A user without policies is an account of its own: a bucket belongs to whom created it, who may do everything with it.
The root user may do everything that no policy denies.
"""

from msgspec import Struct
from msgspec.structs import replace

from s3ish.auth.acl import PERMISSION_OF, AccessList, grants
from s3ish.auth.condition_keys import Circumstances, Tags, values_of
from s3ish.auth.policy import Policy
from s3ish.auth.principals import Principal
from s3ish.model import Owner

_ALWAYS = frozenset(("getbucketpolicy", "putbucketpolicy", "deletebucketpolicy"))
"""What no policy can take from the owner of a bucket: else a policy could lock all out."""


class Permit(Struct, frozen=True):
    """One right that a request needs: an action on a resource.

    ``bucket`` is empty for the service itself, ``key`` for a bucket as a whole. ``below`` asks for all keys that begin
    with ``key``: what allows must allow all of them, what denies some of them denies it. ``version_id`` is that of the
    version that it is about, where the query of the request does not name it. ``said`` is what the body of the request
    says, as headers in lower case, which stand in place of those of the request, or as condition keys. ``made`` says
    that it is about what the caller's account makes, an object or an upload in parts, and not about an object that is
    there: that account gives the right, whoever owns the bucket.
    """

    action: str
    bucket: str = ""
    key: str = ""
    below: bool = False
    version_id: str | None = None
    said: tuple[tuple[str, str], ...] = ()
    made: bool = False

    @property
    def resource(self) -> str:
        """The resource's ARN; that of the service itself is what AWS's own examples name for it.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/walkthrough1.html
        """
        if not self.bucket:
            return "arn:aws:s3:::*"
        whole = not self.key and not self.below
        return f"arn:aws:s3:::{self.bucket}" if whole else f"arn:aws:s3:::{self.bucket}/{self.key}"


class Block(Struct, frozen=True):
    """The public access block of a bucket."""

    block_acls: bool = False
    ignore_acls: bool = False
    block_policy: bool = False
    restrict: bool = False


class BucketRules(Struct, frozen=True):
    """What a bucket says of who may do what with it.

    ``acls_count`` says whether access lists have a meaning: they have none where the owner of the bucket owns all.
    ``tags`` are those of the bucket, where they count for access.
    """

    owner: Owner
    policy: Policy | None = None
    acl: AccessList | None = None
    acls_count: bool = False
    block: Block = Block()
    tags: Tags = ()


class Allowed(Struct, frozen=True):
    """The right is given; ``by`` names the rule that gives it."""

    by: str


class Denied(Struct, frozen=True):
    """The right is not given; ``by`` says why, for the log and the operator, never for the client.

    ``explicit`` says that a policy denies it, so that nothing else can give it.
    """

    by: str
    explicit: bool = False


Decision = Allowed | Denied


class _Question(Struct, frozen=True):
    """A right as policies are asked for it: ``action`` without its service where that is S3, in lower case.

    ``about`` is the ARN of a resource, or the permit that names one: most callers have no policy that asks for it.
    ``is_bounded`` says that the permissions boundary of the caller does not give it: then no policy of the caller does.
    """

    principal: Principal
    action: str
    about: Permit | str
    circumstances: Circumstances
    below: bool = False

    @property
    def is_bounded(self) -> bool:
        boundary = self.principal.boundary
        return boundary is not None and not self.find(boundary, allows=True)

    def find(self, policy: Policy | None, *, allows: bool, by_name: bool = False, delegated: bool = True) -> str:
        """Return the statement of a policy that allows or denies it; empty if there is none. See ``Policy.find``."""
        if policy is None:
            return ""
        return policy.find(
            allows=allows,
            principal=self.principal,
            action=self.action,
            resource=self.about if isinstance(self.about, str) else self.about.resource,
            values=values_of(self.principal, self.circumstances, self.action),
            below=self.below,
            by_name=by_name,
            delegated=delegated,
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether the policy of the caller's session does not give it."""
        session = self.principal.session
        return session is not None and not self.find(session, allows=True)


def decide(
    principal: Principal,
    permit: Permit,
    rules: BucketRules | None,
    circumstances: Circumstances,
    object_acl: AccessList | None = None,
) -> Decision:
    """Return whether a principal has a right.

    Args:
        rules: those of the permit's bucket; None for the service itself, or if there is no such bucket.
        object_acl: the access list of the object that the permit is about, where that is known.
    """
    action = permit.action.partition(":")[2].lower()
    if permit.said:
        headers = {name: value for name, value in permit.said if ":" not in name}
        keys = tuple((name, value) for name, value in permit.said if ":" in name)
        circumstances = replace(
            circumstances,
            headers={**circumstances.headers, **headers},
            further=(*circumstances.further, *keys),
        )
    if rules is not None and rules.tags:
        circumstances = replace(circumstances, bucket_tags=rules.tags)
    if permit.version_id is not None:
        circumstances = replace(circumstances, further=(*circumstances.further, ("s3:versionid", permit.version_id)))
    asked = _Question(principal, action, permit, circumstances, permit.below)
    owns = not principal.is_anonymous and (rules is None or rules.owner.id == principal.owner.id)
    if owns and action in _ALWAYS and not principal.is_narrowed:
        return Allowed("the owner of a bucket keeps its policy")
    if denial := _denial(asked, rules):
        return Denied(denial, explicit=True)
    by = _given(asked, rules, object_acl, owns=owns, made=permit.made)
    if not by and asked.is_bounded:
        return Denied(f"{permit.action} on {permit.resource}: {_outside(principal)}")
    if not by:
        return Denied(f"{permit.action} on {permit.resource}: no rule gives it to {_name(principal)}")
    if asked.is_narrowed and not (principal.is_session_by_name and owns and _of_policy_by_name(asked, rules)):
        return Denied(f"{permit.action} on {permit.resource}: the policy of the session does not give it")
    return Allowed(by)


def decide_beside(principal: Principal, action: str, resource: str, circumstances: Circumstances) -> Decision:
    """Return whether a principal may do what is not S3: with users, keys and policies.

    Only a policy of its own gives such a right; who owns buckets as an account does has none.

    Args:
        action: with its service: ``iam:CreateUser``. One of S3 is decided by the policies of the principal alone.
        resource: the ARN of what it acts on, or ``*``.
    """
    asked = _Question(principal, action.lower().removeprefix("s3:"), resource, circumstances)
    if denial := _denial(asked, None):
        return Denied(denial, explicit=True)
    if principal.is_root:
        by = "the root user may do everything"
    else:
        by = _of_caller(asked, owns=False) if principal.is_of_account else ""
    if not by and asked.is_bounded:
        return Denied(f"{action} on {resource}: {_outside(principal)}")
    if not by:
        return Denied(f"{action} on {resource}: no policy gives it to {_name(principal)}")
    if asked.is_narrowed:
        return Denied(f"{action} on {resource}: the policy of the session does not give it")
    return Allowed(by)


def decide_assuming(
    principal: Principal, trust: Policy, role: str, circumstances: Circumstances, action: str = "sts:AssumeRole"
) -> Decision:
    """Return whether a principal may assume a role: the role must trust it.

    Where the role trusts the account as a whole, a policy of the principal must allow it as well.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

    Args:
        trust: the policy of the role that says whom it trusts.
        role: its ARN.
        action: the call that asks for it.
    """
    own = decide_beside(principal, action, role, circumstances)
    if isinstance(own, Denied) and own.explicit:
        return own
    asked = _Question(principal, action.lower(), role, circumstances)
    if name := asked.find(trust, allows=False):
        return Denied(f"denied by {name} of the policy that says whom {role} trusts", explicit=True)
    name = asked.find(trust, allows=True)
    if not name:
        return Denied(f"{role} does not trust {_name(principal)}")
    by_name = replace(asked, principal=replace(principal, policies=None)).find(trust, allows=True)
    if isinstance(own, Denied) and not by_name:
        return own
    return Allowed(f"allowed by {name} of the policy that says whom {role} trusts")


def _outside(principal: Principal) -> str:
    return f"the permissions boundary of {_name(principal)} does not give it"


def _name(principal: Principal) -> str:
    return "anonymous callers" if principal.is_anonymous else principal.name or principal.owner.id


def _denial(asked: _Question, rules: BucketRules | None) -> str:
    """Return which statement denies a right; empty if none does."""
    principal = asked.principal
    if rules is not None and rules.policy and (name := asked.find(rules.policy, allows=False)):
        return f"denied by {name} of the bucket's policy"
    for policy in principal.policies or ():
        if name := asked.find(policy, allows=False):
            return f"denied by {name} of a policy of {_name(principal)}"
    if principal.boundary and (name := asked.find(principal.boundary, allows=False)):
        return f"denied by {name} of the permissions boundary of {_name(principal)}"
    if principal.session and (name := asked.find(principal.session, allows=False)):
        return f"denied by {name} of the policy of the session"
    return ""


def _given(
    asked: _Question, rules: BucketRules | None, object_acl: AccessList | None, *, owns: bool, made: bool
) -> str:
    """Return which rule gives a right; empty if none does."""
    principal = asked.principal
    if principal.is_root:
        return "the root user may do everything"
    own = _of_caller(asked, owns=owns)
    if own and made:
        return own
    of_object, permission = PERMISSION_OF.get(asked.action, (False, ""))
    is_of_another = object_acl is not None and object_acl.owner.id != principal.owner.id
    foreign = of_object and is_of_another
    if own and owns and not foreign:  # what others own in a bucket, its owner may remove, but not read
        return own
    if rules is None:
        return ""
    by = _of_policy(asked, rules, owns=owns, trusted=bool(own) or not principal.is_of_account)
    if permission == "WRITE" and is_of_another:
        permission = ""
    if not by and rules.acls_count and permission and not asked.is_bounded:
        by = _of_acl(principal, permission, object_acl if of_object else rules.acl, rules.block, trusted=bool(own))
    if principal.is_of_account and not owns and not own:
        return ""  # a user of one account needs a right on what is another's from both
    return by


def _of_caller(asked: _Question, *, owns: bool) -> str:
    """Return which rule of the caller's own gives a right."""
    principal = asked.principal
    if principal.is_anonymous:
        return ""
    if principal.policies is None:
        return "the owner of a bucket may do everything with it" if owns else "an account may ask others"
    if asked.is_bounded:
        return ""
    for policy in principal.policies:
        if name := asked.find(policy, allows=True):
            return f"allowed by {name} of a policy of {_name(principal)}"
    return ""


def _of_policy(asked: _Question, rules: BucketRules, *, owns: bool, trusted: bool) -> str:
    """Return which statement of the bucket's policy gives a right.

    Args:
        trusted: whether what the caller's account is given is given to the caller.
    """
    if rules.policy is None or (rules.block.restrict and not owns and rules.policy.is_public):
        return ""
    if asked.is_bounded:
        return _of_policy_by_name(asked, rules)
    name = asked.find(rules.policy, allows=True, delegated=trusted)
    return name and f"allowed by {name} of the bucket's policy"


def _of_policy_by_name(asked: _Question, rules: BucketRules | None) -> str:
    """Return which statement of the bucket's policy gives a right to the user, or to the session of a role, by name.

    Neither a permissions boundary nor a policy of the session limits what is given so.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
    """
    if rules is None:
        return ""
    itself = replace(asked, principal=asked.principal.itself)
    name = itself.find(rules.policy, allows=True, by_name=True)
    return name and f"allowed by {name} of the bucket's policy"


def _of_acl(principal: Principal, permission: str, acl: AccessList | None, block: Block, *, trusted: bool) -> str:
    """Return how an access list gives a right.

    Args:
        trusted: whether what the caller's account is granted is granted to the caller.
    """
    if acl is None or not grants(acl, principal, permission, by_id=trusted, by_group=not block.ignore_acls):
        return ""
    return f"the access list grants {permission} to {_name(principal)}"
