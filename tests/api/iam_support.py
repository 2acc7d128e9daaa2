"""What the tests of users do again and again: clients of each service, and taking apart what was made."""

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError


def client(server, service, keys, token=None, region="us-east-1"):
    """Return a client that tries once."""
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        aws_session_token=token,
        region_name=region,
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


def of_session(server, service, credentials):
    """Return a client with the credentials of a session."""
    keys = credentials["AccessKeyId"], credentials["SecretAccessKey"]
    return client(server, service, keys, token=credentials["SessionToken"])


def code_of(call, **arguments):
    """Return the error code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def remove(iam, name):
    """Remove a user with all that it has, as clients do."""
    try:
        keys = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    except iam.exceptions.NoSuchEntityException:
        return
    for key in keys:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    for policy in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
    for group in iam.list_groups_for_user(UserName=name)["Groups"]:
        iam.remove_user_from_group(UserName=name, GroupName=group["GroupName"])
    iam.delete_user(UserName=name)


def allowing(action, resource="*", **more):
    """Return a statement that allows."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}
