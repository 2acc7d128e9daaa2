"""Where a request goes: path style, virtual-hosted style, and every strange key by every way in."""

import re
from urllib.parse import quote, unquote_plus, urlsplit

import boto3
import pytest
from botocore.config import Config

KEYS = {
    "space": "a b",
    "plus": "a+b",  # case 38
    "percent": "100%",
    "looks escaped": "a%2Fb%20c",
    "twice escaped": "a%252Fb",
    "quotes": "'\"",  # case 41
    "sql": "'; DROP TABLE versions;--",
    "wildcards": "%_*?[a-z]{b}",
    "xml": "<a>&\"']]>",  # case 129
    "punctuation": "!-_.*'()&$@=;:+ ,?",
    "brackets": '\\{}^%`[]"<>~#|',
    "query": "a?versionId=null&b",
    "fragment": "a#b",
    "backslash": "..\\x\\..\\y",  # case 32
    "arrow": "logs/latest -> /etc/passwd",
    "dots within": "a..b/...",
    "dot": "a/./b",
    "hidden": ".hidden",
    "slash": "/",  # case 34
    "slashes": "//",
    "leading slash": "/a",
    "trailing slash": "a/",
    "empty segment": "a//b",
    "many slashes": "///a///b///",
    "metadata file": "metadata.json",  # case 43
    "shard file": "k/data.0",
    "own folder": ".s3ish/index.db",
    "temporary": ".tmp/x",
    "lost": "lost+found",
    "at": "@abcdef",
    "composed": "\u00e9",  # case 37
    "decomposed": "e\u0301",
    "emoji": "\U0001f600/\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "right to left": "\u202ea\u202c",
    "line separator": "a\u2028b",
    "next line": "a\u0085b",
    "not a character": "a\ufffe\uffff",
    "last of all": "\U0010ffff",
    "newline": "a\nb",  # case 40
    "carriage return": "a\rb\r\n",
    "tab": "a\tb",
    "controls": "".join(map(chr, range(1, 32))) + "\x7f",
    "long segment": "s" * 300,  # case 36
    "longest": "a/" * 511 + "bb",
    "longest in bytes": "\U0001f600" * 256,
    "looks like a bucket": "?location",
}
IN_XML = {name: key for name, key in KEYS.items() if not set(key) & set(map(chr, range(9))) and "\ufffe" not in key}


def path_of(bucket, key):
    return f"/{bucket}/{quote(key, safe='/~')}"


@pytest.fixture(params=KEYS.values(), ids=KEYS)
def strange(request):
    return request.param


@pytest.fixture
def stored(raw, bucket, strange):
    """The path of an object with a strange key, whose content is the key."""
    path = path_of(bucket, strange)
    assert raw("PUT", path, strange).status == 200
    return path


def test_read_and_deleted_by_url(raw, s3, bucket, strange, stored):
    answer = raw("GET", stored)
    assert (answer.status, answer.body.decode()) == (200, strange)
    assert raw("HEAD", stored).status == 200
    assert raw("DELETE", stored).status == 204
    assert raw("GET", stored).outcome == (404, "NoSuchKey")


def test_listed(s3, bucket, strange, stored):
    for call in (s3.list_objects_v2, s3.list_objects):
        assert [item["Key"] for item in call(Bucket=bucket)["Contents"]] == [strange]
    assert [item["Key"] for item in s3.list_object_versions(Bucket=bucket)["Versions"]] == [strange]
    found = s3.list_objects_v2(Bucket=bucket, Prefix=strange)
    assert ([item["Key"] for item in found["Contents"]], found["Prefix"]) == ([strange], strange)
    assert s3.list_objects_v2(Bucket=bucket, StartAfter=strange)["KeyCount"] == 0
    assert "Contents" not in s3.list_objects(Bucket=bucket, Marker=strange)


def test_copied_from_and_to(raw, bucket, strange, stored):
    def copy(source, target):
        return raw("PUT", target, headers={"x-amz-copy-source": source, "Content-Length": "0"}).status

    assert copy(stored, f"/{bucket}/between") == 200
    assert raw("DELETE", stored).status == 204
    assert copy(f"/{bucket}/between", stored) == 200
    assert raw("GET", stored).body.decode() == strange


@pytest.mark.parametrize("key", IN_XML.values(), ids=IN_XML)
def test_deleted_by_document(raw, s3, bucket, key):
    raw("PUT", path_of(bucket, key), "x")
    raw("PUT", path_of(bucket, key + "x") if len(key.encode()) < 1024 else f"/{bucket}/other", "x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert "Errors" not in answer
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1, "the other one is still there"


def test_uploaded_in_parts(raw, s3, bucket, strange):
    path = path_of(bucket, strange)
    upload = re.search(rb"<UploadId>(\w+)</UploadId>", raw("POST", f"{path}?uploads=").body)[1].decode()
    (listed,) = s3.list_multipart_uploads(Bucket=bucket, EncodingType="url")["Uploads"]
    assert unquote_plus(listed["Key"]) == strange
    etag = raw("PUT", f"{path}?partNumber=1&uploadId={upload}", "part").headers["etag"]
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>"
    assert raw("POST", f"{path}?uploadId={upload}", body).status == 200
    assert raw("GET", path).body == b"part"


# --- keys that are not each other -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "family",
    [
        ("a", "a/", "a/b", "a//b", "/a", "//a", "a/b/"),  # cases 34, 42
        ("\u00e9", "e\u0301", "\u00c9"),
        ("A", "a"),
        ("a b", "a+b", "a%20b", "a%2Bb"),
        ("metadata.json", "metadata.json/", "metadata.json/metadata.json"),
        ("a", "a.", "a..", "a ", " a"),
        ("x", "x\x01", "x\x1f", "x\ufffd"),
    ],
)
def test_keys_that_are_not_each_other(raw, s3, bucket, family):
    for key in family:
        raw("PUT", path_of(bucket, key), key)
    listed = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(family, key=str.encode)
    for gone in family:
        assert raw("DELETE", path_of(bucket, gone)).status == 204
        assert raw("GET", path_of(bucket, gone)).outcome == (404, "NoSuchKey")
        for key in family[family.index(gone) + 1 :]:
            assert raw("GET", path_of(bucket, key)).body.decode() == key


def test_an_escaped_slash_is_a_slash(raw, bucket):  # case 33
    assert raw("PUT", f"/{bucket}/a%2Fb", "x", signed_path=f"/{bucket}/a/b").status == 200
    assert raw("GET", f"/{bucket}/a/b").body == b"x"


def test_needless_escapes_mean_the_same(raw, bucket):
    raw("PUT", f"/{bucket}/abc", "x")
    assert raw("GET", f"/{bucket}/%61%62%63", signed_path=f"/{bucket}/abc").body == b"x"


def test_a_plus_in_a_query_is_a_space(raw, bucket):  # case 38
    raw("PUT", f"/{bucket}/a%20b", "x")
    raw("PUT", f"/{bucket}/a%2Bb", "x")
    found = raw("GET", f"/{bucket}?prefix=a%20").xml
    assert found.findtext("Contents/Key") == "a b"
    assert raw("GET", f"/{bucket}?prefix=a%2B").xml.findtext("Contents/Key") == "a+b"


# --- keys that cannot be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw_key", "code"),
    [
        ("%ff", "InvalidURI"),  # case 39
        ("a%feb", "InvalidURI"),
        ("%ed%a0%80", "InvalidURI"),
        ("%f5%80%80%80", "InvalidURI"),
        ("%c0%ae%c0%ae/x", "InvalidURI"),
        ("%c0%af", "InvalidURI"),
        ("a%00b", "InvalidURI"),  # case 30
        ("%00", "InvalidURI"),
        ("a%", "InvalidURI"),
        ("a%2", "InvalidURI"),
        ("a%zz", "InvalidURI"),
        ("..", "InvalidURI"),  # case 31
        ("../x", "InvalidURI"),
        ("a/../../x", "InvalidURI"),
        ("%2e%2e/x", "InvalidURI"),
        ("..%2fx", "InvalidURI"),
        ("../" * 30 + "etc/passwd", "InvalidURI"),
        ("a" * 1025, "KeyTooLongError"),  # case 36
        ("%F0%9F%98%80" * 256 + "a", "KeyTooLongError"),
    ],
)
def test_keys_that_cannot_be(raw, bucket, unchanged, raw_key, code):
    with unchanged(bucket):
        assert raw("PUT", f"/{bucket}/{raw_key}", "x").outcome == (400, code)
        assert raw("GET", f"/{bucket}/{raw_key}").outcome == (400, code)
        assert raw("DELETE", f"/{bucket}/{raw_key}").outcome == (400, code)
        assert raw("HEAD", f"/{bucket}/{raw_key}").status == 400


def test_no_way_into_another_bucket(raw, new_bucket):  # case 31
    mine, victim = new_bucket(), new_bucket()
    raw("PUT", f"/{victim}/secret", "x")
    for path in (f"/{mine}/../{victim}/secret", f"/{mine}/%2e%2e/{victim}/secret", f"/{mine}%2F..%2F{victim}/secret"):
        assert raw("GET", path).status == 400
    for source in (f"{mine}/../{victim}/secret", f"{mine}/%2e%2e/{victim}/secret", f"{mine}%2F..%2F{victim}%2Fsecret"):
        answer = raw("PUT", f"/{mine}/c", headers={"x-amz-copy-source": source, "Content-Length": "0"})
        assert answer.status == 400


def test_segments_that_stay_inside_are_a_key(raw, bucket):
    raw("PUT", f"/{bucket}/a/../b", "x")
    assert raw("GET", f"/{bucket}/a/../b").body == b"x"
    assert raw("GET", f"/{bucket}/b").outcome == (404, "NoSuchKey")


# --- virtual-hosted style -------------------------------------------------------------------------------------------


def test_virtual_hosted(raw, bucket):
    host = f"{bucket}.s3.test"
    assert raw("PUT", "/a/b", "body", host=host).status == 200
    assert raw("GET", "/a/b", host=host).body == b"body"
    assert raw("GET", f"/{bucket}/a/b").body == b"body"
    listed = raw("GET", "/?list-type=2", host=host).xml
    assert (listed.findtext("Name"), listed.findtext("Contents/Key")) == (bucket, "a/b")
    assert raw("DELETE", "/a/b", host=host).status == 204
    assert raw("DELETE", "/", host=host).status == 204
    assert raw("HEAD", f"/{bucket}").status == 404


def test_virtual_hosted_with_a_port_and_in_capitals(raw, bucket):
    raw("PUT", f"/{bucket}/k", "body")
    assert raw("GET", "/k", host=f"{bucket}.s3.test:9000").body == b"body"
    assert raw("GET", "/k", host=f"{bucket}.S3.TEST").body == b"body"


def test_virtual_hosted_keys_keep_their_slashes(raw, bucket):
    host = f"{bucket}.s3.test"
    for path in ("//", "//a", "/a/"):
        assert raw("PUT", path, path, host=host).status == 200
        assert raw("GET", f"/{bucket}{path}").body.decode() == path


def test_the_domain_itself_is_path_style(raw, bucket):
    raw("PUT", f"/{bucket}/k", "body")
    assert raw("GET", f"/{bucket}/k", host="s3.test").body == b"body"
    assert raw("GET", "/", host="s3.test").xml.tag == "ListAllMyBucketsResult"


def test_another_domain_is_path_style(raw, bucket):
    raw("PUT", f"/{bucket}/k", "body")
    assert raw("GET", f"/{bucket}/k", host=f"{bucket}.elsewhere.test").body == b"body"


def test_a_host_that_names_no_bucket(raw):
    assert raw("GET", "/", host="a_b.s3.test").outcome == (400, "InvalidBucketName")


@pytest.mark.parametrize("host", ["", "a/evil?", "a@b", "a b", "localhost:99999", "[::1"])  # case 99
def test_hosts_that_are_none(raw, host):
    assert raw("GET", "/", keys=None, host=host or " ").status == 400


def test_boto3_with_virtual_hosted_buckets(server, bucket, s3):
    client = boto3.client(
        "s3",
        endpoint_url="http://s3.test",
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "virtual"}),
    )

    def connect(request, **_):
        """What a name server would do."""
        request.headers["Host"] = urlsplit(request.url).netloc
        request.url = request.url.replace(f"http://{bucket}.s3.test", server.endpoint)

    client.meta.events.register("before-send.s3", connect)
    client.put_object(Bucket=bucket, Key="a b/c", Body=b"body")
    assert s3.get_object(Bucket=bucket, Key="a b/c")["Body"].read() == b"body"
    assert [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["a b/c"]


# --- targets in absolute form (RFC 9112 section 3.2.2) -------------------------------------------------------------


def test_a_client_that_takes_the_server_for_its_proxy(server, s3, bucket):
    """Such a client names the host in the target."""
    client = boto3.client(
        "s3",
        endpoint_url="http://s3.test:9000",
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(
            retries={"max_attempts": 0}, s3={"addressing_style": "virtual"}, proxies={"http": server.endpoint}
        ),
    )
    client.put_object(Bucket=bucket, Key="a b/c", Body=b"body")
    assert s3.get_object(Bucket=bucket, Key="a b/c")["Body"].read() == b"body"
    assert [item["Key"] for item in client.list_objects_v2(Bucket=bucket, Prefix="a b")["Contents"]] == ["a b/c"]


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
def test_a_target_in_absolute_form(raw, bucket, scheme):
    raw("PUT", f"/{bucket}/k", "body")
    host = f"{bucket}.s3.test"
    assert raw("GET", f"{scheme}://{host}/k", host=host, signed_path="/k").body == b"body"
    assert raw("GET", f"{scheme}://s3.test", host="s3.test", signed_path="/").xml.tag == "ListAllMyBucketsResult"


def test_a_signature_for_one_host_opens_no_other(raw, new_bucket):
    """The host of the target counts, not that of the header: with the signature as with the bucket."""
    mine, other = new_bucket(), new_bucket()
    raw("PUT", f"/{other}/k", "body")
    answer = raw("GET", f"http://{other}.s3.test/k", host=f"{mine}.s3.test", signed_path="/k")
    assert answer.outcome == (403, "SignatureDoesNotMatch")


# case 99
@pytest.mark.parametrize("authority", ["", "user@s3.test", "user:password@s3.test", "s3.test:99999", "a_b;.s3.test"])
def test_targets_of_hosts_that_are_none(raw, authority):
    answer = raw("GET", f"http://{authority}/", host="s3.test", signed_path="/")
    assert answer.outcome == (400, "InvalidRequest")
