"""Calls of services beside S3 whose signature cannot be right are refused before their body is taken."""

import http.client
import json
import re
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3ish.server.pipeline import DRAIN_BYTES
from tests.api.conftest import REGION, ROOT

TARGET = {"X-Amz-Target": "AmazonSQS.SendMessageBatch", "Content-Type": "application/x-amz-json-1.0"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CALLS = {
    "sqs": ("POST", "/", TARGET, "sqs"),
    "sqs-form": ("POST", "/", FORM, "sqs"),
    "iam": ("POST", "/", FORM, "iam"),
    "sts": ("POST", "/", FORM, "sts"),
    "admin": ("PUT", "/-/admin/users/somebody", {}, "s3"),
}
STRANGER = ("UNKNOWNACCESSKEY", "whatever")


def answer_without_body(server, call, keys, *, region=REGION, forge=None):
    """Return status and text of the answer to a call that announces a body and sends none of it."""
    method, path, headers, service = CALLS[call]
    where = urlsplit(server.endpoint)
    request = AWSRequest(method, server.endpoint + path, {"Host": where.netloc, **headers}, b"body")
    if keys:
        SigV4Auth(Credentials(*keys), service, region).add_auth(request)
    sent = dict(request.headers) | (forge or {})
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(2 * DRAIN_BYTES))
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def code_in(text):
    if text.startswith("{"):
        told = json.loads(text)
        return told.get("__type", "").rpartition("#")[2] or told["error"]["code"]
    return re.search(r"<Code>(\w+)</Code>", text)[1]


@pytest.mark.parametrize("call", CALLS)
def test_of_keys_that_are_not_known(server, call):
    status, text = answer_without_body(server, call, STRANGER)
    assert (status, code_in(text)) == (403, "InvalidAccessKeyId" if call == "admin" else "InvalidClientTokenId")


@pytest.mark.parametrize("call", CALLS)
def test_of_another_time(server, call):
    long_ago = {"X-Amz-Date": "20200101T000000Z"}
    status, text = answer_without_body(server, call, ROOT, forge=long_ago)
    codes = {"admin": (400, "AuthorizationHeaderMalformed")}
    assert (status, code_in(text)) == codes.get(call, (400, "IncompleteSignature"))


@pytest.mark.parametrize("call", ["sqs", "sqs-form", "admin"])
def test_of_another_region(server, call):
    status, text = answer_without_body(server, call, ROOT, region="eu-west-1")
    expected = "AuthorizationHeaderMalformed" if call == "admin" else "IncompleteSignature"
    assert (status, code_in(text)) == (400, expected)


@pytest.mark.parametrize(
    ("authorization", "outcome"),
    [
        (None, (403, "MissingAuthenticationToken")),
        ("AWS s3ishadmin:AAAA", (400, "IncompleteSignature")),
        ("Bearer token", (400, "IncompleteSignature")),
        ("AWS4-HMAC-SHA256 Credential=x", (400, "IncompleteSignature")),
    ],
)
def test_of_queues_without_a_signature_of_version_4(server, authorization, outcome):
    forge = {"Authorization": authorization} if authorization else {}
    status, text = answer_without_body(server, "sqs", None, forge=forge)
    assert (status, code_in(text)) == outcome
