"""Users, groups, policies and roles as they stand in answers."""

from urllib.parse import quote

from s3ish.auth.lasting import with_principals
from s3ish.identity.directory import Directory
from s3ish.identity.records import GroupRecord, PolicyRecord, PolicyVersion, Record, RoleRecord, UserRecord
from s3ish.server.query_call import members, moment, optional_element
from s3ish.server.query_protocol import element


def user(record: UserRecord) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_User.html"""
    return _named("User", record) + _boundary(record) + tags(record)


def group(record: GroupRecord) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_Group.html"""
    return _named("Group", record)


def role(record: RoleRecord, directory: Directory) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html"""
    return (
        _named("Role", record)
        + element("AssumeRolePolicyDocument", document(with_principals(record.trust, directory.arn_of)))
        + optional_element("Description", record.description)
        + element("MaxSessionDuration", record.most_seconds)
        + _boundary(record)
        + tags(record)
    )


def policy(record: PolicyRecord, arn: str, directory: Directory) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_Policy.html"""
    return (
        element("PolicyName", record.name)
        + element("PolicyId", record.id)
        + element("Arn", arn)
        + element("Path", record.path)
        + element("DefaultVersionId", record.default)
        + element("AttachmentCount", len(directory.attached_to(arn)))
        + element("PermissionsBoundaryUsageCount", len(directory.bounded_by(arn)))
        + element("IsAttachable", True)
        + optional_element("Description", record.description)
        + element("CreateDate", moment(record.created_ns))
        + element("UpdateDate", moment(record.updated_ns or record.created_ns))
        + tags(record)
    )


def version(record: PolicyRecord, one: PolicyVersion, *, whole: bool) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_PolicyVersion.html"""
    return (
        (element("Document", document(one.document)) if whole else "")
        + element("VersionId", one.id)
        + element("IsDefaultVersion", one.id == record.default)
        + element("CreateDate", moment(one.created_ns))
    )


def attached(policy_arn: str) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachedPolicy.html"""
    return element("PolicyName", policy_arn.rpartition("/")[2]) + element("PolicyArn", policy_arn)


def tags(record: Record) -> str:
    """Return the tags of a record; nothing if it has none."""
    return _tag_list(record) if record.tags else ""


def all_tags(record: Record) -> str:
    """Return the answer that lists the tags of a record: all on one page."""
    return _tag_list(record) + element("IsTruncated", False)


def document(text: str) -> str:
    """Return a policy as answers hold it: encoded as in a URL."""
    return quote(text, safe="-_.~")


def _named(kind: str, record: Record) -> str:
    return (
        element("Path", record.path)
        + element(f"{kind}Name", record.name)
        + element(f"{kind}Id", record.id)
        + element("Arn", record.arn)
        + element("CreateDate", moment(record.created_ns))
    )


def _boundary(record: UserRecord | RoleRecord) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachedPermissionsBoundary.html"""
    if not record.boundary:
        return ""
    content = element("PermissionsBoundaryType", "Policy") + element("PermissionsBoundaryArn", record.boundary)
    return f"<PermissionsBoundary>{content}</PermissionsBoundary>"


def _tag_list(record: Record) -> str:
    return members("Tags", [element("Key", key) + element("Value", value) for key, value in record.tags])
