"""Policies that are ready to be given to a user by name, and how a setting names others.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html
"""

import json

from s3ish.auth.policy import Policy, read_policy
from s3ish.auth.policy_fit import check_new

READY = {
    "readonly": ("s3:Get*", "s3:List*"),
    "writeonly": ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
    "readwrite": ("s3:*",),
    "AmazonS3ReadOnlyAccess": ("s3:Get*", "s3:List*"),
    "AmazonS3FullAccess": ("s3:*",),
    "IAMReadOnlyAccess": ("iam:Get*", "iam:List*"),
    "IAMFullAccess": ("iam:*",),
    "AdministratorAccess": ("*",),
}
"""The actions that each allows, on everything."""


def document_of(name: str) -> str:
    """Return the document of one of ``READY``, in JSON. Raises KeyError."""
    sid = "".join(filter(str.isalnum, name))
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(READY[name]), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policy_of(text: str) -> Policy:
    """Return the policy that a setting means: one of ``READY`` by name, or a document in JSON.

    Raises:
        MalformedPolicy: neither.
    """
    document = document_of(text) if text in READY else text
    policy = read_policy(document)
    check_new(document)
    return policy
