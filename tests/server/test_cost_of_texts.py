"""What reading a client's text costs: eight times as much of it about eight times as much, whatever it says."""

import contextlib
import time

import pytest

from s3ish.api.grants import given_list
from s3ish.api.shapes import GrantHeaders
from s3ish.auth.claims import service_of
from s3ish.auth.conditions import read_conditions
from s3ish.auth.sigv2 import from_header
from s3ish.errors import S3Error
from s3ish.model import Owner
from s3ish.server.claimed_world import claimed_world
from tests.auth.support import NOW, sign_header_v2, with_headers

SHORT, LONG = 2_000, 16_000
OWNER = Owner("alice")


def signature_of_version_2(length):
    request = with_headers(sign_header_v2("GET", "/b/k"), x_amz_meta_a="a" + " " * length + "b")
    return lambda: from_header(request, "AKIA:signature", NOW)


def grants(length):
    headers = GrantHeaders(grant_read="id=a" + " " * length + "b")
    return lambda: given_list(headers, OWNER, OWNER)


def resource_of_a_condition(length):
    condition = {"ArnLike": {"aws:SourceArn": "a:" * (length // 2) + "}"}}
    return lambda: read_conditions(condition, True, lambda key: True)


def service(length):
    text = "AWS4-HMAC-SHA256 " + "Credential=" * (length // 11)
    return lambda: service_of(text)


def world_of_a_test(length):
    scope = {"headers": [(b"authorization", b"AWS4-HMAC-SHA256 " * (length // 17))], "query_string": b""}
    return lambda: claimed_world(scope)


def seconds(read):
    began = time.thread_time()
    with contextlib.suppress(S3Error):
        read()
    return time.thread_time() - began


@pytest.mark.parametrize(
    "text",
    [signature_of_version_2, grants, resource_of_a_condition, service, world_of_a_test],
    ids=lambda it: it.__name__,
)
def test_a_long_text_costs_no_more_than_its_length(text):
    short, long = text(SHORT), text(LONG)
    least = min(seconds(long) for _ in range(5))
    allowed = 1e-3 + 8 * 3 * min(seconds(short) for _ in range(5))  # the constant is for what is too brief to be timed
    assert least < allowed
