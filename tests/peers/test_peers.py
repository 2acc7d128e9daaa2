"""Which requests another server is sent, in which case."""

import pytest
from msgspec.structs import replace

from s3ish.jobs.destination import Forbidden, Refused, Unreachable
from s3ish.model import Grant, Tag
from s3ish.objects import buckets
from s3ish.objects.consequences import Consequences
from s3ish.objects.replication import Replication, ReplicationRule
from s3ish.outbound.http import Answer
from s3ish.peers import other_peer, unfinished
from s3ish.peers.other_peer import MARK, OtherPeer
from s3ish.peers.s3ish_peer import S3ishPeer
from s3ish.tables.catalogue import SENDINGS
from s3ish.tables.state import SENDING_UPLOADS
from tests.objects.support import add_part, begin, complete, head, put, remove, sample, versions_of

LISTED = 200, {}, b"<ListObjectAnnotationsResult/>"
ARN = "arn:s3ish:replication:::there"
RULE = ReplicationRule(destination=ARN, markers=True)


class Script:
    """A client that notes each request and gives the answer of the test."""

    def __init__(self, answer):
        self.sent, self.queries, self._answer = [], [], answer

    async def call(self, method, key, headers=None, *, query=None, content=None):
        what = next(iter(query or {}), "")
        self.sent.append(f"{method} {what}".strip())
        self.queries.append(dict(query or {}))
        self.headers = dict(headers or {})
        return self._answer(method, what)


def answers(**by_request):
    def answer(method, what):
        status, headers, body = by_request.get(f"{method}_{what}".strip("_").replace("-", "_"), (200, {}, b""))
        return Answer(status, headers, body)

    return answer


def error(status, code):
    return status, {}, f"<Error><Code>{code}</Code></Error>".encode()


@pytest.fixture
async def version(store):
    await buckets.set_versioning(store, "b", enabled=True)
    return await put(store, "a", sample(5000))


async def send(peer, store, version):
    bucket = await store.bucket("b")
    await peer.replicate(bucket.record, version, RULE)


async def test_a_new_version_is_one_request_and_a_changed_one_is_first_asked_for(store, version):
    made, missing = (200, {"x-amz-version-id": version.id}, b""), error(404, "NoSuchVersion")
    client = Script(answers(PUT=made, PUT_tagging=missing, GET_annotation=LISTED))
    await send(S3ishPeer(store, client, ARN), store, version)
    assert client.sent == ["PUT"]
    await send(S3ishPeer(store, client, ARN), store, replace(version, revision=1))
    assert client.sent == ["PUT", "PUT tagging", "PUT", "PUT acl", "GET annotation"]
    known = Script(answers(GET_annotation=LISTED))
    await send(S3ishPeer(store, known, ARN), store, replace(version, revision=1))
    assert known.sent == ["PUT tagging", "PUT acl", "GET annotation"]


async def test_a_replica_that_was_removed_is_not_sent_again_as_its_source_changes(store, version):
    changed = replace(version, revision=1, replicated=True)
    client = Script(answers(PUT_tagging=error(404, "NoSuchVersion")))
    with pytest.raises(Refused, match="removed"):
        await send(S3ishPeer(store, client, ARN), store, changed)
    assert client.sent == ["PUT tagging"]
    other = Script(answers(HEAD=(404, {}, b"")))
    with pytest.raises(Refused, match="removed"):
        await send(OtherPeer(store, other, ARN), store, changed)
    assert other.sent == ["HEAD"]


async def test_a_server_without_rights_on_lists_and_annotations_is_sent_what_has_none(store, version):
    """As one whose rights are of a time in which neither was sent; what has them has to wait for the rights."""

    def denied(method, what):
        if what in ("acl", "annotation"):
            raise Forbidden("403 AccessDenied")
        return Answer(200, {}, b"")

    client, amended = Script(denied), replace(version, revision=1)
    await send(S3ishPeer(store, client, ARN), store, amended)
    public = (Grant("uri=http://acs.amazonaws.com/groups/global/AllUsers", "READ"),)
    with pytest.raises(Forbidden):
        listed = replace(amended, attributes=replace(version.attributes, acl=public))
        await send(S3ishPeer(store, client, ARN), store, listed)
    disabled = Script(answers(PUT_acl=error(400, "AccessControlListNotSupported"), GET_annotation=LISTED))
    await send(S3ishPeer(store, disabled, ARN), store, listed)
    assert disabled.sent[-1] == "GET annotation"


async def test_a_listing_that_is_none_is_refused(store, version):
    for body in (b"", b"<a", b"<!DOCTYPE a><a/>"):
        client = Script(answers(GET_annotation=(200, {}, body)))
        with pytest.raises(Refused, match="listing"):
            await send(S3ishPeer(store, client, ARN), store, replace(version, revision=1))


async def test_a_server_that_gives_ids_of_its_own_is_sent_nothing_more(store, version):
    client = Script(answers(PUT=(200, {"x-amz-version-id": "1"}, b"")))
    peer = S3ishPeer(store, client, ARN)
    for _ in range(3):
        with pytest.raises(Forbidden, match='kind = "s3"'):
            await send(peer, store, version)
    assert client.sent == ["PUT"]


async def test_a_version_that_is_removed_before_it_is_read_is_nothing_to_send(store, version):
    await remove(store, "a", version.id)
    client = Script(answers(HEAD=(404, {}, b"")))
    await send(S3ishPeer(store, client, ARN), store, version)
    await send(OtherPeer(store, client, ARN), store, version)
    assert client.sent == ["HEAD"]


async def test_what_is_on_top_decides_what_is_sent(store, version):
    later = await put(store, "a", b"later")

    async def sent(there, of, **answer):
        client = Script(answers(HEAD=there, **answer))
        await send(OtherPeer(store, client, ARN), store, of)
        return client.sent[1:]

    def marked(of):
        return 200, {MARK: of.id, "x-amz-version-id": "7"}, b""

    assert await sent((404, {}, b""), version) == ["PUT"]
    assert await sent((200, {}, b""), version) == ["PUT"]
    assert await sent((200, {MARK: "what others wrote"}, b""), version) == ["PUT"]
    assert await sent(marked(version), later) == ["PUT"]
    assert await sent(marked(version), version) == []
    assert await sent(marked(version), replace(version, revision=1)) == ["PUT tagging"]
    with pytest.raises(Refused, match="later version"):
        await sent(marked(later), version)
    await remove(store, "a")
    _, marker_id, *_ = (await versions_of(store, "a"))[0]
    marker = replace(later, id=marker_id, sequence=later.sequence + 1, marker=True)
    assert await sent(marked(later), marker) == ["DELETE"]
    assert await sent((404, {"x-amz-delete-marker": "true"}, b""), marker) == []


async def test_an_object_that_is_deleted_does_not_come_back_as_one_of_its_versions_changes(store):
    """A server of its own ids shows nothing below a delete marker: not even whether the version is there."""
    replication = Replication(lambda bucket: (RULE,))
    store.consequences = Consequences(replication.rows, is_replicated=replication.is_wanted)
    await buckets.set_versioning(store, "b", enabled=True)
    version = await put(store, "a", b"1")
    await remove(store, "a")
    client = Script(answers(HEAD=(404, {}, b"")))
    await send(OtherPeer(store, client, ARN), store, version)
    assert client.sent == ["HEAD", "PUT"]  # its delete marker comes after it
    marker = (await store.newest("b", "a"))[0].record
    await store.index.commit([SENDINGS.delete(RULE.destination, marker.sequence, "b", "a")])  # it is there
    with pytest.raises(Refused, match="later version"):
        await send(OtherPeer(store, client, ARN), store, replace(version, revision=1))
    assert client.sent == ["HEAD", "PUT", "HEAD"]
    again = await put(store, "a", b"2")
    await send(OtherPeer(store, client, ARN), store, again)
    assert client.sent[3:] == ["HEAD", "PUT"]
    await remove(store, "a", again.id)
    await OtherPeer(store, client, ARN).replicate(
        (await store.bucket("b")).record, version, replace(RULE, markers=False)
    )
    assert client.sent[5:] == ["HEAD", "PUT"]  # no marker goes there


async def test_an_upload_that_does_not_end_is_aborted(store, version, small_parts, monkeypatch):
    upload = await begin(store, "m")
    made = await complete(store, upload, [await add_part(store, upload, number, sample(300)) for number in (1, 2)])
    begun = 200, {}, b"<UploadId>1</UploadId>"
    client = Script(answers(POST_uploads=begun, POST_uploadId=error(200, "InternalError")))
    with pytest.raises(Unreachable):
        await send(S3ishPeer(store, client, ARN), store, made)
    assert client.sent == ["POST uploads", "PUT partNumber", "PUT partNumber", "POST uploadId", "DELETE uploadId"]
    monkeypatch.setattr(other_peer, "_LONGEST_BYTES", 2000)
    client = Script(answers(HEAD=(404, {}, b""), POST_uploads=begun, PUT_partNumber=error(400, "InvalidRequest")))
    with pytest.raises(Refused):
        await send(OtherPeer(store, client, ARN), store, version)
    assert client.sent == ["HEAD", "POST uploads", "PUT partNumber", "DELETE uploadId"]


@pytest.fixture
async def long(store, small_parts, monkeypatch, version):
    """A version of three parts, whose upload goes on after it was cut off."""
    monkeypatch.setattr(unfinished, "_NOTED_BYTES", 900)
    upload = await begin(store, "m")
    return await complete(store, upload, [await add_part(store, upload, number, sample(300)) for number in (1, 2, 3)])


def numbers(client):
    return [query["partNumber"] for query in client.queries if "partNumber" in query]


async def noted(store):
    return len(await SENDING_UPLOADS.family(store.index, 10))


BEGUN = 200, {}, b"<UploadId>1</UploadId>"


async def test_a_long_upload_that_was_cut_off_goes_on_after_a_restart(store, long):
    def cut(method, what):
        if what == "partNumber" and len(numbers(first)) == 3:
            raise Unreachable("down")
        return Answer(*(BEGUN if what == "uploads" else (200, {"etag": '"e"'}, b"")))

    first = Script(cut)
    with pytest.raises(Unreachable):
        await send(S3ishPeer(store, first, ARN), store, long)
    assert (first.sent[-1], numbers(first), await noted(store)) == ("PUT partNumber", ["1", "2", "3"], 1)
    part = "<Part><PartNumber>{}</PartNumber><Size>{}</Size><ETag>&quot;e&quot;</ETag></Part>"
    pages = [
        "".join((part.format(1, 300), "<NextPartNumberMarker>1</NextPartNumberMarker><IsTruncated>true</IsTruncated>"))
    ]
    pages += [part.format(2, 299) + "<IsTruncated>false</IsTruncated>"]

    def listed(method, what):
        if (method, what) == ("GET", "uploadId"):
            return Answer(200, {}, f"<ListPartsResult>{pages.pop(0)}</ListPartsResult>".encode())
        if (method, what) == ("POST", "uploadId"):
            return Answer(200, {"x-amz-version-id": long.id}, b"")
        return Answer(200, {"etag": '"e"'}, b"")

    second = Script(listed)
    await send(S3ishPeer(store, second, ARN), store, long)
    assert second.sent == ["GET uploadId", "GET uploadId", "PUT partNumber", "PUT partNumber", "POST uploadId"]
    assert (numbers(second), await noted(store)) == (["2", "3"], 0)


async def test_a_long_upload_that_is_gone_there_begins_anew(store, long):
    async def begun_anew(version, there):
        done = 200, {"x-amz-version-id": long.id}, b""
        missing = error(404, "NoSuchVersion")
        client = Script(
            answers(
                GET_uploadId=there, POST_uploads=BEGUN, POST_uploadId=done, PUT_tagging=missing, GET_annotation=LISTED
            )
        )
        await send(S3ishPeer(store, client, ARN), store, version)
        assert "POST uploads" in client.sent
        assert (numbers(client), await noted(store)) == (["1", "2", "3"], 0)
        return client.sent

    for there in (error(404, "NoSuchUpload"), (200, {}, b"<x"), (200, {}, b"<a><Part><Size>x</Size></Part></a>")):
        await unfinished.Unfinished(store, None, ARN).note(long, "0")
        await begun_anew(long, there)
    await unfinished.Unfinished(store, None, ARN).note(long, "0")
    sent = await begun_anew(replace(long, revision=1), (200, {}, b"<a/>"))
    assert sent[:3] == ["PUT tagging", "DELETE uploadId", "POST uploads"]  # what it says has changed


async def test_a_long_upload_that_is_refused_or_of_no_use_is_aborted(store, long):
    client = Script(answers(POST_uploads=BEGUN, PUT_partNumber=error(400, "InvalidRequest")))
    peer = S3ishPeer(store, client, ARN)
    with pytest.raises(Refused):
        await send(peer, store, long)
    assert (client.sent[-1], await noted(store)) == ("DELETE uploadId", 0)
    await unfinished.Unfinished(store, None, ARN).note(long, "0")
    await unfinished.Unfinished(store, None, "arn:s3ish:replication:::other").note(long, "0")
    row = SENDINGS.put(1, ARN, long.sequence, long.bucket, long.key)
    await store.index.commit([row])
    await peer.tidy()
    assert await noted(store) == 2  # it waits
    await store.index.commit([SENDINGS.drop(row.key)])
    await peer.tidy()
    assert (client.sent[-1], await noted(store)) == ("DELETE uploadId", 1)


async def test_a_long_upload_that_cannot_be_aborted_now_is_aborted_later(store, long):
    def down(method, what):
        if method == "DELETE":
            raise Unreachable("down")
        return Answer(*(BEGUN if what == "uploads" else error(400, "InvalidRequest")))

    with pytest.raises(Refused):
        await send(S3ishPeer(store, Script(down), ARN), store, long)
    client = Script(answers(DELETE_uploadId=(204, {}, b"")))
    await S3ishPeer(store, client, ARN).tidy()
    assert (client.sent, await noted(store)) == (["DELETE uploadId"], 0)


async def test_an_upload_whose_removal_is_refused_holds_up_no_other(store, long, monkeypatch):
    """Neither do those of other targets, however many there are."""
    monkeypatch.setattr(unfinished, "_SWEPT_AT_ONCE", 2)
    refused = []

    def answer(method, what):
        refused.append(method)
        if len(refused) in (1, 3):
            raise Forbidden("403 AccessDenied")
        return Answer(204, {}, b"")

    for number in range(3):
        note = unfinished.Unfinished(store, None, f"arn:s3ish:replication:::another{number}")
        await note.note(long, "0")
    uploads = unfinished.Unfinished(store, Script(answer), ARN)
    for number in range(5):
        await uploads.note(replace(long, key=f"k{number}"), str(number))
    await uploads.sweep()
    assert (len(refused), await noted(store)) == (5, 5)
    await uploads.sweep()
    assert (len(refused), await noted(store)) == (7, 3)


async def test_no_upload_is_begun_in_the_place_of_one_that_cannot_be_aborted_now(store, long):
    """Nothing would know of it any more, and its parts would stay there."""

    def down(method, what):
        if method == "DELETE":
            raise Unreachable("down")
        return Answer(*(BEGUN if what == "uploads" else error(404, "NoSuchUpload")))

    await unfinished.Unfinished(store, None, ARN).note(long, "0")
    for version in (long, replace(long, revision=1)):
        client = Script(down)
        with pytest.raises(Unreachable):
            await send(OtherPeer(store, client, ARN), store, version)
        assert (client.sent[-1], await noted(store)) == ("DELETE uploadId", 1)


async def test_a_long_upload_whose_parts_cannot_be_read_is_aborted(store, long):
    await unfinished.Unfinished(store, None, ARN).note(long, "0")
    client = Script(answers(GET_uploadId=(200, {}, b"<x"), POST_uploads=error(400, "InvalidRequest")))
    with pytest.raises(Refused):
        await send(S3ishPeer(store, client, ARN), store, long)
    assert client.sent == ["GET uploadId", "DELETE uploadId", "POST uploads"]


async def test_what_a_version_says_is_in_the_headers(store, version):
    attributes = replace(
        version.attributes,
        headers={"content-type": "text/plain"},
        metadata={"colour": "blä"},
        tags=(Tag("k v", "+ü"), Tag("l", "")),
        storage_class="GLACIER",
    )
    client = Script(answers(PUT=(200, {"x-amz-version-id": version.id}, b"")))
    await send(S3ishPeer(store, client, ARN), store, replace(version, attributes=attributes))
    assert client.headers == {
        "content-type": "text/plain",
        "x-amz-meta-colour": "blä",
        "x-amz-tagging": "k%20v=%2B%C3%BC&l=",
        "x-amz-storage-class": "GLACIER",
        "x-s3ish-replica": version.id,
        "x-s3ish-replica-modified": str(version.modified_ns),
        "x-s3ish-replica-etag": version.etag,
        "x-s3ish-replica-owner": version.owner.id,
        f"x-amz-checksum-{version.checksum.algorithm.lower()}": version.checksum.value,
    }
    assert (await head(store, "a")).id == version.id
