"""What the audit log and the log say of requests: who, what, from where, and which rule decided. Never a secret."""

import http.client
import json
import socket
from urllib.parse import urlsplit

import pytest

from tests.api.conftest import OTHER, READER, ROOT, Answer
from tests.waiting import wait_until


@pytest.fixture
def audited(server):
    """A function that returns the line of the audit log of an answer, and that of the log."""

    def find(answer):
        wanted = answer.headers["x-amz-request-id"]

        def look(file):
            lines = [json.loads(text) for text in file.read_text().splitlines() if wanted in text]
            return next((line for line in lines if line["request_id"] == wanted), None)

        wait_until(lambda: look(server.audit) and look(server.log))
        return look(server.audit), look(server.log)

    return find


def test_an_allowed_request_names_its_caller_and_its_rule(raw, bucket, audited):
    raw("PUT", f"/{bucket}/a%20key", b"x")
    line, _ = audited(raw("GET", f"/{bucket}/a%20key?versionId=null", headers={"User-Agent": "the test"}))
    assert line["caller"] == "arn:aws:iam::000000000000:root"
    assert (line["operation"], line["action"]) == ("GetObject", "s3:GetObject")
    assert (line["bucket"], line["key"], line["version_id"]) == (bucket, "a key", "null")
    assert (line["client"], line["agent"], line["status"]) == ("127.0.0.1", "the test", 200)
    assert (line["decision"], line["by"]) == ("allowed", "the root user may do everything")
    assert line["access_key"] == ROOT[0]


def test_a_request_that_is_decided_on_with_its_body_names_its_rule(raw, bucket, audited):
    raw("PUT", f"/{bucket}/k", b"x")
    tagging = "<Tagging><TagSet><Tag><Key>team</Key><Value>blue</Value></Tag></TagSet></Tagging>"
    line, _ = audited(raw("PUT", f"/{bucket}/k?tagging", tagging))
    assert (line["status"], line["by"]) == (200, "the root user may do everything")


def test_a_refused_request_names_what_refused_it(raw, bucket, audited):
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "NobodyReads",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{bucket}/secret*",
            }
        ],
    }
    raw("PUT", f"/{bucket}?policy", json.dumps(policy))
    answer = raw("GET", f"/{bucket}/secret-plans", keys=READER)
    assert answer.outcome == (403, "AccessDenied")
    assert b"NobodyReads" not in answer.body
    line, logged = audited(answer)
    assert line["decision"] == "denied"
    assert "NobodyReads" in line["by"]
    assert logged["reason"] == line["by"]
    assert line["caller"] == "arn:aws:iam::000000000000:user/reader"


@pytest.mark.parametrize(
    ("method", "path", "body", "keys", "status"),
    [
        ("PATCH", "/{bucket}/k", b"", ROOT, 405),
        ("GET", "/no-such-bucket/k", b"", None, 404),
        ("PUT", "/{bucket}/k?tagging", b"<no", ROOT, 400),
    ],
)
def test_what_fails_before_its_right_is_looked_at_was_not_allowed(
    raw, bucket, audited, method, path, body, keys, status
):
    raw("PUT", f"/{bucket}/k", b"x")
    line, _ = audited(raw(method, path.format(bucket=bucket), body, keys=keys))
    assert (line["status"], line["decision"], line.get("by")) == (status, "undecided", None)


def test_what_was_allowed_and_is_not_there_was_allowed(raw, bucket, audited):
    line, _ = audited(raw("GET", f"/{bucket}/missing"))
    assert (line["status"], line["decision"], line["by"]) == (404, "allowed", "the root user may do everything")


@pytest.mark.parametrize(("keys", "caller"), [(None, "anonymous"), (OTHER, "arn:aws:iam::000000000000:user/other")])
def test_callers_without_a_right_are_told_apart(raw, bucket, audited, keys, caller):
    line, logged = audited(raw("GET", f"/{bucket}/a", keys=keys))
    assert (line["decision"], line["caller"], line["status"]) == ("denied", caller, 403)
    assert "no rule gives it" in logged["reason"]


def test_a_wrong_signature_is_explained_in_the_log_and_to_nobody_else(raw, bucket, audited, server):
    answer = raw("GET", f"/{bucket}/a", keys=(OTHER[0], OTHER[1] + "\n"))
    assert answer.outcome == (403, "SignatureDoesNotMatch")
    assert b"line end" not in answer.body
    line, logged = audited(answer)
    assert "with a line end behind it" in logged["reason"]
    assert line["caller"] == "anonymous"
    for file in (server.audit, server.log):
        assert OTHER[1] not in file.read_text()
        assert "Signature=" not in file.read_text()


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_body_that_ends_too_early_has_one_line_which_names_its_request(
    server, bucket, presign, audited, framing
):  # case 109
    where = urlsplit(server.endpoint)
    head = f"PUT {presign('PUT', f'/{bucket}/cut')} HTTP/1.1\r\nHost: {where.netloc}\r\n{framing}\r\n\r\n"
    with socket.create_connection((where.hostname, where.port), timeout=20) as connection:
        connection.sendall(head.encode() + b"5\r\nabc")
        connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        response.begin()
        answer = Answer(response)
    assert (answer.status, answer.code) == (400, "IncompleteBody")
    line, logged = audited(answer)
    assert (line["operation"], line["bucket"], line["key"], line["status"]) == ("PutObject", bucket, "cut", 400)
    assert logged["error"] == "IncompleteBody"
    lines = [json.loads(text) for text in server.log.read_text().splitlines() if "IncompleteBody" in text]
    assert [(found["operation"], found["key"]) for found in lines if found["request_id"] == line["request_id"]] == [
        ("PutObject", "cut")
    ]
    assert "Unknown" not in {found["operation"] for found in lines}
