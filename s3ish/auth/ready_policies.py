"""Policies that are ready to be given to a user by name, and how a setting names others.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html
"""

import json

from s3ish.auth.policy import Policy, read_policy

READY = {
    "readonly": ("s3:Get*", "s3:List*"),
    "writeonly": ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
    "readwrite": ("s3:*",),
}
"""The actions that each allows, on everything."""


def policy_of(text: str) -> Policy:
    """Return the policy that a setting means: one of ``READY`` by name, or a document in JSON.

    Raises:
        MalformedPolicy: neither.
    """
    actions = READY.get(text)
    if actions is None:
        return read_policy(text)
    statement = {"Sid": text, "Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return read_policy(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
