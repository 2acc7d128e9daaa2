"""From results and errors to bytes on the wire."""

import pytest
from lxml import etree

from s3ish.errors import NoSuchKey, NotModified, PreconditionFailed
from s3ish.http.exchange import WHOLE
from s3ish.server import respond
from s3ish.wire.headers import encode
from s3ish.wire.shape import Written


class Sent:
    """Collects what an application sends."""

    def __init__(self):
        self.messages = []

    async def __call__(self, message):
        self.messages.append(message)

    @property
    def headers(self):
        return dict(self.messages[0]["headers"])

    @property
    def body(self):
        return b"".join(message["body"] for message in self.messages[1:])


async def send(written, *, head=False, linger=None):
    sent = Sent()
    progress = respond.Progress()
    await respond.send(written, sent, progress, "REQUEST", "host", head=head, linger=linger)
    assert progress == respond.Progress(begun=True, sent=len(sent.body), whole=True)
    assert [message["type"] for message in sent.messages] == ["http.response.start"] + ["http.response.body"] * (
        len(sent.messages) - 1
    )
    assert not sent.messages[-1].get("more_body")
    return sent


def test_an_error():
    written = respond.describe(NoSuchKey(Key="a<b"), "/bucket/a", "REQUEST", "host")
    root = etree.fromstring(written.body)
    assert written.status == 404
    assert [(node.tag, node.text) for node in root] == [
        ("Code", "NoSuchKey"),
        ("Message", "The specified key does not exist."),
        ("Key", "a<b"),
        ("Resource", "/bucket/a"),
        ("RequestId", "REQUEST"),
        ("HostId", "host"),
    ]


# case 129, case 130
@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "&'\"]]>", "a\r\nb\t", "\x00\x01\x1b\x7f", "\ufffe\uffff", "\ud800", "é🪣"]
)
def test_what_an_error_repeats_is_always_readable(text):
    written = respond.describe(NoSuchKey(Key=text), text, "REQUEST", "host")
    root = etree.fromstring(written.body)
    if text.isprintable() or text == "a\r\nb\t":
        assert root.findtext("Key") == root.findtext("Resource") == text


def test_what_an_error_repeats_is_short():  # case 130
    written = respond.describe(NoSuchKey("m" * 5000, Key="k" * 5000), "r" * 5000, "REQUEST", "host")
    assert len(written.body) < 3 * 1024 + 500


def test_not_modified_has_no_body():
    written = respond.describe(NotModified(headers={"etag": '"e"'}), "/", "REQUEST", "host")
    assert (written.status, written.headers, written.body) == (304, [("etag", '"e"')], b"")


async def test_every_answer_names_the_request():
    sent = await send(Written(200, [("etag", '"e"')], b"body"))
    assert sent.messages[0]["status"] == 200
    assert sent.headers == {
        b"x-amz-request-id": b"REQUEST",
        b"x-amz-id-2": b"host",
        b"server": b"s3ish",
        b"etag": b'"e"',
        b"content-length": b"4",
    }
    assert sent.body == b"body"


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_have_no_length(status):
    sent = await send(Written(status, []))
    assert b"content-length" not in sent.headers


async def test_an_empty_answer_says_so():
    assert (await send(Written(200, []))).headers[b"content-length"] == b"0"


async def test_the_error_of_a_head_has_no_body():
    sent = await send(respond.describe(PreconditionFailed(), "/b/k", "REQUEST", "host"), head=True)
    assert sent.body == b""


@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("written", [Written(403, [], b"error"), Written(204, []), Written(304, [])])
async def test_a_connection_that_must_end_ends_after_the_whole_answer(written, head):
    sent = Sent()
    seen = []

    async def linger():
        seen.append((sent.headers, sent.body, sent.messages[-1]["more_body"]))

    await respond.send(written, sent, respond.Progress(), "REQUEST", "host", head=head, linger=linger)
    ((headers, body, more),) = seen
    assert headers[b"connection"] == b"close"
    assert body == (b"" if head else written.body)
    assert more
    assert sent.messages[-1] == {"type": "http.response.body", "body": b""}


async def test_other_connections_are_kept():
    assert b"connection" not in (await send(Written(200, []))).headers


async def test_a_flow():
    async def pieces():
        yield b"one"
        yield memoryview(b"two")

    sent = await send(Written(200, [("content-length", "6")], flow=pieces()))
    assert sent.body == b"onetwo"
    assert sent.headers[b"content-length"] == b"6"


async def test_a_flow_is_not_read_for_a_head():
    async def pieces():
        raise AssertionError
        yield b""

    sent = await send(Written(200, [("content-length", "6")], flow=pieces()), head=True)
    assert sent.body == b""
    assert sent.headers[b"content-length"] == b"6"


async def test_header_values_are_iso_8859_1():
    assert (await send(Written(200, [("x-amz-meta-a", "é")]))).headers[b"x-amz-meta-a"] == b"\xe9"


@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize(
    "written",
    [
        Written(200, [("content-length", "5")], b"hello"),
        Written(200, [("etag", '"a"')], b"hello"),
        Written(200, []),
        Written(204, []),
        Written(304, [("etag", '"a"')]),
    ],
)
async def test_a_server_that_takes_an_answer_in_one_message_gets_the_same_answer(written, head):
    in_two, sent, progress = await send(written, head=head), Sent(), respond.Progress()
    await respond.send(written, sent, progress, "REQUEST", "host", head=head, whole=True)
    (message,) = sent.messages
    assert message["type"] == WHOLE
    assert message["status"] == written.status
    assert encode(message["headers"]) == in_two.messages[0]["headers"]
    assert message["length"] == int(in_two.headers.get(b"content-length", 0))
    assert message["body"] == in_two.body
    assert progress == respond.Progress(begun=True, sent=len(in_two.body), whole=True)


@pytest.mark.parametrize("headers", [[("connection", "close")], []])
async def test_an_answer_that_ends_its_connection_is_no_single_message(headers):
    sent = Sent()

    async def linger():
        pass

    end = None if headers else linger
    await respond.send(
        Written(400, headers, b"no"), sent, respond.Progress(), "R", "h", head=False, linger=end, whole=True
    )
    assert sent.messages[0]["type"] == "http.response.start"
    assert sent.headers[b"connection"] == b"close"
