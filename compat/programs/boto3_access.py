"""boto3 for who may what: a bucket's policy and access list, a user with keys, groups and policies, sessions, a role.

Each document is put, read back, put again as it was read, and removed; what nobody was given is refused meanwhile.
"""

import json
import os
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError

BUCKET = os.environ["BUCKET"]
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def refused(code: str, call: Callable[..., Any], **arguments: Any) -> None:
    """Make a call that must be refused with a code."""
    found = "no error"
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
    assert found == code, f"{found} instead of {code}"


def document(effect: str, action: str, resource: str, **more: object) -> dict[str, Any]:
    """Return a policy of one statement."""
    statement = {"Sid": "One", "Effect": effect, "Action": action, "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def of(session: dict[str, str], service: str) -> Any:
    """Return a client with temporary credentials, or with the keys of a user."""
    return boto3.client(
        service,
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session.get("SessionToken"),
    )


def bucket_documents(s3: Any) -> None:
    """Put, read, put again and remove the policy and the access list of a bucket."""
    refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=BUCKET)
    wanted = document("Allow", "s3:GetObject", f"arn:aws:s3:::{BUCKET}/*", Principal="*")
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(wanted))
    for _ in range(2):
        read = s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
        assert json.loads(read) == wanted
        s3.put_bucket_policy(Bucket=BUCKET, Policy=read)
    assert s3.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"]["IsPublic"]
    s3.delete_bucket_policy(Bucket=BUCKET)
    refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=BUCKET)
    refused("AccessControlListNotSupported", s3.put_bucket_acl, Bucket=BUCKET, ACL="public-read")
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_bucket_acl(Bucket=BUCKET, ACL="public-read")
    for _ in range(2):
        read = s3.get_bucket_acl(Bucket=BUCKET)
        assert [it["Permission"] for it in read["Grants"]] == ["FULL_CONTROL", "READ"]
        s3.put_bucket_acl(Bucket=BUCKET, AccessControlPolicy={name: read[name] for name in ("Owner", "Grants")})
    s3.put_bucket_acl(Bucket=BUCKET, ACL="private")
    s3.delete_bucket_ownership_controls(Bucket=BUCKET)
    refused("OwnershipControlsNotFoundError", s3.get_bucket_ownership_controls, Bucket=BUCKET)


def users(s3: Any, iam: Any) -> None:
    """Make a user, a group, policies and a role; use them by keys and sessions; remove all."""
    iam.create_user(UserName="boto-user", Tags=[{"Key": "team", "Value": "größe"}])
    key = iam.create_access_key(UserName="boto-user")["AccessKey"]
    theirs = of(key, "s3")
    refused("AccessDenied", theirs.get_object, Bucket=BUCKET, Key="k")
    iam.create_group(GroupName="boto-group")
    iam.add_user_to_group(GroupName="boto-group", UserName="boto-user")
    iam.attach_group_policy(GroupName="boto-group", PolicyArn=READ_ONLY)
    assert theirs.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"data"
    refused("AccessDenied", theirs.put_object, Bucket=BUCKET, Key="k")
    inline = document("Allow", "s3:PutObject", f"arn:aws:s3:::{BUCKET}/own/*")
    for _ in range(2):
        iam.put_user_policy(UserName="boto-user", PolicyName="own", PolicyDocument=json.dumps(inline))
        inline = iam.get_user_policy(UserName="boto-user", PolicyName="own")["PolicyDocument"]
    theirs.put_object(Bucket=BUCKET, Key="own/k", Body=b"x")
    iam.put_user_permissions_boundary(UserName="boto-user", PermissionsBoundary=READ_ONLY)
    refused("AccessDenied", theirs.put_object, Bucket=BUCKET, Key="own/k")
    iam.delete_user_permissions_boundary(UserName="boto-user")
    sts = of(key, "sts")
    session = sts.get_session_token(DurationSeconds=900)["Credentials"]
    of(session, "s3").put_object(Bucket=BUCKET, Key="own/k", Body=b"x")
    refused("AccessDenied", of(session, "iam").list_users)
    trust = document(
        "Allow", "sts:AssumeRole", "", Principal={"AWS": iam.get_user(UserName="boto-user")["User"]["Arn"]}
    )
    del trust["Statement"][0]["Resource"]
    role = iam.create_role(RoleName="boto-role", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    assert role["AssumeRolePolicyDocument"] == trust
    iam.attach_role_policy(RoleName="boto-role", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    narrow = json.dumps(document("Allow", "s3:GetObject", "*"))
    asked = {"RoleArn": role["Arn"], "RoleSessionName": "job"}
    wide, narrowed = (sts.assume_role(**asked, **more)["Credentials"] for more in ({}, {"Policy": narrow}))
    of(wide, "s3").put_object(Bucket=BUCKET, Key="by-role", Body=b"x")
    of(narrowed, "s3").get_object(Bucket=BUCKET, Key="by-role")
    refused("AccessDenied", of(narrowed, "s3").put_object, Bucket=BUCKET, Key="by-role")
    iam.detach_role_policy(RoleName="boto-role", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    refused("AccessDenied", of(wide, "s3").put_object, Bucket=BUCKET, Key="by-role")
    iam.delete_role(RoleName="boto-role")
    refused("NoSuchEntity", iam.get_role, RoleName="boto-role")
    iam.update_access_key(UserName="boto-user", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    refused("InvalidAccessKeyId", theirs.get_object, Bucket=BUCKET, Key="k")
    iam.delete_access_key(UserName="boto-user", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="boto-user", PolicyName="own")
    refused("NoSuchEntity", iam.get_user_policy, UserName="boto-user", PolicyName="own")
    iam.remove_user_from_group(GroupName="boto-group", UserName="boto-user")
    iam.detach_group_policy(GroupName="boto-group", PolicyArn=READ_ONLY)
    iam.delete_group(GroupName="boto-group")
    iam.delete_user(UserName="boto-user")
    refused("NoSuchEntity", iam.get_user, UserName="boto-user")
    for name in ("own/k", "by-role"):
        s3.delete_object(Bucket=BUCKET, Key=name)


def main() -> None:
    """Do all of it."""
    s3, iam = boto3.client("s3"), boto3.client("iam")
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"data")
    bucket_documents(s3)
    users(s3, iam)
    print("a policy, an access list, a user, a group, a boundary, a role and three sessions")


if __name__ == "__main__":
    main()
