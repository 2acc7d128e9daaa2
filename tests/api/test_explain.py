"""Why a request was refused, and whether one would be: what the admin API and the command say."""

import json
import subprocess
import sys

import pytest

from tests.api.conftest import OTHER, READER, ROOT
from tests.api.test_access_matrix import REFUSED


@pytest.fixture
def admin(raw):
    """A function that asks the admin API, by default as the root user; it returns status and answer."""

    def ask(method, path, body=None, keys=ROOT):
        answer = raw(method, f"/-/admin/{path}", b"" if body is None else json.dumps(body).encode(), keys=keys)
        return answer.status, json.loads(answer.body)

    return ask


@pytest.fixture
def decide(admin):
    """A function that asks what would be decided; it returns the decision and what made it."""

    def ask(caller, action, resource, **more):
        status, told = admin("POST", "explain", {"caller": caller, "action": action, "resource": resource, **more})
        assert status == 200, told
        return told["decision"], told["by"]

    return ask


def deny(bucket, **statement):
    plain = {"Sid": "NoReading", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject"}
    whole = {**plain, "Resource": f"arn:aws:s3:::{bucket}/*", **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": [whole]})


def test_a_refusal_is_explained_by_its_statement(raw, admin, bucket):
    raw("PUT", f"/{bucket}?policy", deny(bucket))
    answer = raw("GET", f"/{bucket}/key", keys=READER)
    assert answer.outcome == REFUSED
    status, told = admin("GET", f"explain/{answer.headers['x-amz-request-id']}")
    refusal = told["refusal"]
    assert status == 200
    assert "NoReading" in refusal["reason"]
    assert (refusal["operation"], refusal["bucket"], refusal["key"]) == ("GetObject", bucket, "key")
    assert refusal["caller"].endswith("user/reader")
    listed = admin("GET", "explain")[1]["refusals"]
    assert refusal["request_id"] in [it["request_id"] for it in listed]


def test_a_wrong_signature_is_explained_with_what_the_server_signed(raw, admin, bucket):
    answer = raw("GET", f"/{bucket}/key?versionId=null", keys=(OTHER[0], OTHER[1] + " "))
    refusal = admin("GET", f"explain/{answer.headers['x-amz-request-id']}")[1]["refusal"]
    assert refusal["error"] == "SignatureDoesNotMatch"
    assert "with a blank behind it" in refusal["reason"]
    assert refusal["canonical_request"].startswith(f"GET\n/{bucket}/key\nversionId=null\n")
    assert refusal["string_to_sign"].startswith("AWS4-HMAC-SHA256\n")
    assert OTHER[1] not in json.dumps(refusal)


@pytest.mark.parametrize("keys", [OTHER, READER])
def test_only_who_may_learn_it_is_told(raw, admin, keys):
    refused = raw("GET", "/", keys=None).headers["x-amz-request-id"]
    for method, path, body in (
        ("GET", "explain", None),
        ("GET", f"explain/{refused}", None),
        ("POST", "explain", {"caller": "root", "action": "s3:GetObject", "resource": "*"}),
    ):
        status, told = admin(method, path, body, keys=keys)
        assert (status, told["error"]["code"]) == REFUSED


def test_what_was_not_refused_has_no_explanation(raw, admin):
    allowed = raw("GET", "/").headers["x-amz-request-id"]
    for name in (allowed, "0" * 16, "x"):
        status, told = admin("GET", f"explain/{name}")
        assert (status, told["error"]["code"]) == (404, "NoSuchEntity")


def test_what_would_be_decided_is_what_is_decided(raw, decide, bucket):
    raw("PUT", f"/{bucket}/key", b"x")
    key = f"arn:aws:s3:::{bucket}/key"
    for caller, keys in (("root", ROOT), ("reader", READER), ("other", OTHER), ("anonymous", None)):
        decision, by = decide(caller, "s3:GetObject", key)
        assert (decision == "allowed") == (raw("GET", f"/{bucket}/key", keys=keys).status == 200)
        assert by
    assert decide(READER[0], "s3:GetObject", key) == decide("reader", "s3:GetObject", key)
    assert decide("reader", "s3:PutObject", key)[0] == "denied"


def test_conditions_are_asked_of_the_context_that_is_given(raw, decide, bucket):
    condition = {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "StringLike": {"aws:UserAgent": "robot*"}}
    raw("PUT", f"/{bucket}?policy", deny(bucket, Condition=condition))
    key = f"arn:aws:s3:::{bucket}/key"
    robot = {"source_ip": "192.0.2.7", "headers": {"User-Agent": "robot/1"}}
    decision, by = decide("reader", "s3:GetObject", key, **robot)
    assert (decision, "NoReading" in by) == ("denied", True)
    assert decide("reader", "s3:GetObject", key, source_ip="198.51.100.1")[0] == "allowed"
    assert decide("reader", "s3:GetObject", key)[0] == "allowed"
    assert decide("reader", "s3:GetObject", key, context={"aws:SourceIp": "192.0.2.7"}, headers=robot["headers"]) == (
        decision,
        by,
    )


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"caller": "nobody", "action": "s3:GetObject", "resource": "*"}, "NoSuchEntity"),
        ({"caller": "root", "action": "iam:GetUser", "resource": "*"}, "ValidationError"),
        ({"caller": "root", "action": "s3:Get*", "resource": "*"}, "ValidationError"),
        ({"caller": "root", "action": "s3:GetObject", "resource": "bucket/key"}, "ValidationError"),
        ({"caller": "root", "action": "s3:GetObject", "resource": "arn:aws:s3:::"}, "ValidationError"),
        ({"caller": "root", "action": "s3:GetObject", "resource": "*", "at": "tomorrow"}, "ValidationError"),
        ({"caller": "root", "action": "s3:GetObject"}, "InvalidInput"),
        ({"caller": "root", "action": "s3:GetObject", "resource": "*", "more": 1}, "InvalidInput"),
    ],
)
def test_questions_that_mean_nothing_are_refused(admin, question, code):
    status, told = admin("POST", "explain", question)
    assert (status in (400, 404), told["error"]["code"]) == (True, code)


def test_an_action_that_there_is_not_is_refused_with_the_one_that_may_be_meant(admin):
    for action, told in (("s3:PutObjct", ": is it s3:PutObject?"), ("s3:Frobnicate", "")):
        status, answer = admin("POST", "explain", {"caller": "root", "action": action, "resource": "*"})
        assert (status, answer["error"]["message"]) == (
            400,
            f"{action} is no action of S3 here, like s3:GetObject{told}",
        )


def test_the_command_says_the_same(raw, server, bucket, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "s3ish", "explain", *arguments, "--endpoint-url", server.endpoint]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    answer = raw("GET", f"/{bucket}/key", keys=(OTHER[0], "wrong"))
    request = answer.headers["x-amz-request-id"]
    code, told = run(request)
    assert code == 0, told
    assert "Reason: the secret key is another one" in told
    assert f"/{bucket}/key" in told
    canonical = answer.xml.findtext("CanonicalRequest")
    (tmp_path / "theirs").write_text(canonical.replace(f"/{bucket}/key", f"/{bucket}/other"))
    code, told = run(request, "--canonical", str(tmp_path / "theirs"))
    assert f"Line 2 differs.\n  server: /{bucket}/key\n  client: /{bucket}/other" in told
    assert request in run()[1]
    code, told = run("--caller", "anonymous", "--action", "s3:GetObject", "--resource", f"arn:aws:s3:::{bucket}/key")
    assert (code, told.startswith("denied: ")) == (0, True)
    raw("PUT", f"/{bucket}?policy", deny(bucket))
    code, told = run("--caller", "anonymous", "--action", "s3:GetObject", "--resource", f"arn:aws:s3:::{bucket}/key")
    assert (code, told) == (0, "denied by NoReading of the bucket's policy\n")
    assert run("0" * 16)[0] == 1
    assert run(request, "--caller", "root")[0] == 2
