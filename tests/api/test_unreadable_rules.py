"""A bucket whose documents about access cannot be read gives no right to anybody: damage must not open it."""

import pytest
from msgspec.structs import replace

from s3ish.objects import buckets
from tests.auth.support import BOB, http_request
from tests.fuzz.requests import OWNER, Door, on_the_wire, parse, signed

BROKEN = {
    "policy": ("{", "[]", "<x/>", "\x00", '{"Statement": 1}'),
    "acl": ("<", "{}", "<AccessControlPolicy>"),
    "publicAccessBlock": ("<", "{}", "<PublicAccessBlockConfiguration>"),
    "ownershipControls": ("<", "{}", "<OwnershipControls/>"),
}


@pytest.fixture
async def door(tmp_path):
    door = Door(tmp_path)
    assert await door.send(parse(signed("PUT", "/bucket", user=OWNER))) == 200
    assert await door.send(parse(signed("PUT", "/bucket/key", body=b"data", user=OWNER))) == 200
    yield door
    await door.close()


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BROKEN.items() for text in texts])
async def test_what_cannot_be_read_opens_nothing(door, name, text):  # case 24
    await buckets.change_bucket(door.store, "bucket", lambda bucket: replace(bucket, documents={name: text}))
    anonymous = on_the_wire(http_request("GET", "/bucket/key", "", [("Host", "s3.test")]))
    for request in (anonymous, signed("GET", "/bucket/key", user=BOB), signed("PUT", "/bucket/x", body=b"x", user=BOB)):
        assert await door.send(parse(request)) >= 400
