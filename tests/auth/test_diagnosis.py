"""What is found out about signatures that are not right: the mistakes that people make, made on purpose."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from s3ish.auth.diagnosis import without_secrets
from s3ish.errors import SignatureDoesNotMatch
from tests.auth.support import ALICE, HOST, NOW, authenticator, http_request, sign_header, sign_query, with_headers


def reason_of(request, at=NOW, server=None):
    with pytest.raises(SignatureDoesNotMatch) as caught:
        (server or authenticator()).identify(request, at)
    reason = caught.value.reason
    told = [caught.value.message, *(str(value) for value in caught.value.details.values())]
    assert not reason or not any(reason in text for text in told)
    return reason


def signed(**arguments):
    return sign_header("GET", "/bucket/key", "versionId=1", [("x-amz-meta-a", "1")], **arguments)


@pytest.mark.parametrize(
    ("secret", "found"),
    [
        (ALICE.secret_key + "\n", "with a line end behind it"),
        (ALICE.secret_key + " ", "with a blank behind it"),
        (f'"{ALICE.secret_key}"', "in quotation marks"),
        ("another secret", "the secret key is another one"),
    ],
)
def test_a_wrong_secret_is_told_by_how_it_is_wrong(secret, found):
    assert found in reason_of(signed(user=replace(ALICE, secret_key=secret)))


@pytest.mark.parametrize("forwarded", [HOST, f"{HOST}, inner"])
def test_a_proxy_that_changes_the_host_is_found(forwarded):
    request = with_headers(signed(), host="backend", x_forwarded_host=forwarded)
    assert f"right for the Host {HOST}, and backend came" in reason_of(request)


def test_a_host_that_lost_or_got_a_port_is_found():
    request = signed()
    name = HOST.partition(":")[0]
    assert f"right for the Host {HOST}, and {name} came" in reason_of(with_headers(request, host=name))


def test_a_path_that_a_proxy_changed_is_found():
    request = sign_header("GET", "/bucket/key", "", [])
    assert "single slashes" in reason_of(replace(sign_header("GET", "/bucket/key", "", []), raw_path="/bucket//key"))
    behind = replace(request, raw_path="/key", headers={**request.headers, "x-forwarded-prefix": "/bucket/"})
    assert "behind /bucket, which a proxy took away" in reason_of(behind)


def test_a_path_that_is_encoded_twice_is_found():
    request = sign_header("GET", "/bucket/a%2520b", "", [])
    assert "encoded twice" in reason_of(replace(request, raw_path="/bucket/a%20b"))


def test_a_presigned_url_that_is_used_with_another_method_is_found():
    request = sign_query("GET", "/bucket/key", "", [])
    assert "made for the method GET" in reason_of(replace(request, method="PUT"))


def test_a_header_that_a_proxy_may_have_changed_is_named():
    request = sign_header("GET", "/bucket/key", "", [("via", "test")])
    assert "(via)" in reason_of(with_headers(request, via="proxy"))


def test_not_all_of_many_wrong_signatures_are_looked_into():
    server = authenticator()
    wrong = signed(user=replace(ALICE, secret_key="another"))
    reasons = [reason_of(wrong, server=server) for _ in range(30)]
    assert all(reasons[:20])
    assert not any(reasons[20:])
    assert reason_of(wrong, NOW + timedelta(seconds=1), server)


def test_what_is_kept_of_a_canonical_request_holds_no_secret():
    canonical = "\n".join(
        [
            "GET",
            "/bucket/key",
            "X-Amz-Date=20260131T093000Z&X-Amz-Security-Token=TOKEN&x-id=GetObject",
            "host:localhost",
            "x-amz-security-token:TOKEN",
            "x-amz-server-side-encryption-customer-key:KEY",
            "x-amz-copy-source-server-side-encryption-customer-key:KEY",
            "",
            "host;x-amz-security-token",
            "UNSIGNED-PAYLOAD",
        ]
    )
    kept = without_secrets(canonical)
    assert "TOKEN" not in kept
    assert "KEY" not in kept
    assert kept.count("(not shown)") == 4
    assert kept.split("\n")[3] == "host:localhost"
    assert kept.split("\n")[-2:] == ["host;x-amz-security-token", "UNSIGNED-PAYLOAD"]


def test_requests_that_are_not_signed_have_no_diagnosis():
    assert authenticator().identify(http_request("GET", "/bucket/key", "", []), NOW).user is None
