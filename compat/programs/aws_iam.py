"""The AWS command line for users: ``aws iam`` makes what a team needs, ``aws sts`` uses it, and all is removed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

AWS = Path(sys.executable).parent / "aws"


def aws(*arguments: str, **environment: str) -> Any:
    """Run a command, and return what it prints; a refusal ends the program."""
    command = [AWS, "--output", "json", *arguments]
    ended = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{' '.join(arguments)}: {ended.stderr}"
    return json.loads(ended.stdout) if ended.stdout.strip() else None


def refused(code: str, *arguments: str, **environment: str) -> None:
    """Run a command that must be refused with a code."""
    command = [AWS, *arguments]
    ended = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert ended.returncode != 0, arguments
    assert f"({code})" in ended.stderr, ended.stderr


def document(action: str, resource: str = "*", **more: object) -> str:
    """Return a policy of one statement."""
    statement = {"Effect": "Allow", "Action": action, **({} if more else {"Resource": resource}), **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def bucket_documents(bucket: str) -> None:
    """Put, read, put again and remove the policy and the access list of a bucket."""
    of_bucket = ("--bucket", bucket)
    wanted = document("s3:GetObject", f"arn:aws:s3:::{bucket}/*")
    wanted = json.dumps({**json.loads(wanted), "Statement": [{**json.loads(wanted)["Statement"][0], "Principal": "*"}]})
    for _ in range(2):
        aws("s3api", "put-bucket-policy", *of_bucket, "--policy", wanted)
        read = aws("s3api", "get-bucket-policy", *of_bucket)["Policy"]
        assert json.loads(read) == json.loads(wanted)
        wanted = read
    aws("s3api", "delete-bucket-policy", *of_bucket)
    refused("NoSuchBucketPolicy", "s3api", "get-bucket-policy", *of_bucket)
    refused("AccessControlListNotSupported", "s3api", "put-bucket-acl", *of_bucket, "--acl", "public-read")
    rules = json.dumps({"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    aws("s3api", "put-bucket-ownership-controls", *of_bucket, "--ownership-controls", rules)
    aws("s3api", "put-bucket-acl", *of_bucket, "--acl", "public-read")
    for _ in range(2):
        acl = aws("s3api", "get-bucket-acl", *of_bucket)
        assert [it["Permission"] for it in acl["Grants"]] == ["FULL_CONTROL", "READ"]
        aws("s3api", "put-bucket-acl", *of_bucket, "--access-control-policy", json.dumps(acl))
    aws("s3api", "put-bucket-acl", *of_bucket, "--acl", "private")
    aws("s3api", "delete-bucket-ownership-controls", *of_bucket)
    refused("OwnershipControlsNotFoundError", "s3api", "get-bucket-ownership-controls", *of_bucket)


def main() -> None:
    """Make a user with a group, policies and a role; use its key; remove all."""
    bucket = os.environ["BUCKET"]
    bucket_documents(bucket)
    made = aws("iam", "create-user", "--user-name", "cli-user", "--tags", "Key=team,Value=red")["User"]
    aws("iam", "create-group", "--group-name", "cli-group")
    policy = aws(
        *("iam", "create-policy", "--policy-name", "cli-policy", "--policy-document", document("s3:ListBucket"))
    )["Policy"]["Arn"]
    aws("iam", "attach-group-policy", "--group-name", "cli-group", "--policy-arn", policy)
    aws("iam", "add-user-to-group", "--group-name", "cli-group", "--user-name", "cli-user")
    aws(
        *("iam", "put-user-policy", "--user-name", "cli-user", "--policy-name", "own"),
        *("--policy-document", document("s3:GetObject")),
    )
    key = aws("iam", "create-access-key", "--user-name", "cli-user")["AccessKey"]
    theirs = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    assert aws("sts", "get-caller-identity", **theirs)["Arn"] == made["Arn"]
    aws("s3api", "list-objects-v2", "--bucket", bucket, **theirs)
    refused("AccessDenied", "s3api", "put-object", "--bucket", bucket, "--key", "k", **theirs)
    refused("AccessDenied", "iam", "list-users", **theirs)
    session = aws("sts", "get-session-token", "--duration-seconds", "900", **theirs)["Credentials"]
    temporary = {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }
    aws("s3api", "list-objects-v2", "--bucket", bucket, **temporary)
    refused("AccessDenied", "s3api", "put-object", "--bucket", bucket, "--key", "k", **temporary)
    trust = document("sts:AssumeRole", Principal={"AWS": made["Arn"]})
    role = aws("iam", "create-role", "--role-name", "cli-role", "--assume-role-policy-document", trust)["Role"]["Arn"]
    write = document("s3:PutObject")
    aws("iam", "put-role-policy", "--role-name", "cli-role", "--policy-name", "w", "--policy-document", write)
    session = aws("sts", "assume-role", "--role-arn", role, "--role-session-name", "job", **theirs)["Credentials"]
    of_role = {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }
    aws("s3api", "put-object", "--bucket", bucket, "--key", "k", **of_role)
    refused("DeleteConflict", "iam", "delete-user", "--user-name", "cli-user")
    last = aws("iam", "get-access-key-last-used", "--access-key-id", key["AccessKeyId"])
    assert last["AccessKeyLastUsed"]["ServiceName"] == "s3"
    aws("iam", "delete-role-policy", "--role-name", "cli-role", "--policy-name", "w")
    aws("iam", "delete-role", "--role-name", "cli-role")
    aws("iam", "delete-access-key", "--user-name", "cli-user", "--access-key-id", key["AccessKeyId"])
    refused("InvalidAccessKeyId", "s3api", "list-objects-v2", "--bucket", bucket, **theirs)
    aws("iam", "delete-user-policy", "--user-name", "cli-user", "--policy-name", "own")
    aws("iam", "remove-user-from-group", "--group-name", "cli-group", "--user-name", "cli-user")
    aws("iam", "delete-user", "--user-name", "cli-user")
    aws("iam", "detach-group-policy", "--group-name", "cli-group", "--policy-arn", policy)
    aws("iam", "delete-group", "--group-name", "cli-group")
    aws("iam", "delete-policy", "--policy-arn", policy)
    aws("s3api", "delete-object", "--bucket", bucket, "--key", "k")
    assert aws("iam", "list-users")["Users"] == []
    print("a bucket's policy and access list, a user, a group, a policy, a session and a role")


if __name__ == "__main__":
    main()
