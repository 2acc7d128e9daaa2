"""Every operation, asked by every kind of caller: what does not say yes says no, and a no tells nothing of what exists.

What is expected is derived here from AWS's pages alone: from the action of the operation, and from nothing else that
the server knows. https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

import json
import uuid

import boto3
import pytest
from botocore.config import Config

from tests.api.conftest import OTHER, READER, ROOT
from tests.api.iam_support import remove
from tests.api.test_headers import CHANGING, Requests
from tests.test_catalogue import BUILT, OPERATIONS

NEEDS_MORE = (
    "CopyObject",
    "GetObjectAttributes",
    "UploadPartCopy",
    "RenameObject",
    "PutBucketInventoryConfiguration",
    "PutBucketLogging",
    "PutBucketReplication",
)
"""They need a second right: on what they read, or on what others will have written for them."""
OF_OWNER = ("GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy")
"""No policy opens them to other accounts: they are told that the method is not for them."""
NEEDS_SIGNATURE = ("CreateMultipartUpload", "SelectObjectContent", "UpdateObjectEncryption")
"""S3 takes no query and begins no upload without a signature; named keys are for requests signed by Version 4."""
BY_KEY = ("DeleteObjects",)
"""They ask for each key, and answer for each."""
BY_FORM = ("PostObject",)
"""The policy in the form says who sends it; tests/api/test_post.py has those."""
OF_ALL_USERS = ("ListBuckets",)
"""Everybody may ask them who has keys; the answer is what the caller owns."""
OF_READERS = ("s3:Get", "s3:List")
"""What the ready-made policy ``readonly`` allows."""

ASKED = [name for name in BUILT if name not in (*BY_FORM, *OF_ALL_USERS)]
WITH_BUCKET = [name for name in ASKED if OPERATIONS[name].needs_bucket and name not in BY_KEY]

BLOCK = (
    "<PublicAccessBlockConfiguration><RestrictPublicBuckets>true</RestrictPublicBuckets>"
    "</PublicAccessBlockConfiguration>"
)
REFUSED = (403, "AccessDenied")


class Matrix(Requests):
    """Good requests of each operation, sent by whom the test says."""

    def request(self, name):
        """Return method, path, body and headers of a good request."""
        operation = OPERATIONS[name]
        self._raw("PUT", self._key, "body")
        return operation.method, *getattr(self, operation.handler.__name__, self._plain)(operation)

    def ask(self, request, keys):
        """Return the status of an answer and the code of its error."""
        method, path, body, headers = request
        answer = self._raw(method, path, body, headers, keys=keys)
        if method == "HEAD" and answer.status >= 400:
            return answer.status, {403: "AccessDenied"}.get(answer.status, "")
        return answer.status, answer.code if answer.status >= 400 else ""

    def closed(self, name):
        """Return a good request, of a bucket that has no policy."""
        request = self.request(name)
        self._raw("DELETE", f"/{bucket_of(request)}?policy")
        return request

    def allow(self, path, *statements):
        """Give the bucket of a path a policy that speaks of everybody; it says what each statement says."""
        bucket = bucket_of((None, path))
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        told = [
            {"Effect": effect, "Principal": "*", "Action": actions, "Resource": resources}
            for effect, actions in statements
        ]
        answer = self._raw("PUT", f"/{bucket}?policy", json.dumps({"Version": "2012-10-17", "Statement": told}))
        assert answer.status == 204, answer.body
        return bucket


def bucket_of(request):
    return request[1].lstrip("/").partition("/")[0].partition("?")[0]


@pytest.fixture
def matrix(raw, s3):
    def new_bucket():
        name = f"t-{uuid.uuid4().hex[:20]}"
        s3.create_bucket(Bucket=name)
        return name

    return Matrix(raw, new_bucket)


def actions_of(name):
    """The actions that a policy must name to allow an operation, with a version and without."""
    operation = OPERATIONS[name]
    return sorted({operation.action, operation.version_action})


@pytest.mark.parametrize("name", ASKED)
def test_the_owner_may(matrix, name):
    assert matrix.ask(matrix.request(name), ROOT)[0] < 300


@pytest.mark.parametrize("keys", [None, OTHER], ids=["anonymous", "another account"])
@pytest.mark.parametrize("name", WITH_BUCKET)
def test_who_was_given_nothing_may_nothing(matrix, name, keys):
    assert matrix.ask(matrix.closed(name), keys) == REFUSED


@pytest.mark.parametrize("name", WITH_BUCKET)
def test_one_action_of_a_policy_opens_the_operations_of_that_action_and_no_other(matrix, name):
    request = matrix.request(name)
    matrix.allow(request[1], ("Allow", actions_of(name)))
    status, code = matrix.ask(request, OTHER if name in NEEDS_SIGNATURE else None)
    if name in NEEDS_MORE:
        assert (status, code) == REFUSED
    elif name in OF_OWNER:
        assert (status, code) == (405, "MethodNotAllowed")
    else:
        assert status < 300, code


@pytest.mark.parametrize("name", WITH_BUCKET)
def test_all_actions_but_its_own_do_not_open_an_operation(matrix, name):
    request = matrix.request(name)
    matrix.allow(request[1], ("Allow", "s3:*"), ("Deny", actions_of(name)))
    assert matrix.ask(request, None) == REFUSED
    assert matrix.ask(request, OTHER) == REFUSED


@pytest.mark.parametrize("name", WITH_BUCKET)
def test_a_block_on_public_access_closes_what_a_policy_opens_to_all(matrix, raw, name):
    request = matrix.request(name)
    bucket = matrix.allow(request[1], ("Allow", "s3:*"))
    assert raw("PUT", f"/{bucket}?publicAccessBlock", BLOCK).status == 200
    assert matrix.ask(request, None) == REFUSED
    assert matrix.ask(request, OTHER) == REFUSED


@pytest.mark.parametrize("name", WITH_BUCKET)
def test_a_user_of_the_account_may_what_his_policies_say(matrix, name):
    status, code = matrix.ask(matrix.request(name), READER)
    if OPERATIONS[name].action.startswith(OF_READERS):
        assert status < 300, code
    else:
        assert (status, code) == REFUSED


@pytest.fixture(scope="module")
def narrowed(server):
    """Keys of a session of the root user that may only list buckets."""
    sts = boto3.client(
        "sts",
        endpoint_url=server.endpoint,
        aws_access_key_id=ROOT[0],
        aws_secret_access_key=ROOT[1],
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}),
    )
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAll*", "Resource": "*"}]}
    issued = sts.assume_role(
        RoleArn="arn:aws:iam::000000000000:role/narrow", RoleSessionName="test", Policy=json.dumps(policy)
    )["Credentials"]
    return issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"]


@pytest.mark.parametrize("name", [name for name in ASKED if name not in BY_KEY])
def test_a_session_may_no_more_than_its_policy(matrix, narrowed, name):
    assert matrix.ask(matrix.request(name), narrowed) == REFUSED


@pytest.mark.parametrize("keys", [(ROOT[0], "wrong"), ("NOBODY", ROOT[1])], ids=["wrong secret", "unknown key"])
@pytest.mark.parametrize("name", ASKED)
def test_nothing_opens_without_a_right_signature(matrix, name, keys):
    assert matrix.ask(matrix.request(name), keys)[0] == 403


@pytest.fixture(scope="module")
def bounded(iam):
    """Keys of two users who may everything: one key is disabled, the other one's user is bounded to nothing of S3."""
    bounds = {"disabled": "AdministratorAccess", "bounded": "IAMFullAccess"}
    made = {}
    for name, bound in bounds.items():
        iam.create_user(UserName=name, PermissionsBoundary=f"arn:aws:iam::aws:policy/{bound}")
        iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made[name] = key["AccessKeyId"], key["SecretAccessKey"]
    iam.update_access_key(UserName="disabled", AccessKeyId=made["disabled"][0], Status="Inactive")
    yield made
    for name in made:
        remove(iam, name)


@pytest.mark.parametrize("name", ASKED)
def test_a_disabled_key_opens_nothing(matrix, bounded, name):
    status, code = matrix.ask(matrix.request(name), bounded["disabled"])
    assert (status, code) in ((403, "InvalidAccessKeyId"), REFUSED)  # HEAD has no code


@pytest.mark.parametrize("name", WITH_BUCKET)
def test_who_may_everything_may_nothing_outside_a_permissions_boundary(matrix, bounded, name):
    assert matrix.ask(matrix.closed(name), bounded["bounded"]) == REFUSED


READ_BY_LIST = {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}
WRITTEN_BY_LIST = {"s3:PutObject"}
"""What READ and WRITE of a bucket's access list are:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#permissions"""


@pytest.mark.parametrize("name", WITH_BUCKET)
def test_an_access_list_opens_what_its_permission_means(matrix, raw, name):
    request = matrix.closed(name)
    bucket = bucket_of(request)
    controls = "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"
    assert raw("PUT", f"/{bucket}?ownershipControls", controls).status == 200
    assert raw("PUT", f"/{bucket}?acl", headers={"x-amz-acl": "public-read"}).status == 200
    status, code = matrix.ask(request, None)
    assert (status < 300) == (OPERATIONS[name].action in READ_BY_LIST), code
    assert status < 300 or (status, code) == REFUSED


@pytest.mark.parametrize(
    "name", [name for name in WITH_BUCKET if OPERATIONS[name].level == "object" and name not in NEEDS_MORE]
)
def test_a_refusal_does_not_tell_whether_an_object_exists(matrix, raw, name):
    method, path, body, headers = matrix.request(name)
    for keys in (None, OTHER):
        answers = [
            raw(method, asked, body, headers, keys=keys)
            for asked in (path, path.replace("/k", "/missing", 1), path.replace("/k", "/k/k", 1))
        ]
        told = {
            (answer.status, CHANGING.sub(b"", answer.body), *sorted(set(answer.headers) - {"content-length"}))
            for answer in answers
        }
        assert len(told) == 1, told


def test_each_key_of_a_batch_is_decided_by_itself(matrix, raw):
    request = matrix.request("DeleteObjects")
    bucket = matrix.allow(request[1], ("Allow", "s3:GetObject"))
    for keys in (OTHER, None):
        answer = raw(*request[:3], request[3], keys=keys)
        assert (answer.status, answer.xml.findtext(".//Error/Code")) == (200, "AccessDenied")
    assert raw("HEAD", f"/{bucket}/k").status == 200
