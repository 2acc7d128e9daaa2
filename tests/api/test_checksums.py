"""The ten checksum algorithms: in a header, in a trailer, of parts and of wholes."""

import base64
import hashlib
import zlib

import pytest
import xxhash
from awscrt import checksums

PART = 5 * 1024 * 1024


def cyclic(function, size):
    return lambda data: function(data).to_bytes(size, "big")


DIGESTS = {
    "CRC32": cyclic(zlib.crc32, 4),
    "CRC32C": cyclic(checksums.crc32c, 4),
    "CRC64NVME": cyclic(checksums.crc64nvme, 8),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
    "SHA512": lambda data: hashlib.sha512(data).digest(),
    "MD5": lambda data: hashlib.md5(data).digest(),
    "XXHASH64": lambda data: xxhash.xxh64(data).digest(),
    "XXHASH3": lambda data: xxhash.xxh3_64(data).digest(),
    "XXHASH128": lambda data: xxhash.xxh3_128(data).digest(),
}
FULL = ("CRC32", "CRC32C", "CRC64NVME")
COMPOSITE = [name for name in DIGESTS if name != "CRC64NVME"]


def value(algorithm, data):
    return base64.b64encode(DIGESTS[algorithm](data)).decode()


def header(algorithm):
    return f"x-amz-checksum-{algorithm.lower()}"


def told(answer):
    """The checksum headers of an answer."""
    return {name: text for name, text in answer.headers.items() if name.startswith("x-amz-checksum-")}


@pytest.fixture(params=DIGESTS)
def algorithm(request):
    return request.param


def test_known_values():
    """The test's own digests are those of the check values that the algorithms are published with."""
    found = {name: DIGESTS[name](b"123456789").hex() for name in FULL}
    assert found == {"CRC32": "cbf43926", "CRC32C": "e3069283", "CRC64NVME": "ae8b14860a799888"}


# --- in a header ----------------------------------------------------------------------------------------------------


def test_header(raw, bucket, algorithm):
    expected = {header(algorithm): value(algorithm, b"body"), "x-amz-checksum-type": "FULL_OBJECT"}
    put = raw("PUT", f"/{bucket}/k", "body", {header(algorithm): value(algorithm, b"body")})
    assert (put.status, told(put)) == (200, expected)
    for method in ("GET", "HEAD"):
        assert told(raw(method, f"/{bucket}/k", headers={"x-amz-checksum-mode": "ENABLED"})) == expected
        assert told(raw(method, f"/{bucket}/k")) == {}


def test_wrong_header(raw, bucket, unchanged, algorithm):  # case 116
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k", "body", {header(algorithm): value(algorithm, b"other")})
        assert answer.outcome == (400, "BadDigest")
        for malformed in ("", "x", "A" * 200, value(algorithm, b"body")[:-1] + "!", value(algorithm, b"body") + "AAAA"):
            answer = raw("PUT", f"/{bucket}/k", "body", {header(algorithm): malformed})
            assert answer.outcome == (400, "InvalidRequest")


def test_two_headers(raw, bucket, unchanged):
    headers = {header(name): value(name, b"body") for name in ("CRC32", "SHA1")}
    with unchanged(bucket):
        assert raw("PUT", f"/{bucket}/k", "body", headers).outcome == (400, "InvalidRequest")


def test_the_announced_algorithm_is_another(raw, bucket, unchanged):
    headers = {"x-amz-sdk-checksum-algorithm": "SHA1", header("CRC32"): value("CRC32", b"body")}
    with unchanged(bucket):
        assert raw("PUT", f"/{bucket}/k", "body", headers).outcome == (400, "InvalidRequest")


@pytest.mark.parametrize("announced", ["CRC32", "CRC16"])
def test_an_announced_algorithm_without_a_value(raw, bucket, unchanged, announced):
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k", "body", {"x-amz-sdk-checksum-algorithm": announced})
        assert answer.outcome == (400, "InvalidRequest")


def test_objects_without_any_get_one(raw, bucket):
    """S3 computes CRC64NVME where the client gives no checksum."""
    put = raw("PUT", f"/{bucket}/k", "body")
    assert put.headers["x-amz-checksum-crc64nvme"] == value("CRC64NVME", b"body")


def test_a_range_has_no_checksum_of_the_whole(raw, bucket):
    raw("PUT", f"/{bucket}/k", "body")
    answer = raw("GET", f"/{bucket}/k", headers={"x-amz-checksum-mode": "ENABLED", "Range": "bytes=0-1"})
    assert (answer.status, told(answer)) == (206, {})


# --- in a trailer ---------------------------------------------------------------------------------------------------


def chunked(data, trailer, end=b"\r\n"):
    """A body in aws-chunked form, unsigned, with a trailer."""
    pieces = [data[start : start + 65536] for start in range(0, len(data), 65536)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return chunks + b"0\r\n" + trailer.encode() + end


def put_with_trailer(raw, path, data, algorithm, trailer=None, **extra):
    text = f"{header(algorithm)}:{value(algorithm, data)}\r\n" if trailer is None else trailer
    headers = {
        "x-amz-decoded-content-length": str(len(data)),
        "x-amz-trailer": header(algorithm),
        "Content-Encoding": "aws-chunked",
        **extra,
    }
    return raw("PUT", path, chunked(data, text), headers, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")


def test_trailer(raw, bucket, algorithm, big):
    data = big[:200000]
    put = put_with_trailer(raw, f"/{bucket}/k", data, algorithm)
    assert (put.status, put.headers[header(algorithm)]) == (200, value(algorithm, data))
    got = raw("GET", f"/{bucket}/k", headers={"x-amz-checksum-mode": "ENABLED"})
    assert (got.body, got.headers[header(algorithm)]) == (data, value(algorithm, data))
    assert "content-encoding" not in got.headers  # case 95


@pytest.mark.parametrize(  # case 95
    ("given", "kept"),
    [
        ("aws-chunked,gzip", "gzip"),
        ("aws-chunked, deflate, gzip", "deflate, gzip"),
        ("gzip, AWS-Chunked", "gzip"),
        ("gzip,aws-chunked, deflate", "gzip, deflate"),
        (" aws-chunked ,aws-chunked", None),
        ("gzip,deflate", "gzip,deflate"),
    ],
)
def test_the_encoding_within(raw, bucket, given, kept):
    assert put_with_trailer(raw, f"/{bucket}/k", b"body", "CRC32", **{"Content-Encoding": given}).status == 200
    assert raw("GET", f"/{bucket}/k").headers.get("content-encoding") == kept


def test_a_chunked_body_that_is_not_announced_as_one(raw, s3, bucket, refused):
    for path in (f"/{bucket}/k", f"/{bucket}/k?uploads="):
        method = "POST" if "uploads" in path else "PUT"
        headers = {"Content-Encoding": "gzip,aws-chunked"}
        answer = raw(method, path, chunked(b"body", "") if method == "PUT" else "", headers, payload="UNSIGNED-PAYLOAD")
        assert answer.outcome == (400, "InvalidArgument"), "its framing would be stored"
        assert answer.xml.findtext("ArgumentName") == "Content-Encoding"
    refused("404", 404, s3.head_object, Bucket=bucket, Key="k")


@pytest.mark.parametrize(
    ("method", "query"),
    [("GET", ""), ("HEAD", ""), ("DELETE", ""), ("GET", "?tagging="), ("PUT", "?tagging="), ("GET", "?uploadId=x")],
)
def test_a_trailer_is_announced_where_there_is_none(raw, s3, bucket, method, query):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for payload in ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"):
        answer = raw(method, f"/{bucket}/k{query}", payload=payload)
        assert answer.status == 400
        if method != "HEAD":
            assert answer.code == "InvalidRequest"
            assert answer.xml.findtext("Message") == "The value of x-amz-content-sha256 header is invalid."
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 1


@pytest.mark.parametrize("name", ["x-amz-sdk-checksum-algorithm", "x-amz-trailer"])
def test_an_empty_announcement_is_none(raw, bucket, name):
    assert raw("PUT", f"/{bucket}/k", "x", {name: ""}).status == 200
    assert raw("PUT", f"/{bucket}/k", "x", {name: "", header("CRC32"): value("CRC32", b"x")}).status == 200


def test_an_empty_object_with_a_trailer(raw, s3, bucket):  # case 117
    assert put_with_trailer(raw, f"/{bucket}/k", b"", "CRC32").status == 200
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 0


@pytest.mark.parametrize(  # case 92
    ("trailer", "outcome"),
    [
        (f"{header('CRC32')}:{value('CRC32', b'other')}\r\n", (400, "BadDigest")),
        (f"{header('CRC32')}:AAAA\r\n", (400, "InvalidRequest")),
        (f"{header('CRC32')}:not base64\r\n", (400, "InvalidRequest")),
        ("", (400, "MalformedTrailerError")),
        (f"{header('SHA1')}:{value('SHA1', b'body')}\r\n", (400, "MalformedTrailerError")),
        (f"{header('CRC32')}:{value('CRC32', b'body')}\r\n{header('CRC32')}:AAAAAA==\r\n", (400, "BadDigest")),
        (f"{header('CRC32')}:{value('CRC32', b'body')}\r\nx-amz-meta-a:b\r\n", (400, "MalformedTrailerError")),
        ("no colon\r\n", (400, "MalformedTrailerError")),
    ],
)
def test_wrong_trailers(raw, bucket, unchanged, trailer, outcome):
    with unchanged(bucket):
        assert put_with_trailer(raw, f"/{bucket}/k", b"body", "CRC32", trailer).outcome == outcome


@pytest.mark.parametrize("end", ["\n\r\n", "\n", "\n\r\n\r\nmore", "\r\n"])
def test_forms_of_a_trailer_that_clients_send(raw, bucket, end):
    """minio-go ends the line with LF; the empty line at the end may be left out, and more may follow it."""
    text = f"{header('CRC32')}:{value('CRC32', b'body')}{end}"
    headers = {"x-amz-decoded-content-length": "4", "x-amz-trailer": header("CRC32")}
    body = chunked(b"body", text, end=b"")
    put = raw("PUT", f"/{bucket}/k", body, headers, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    assert (put.status, put.headers[header("CRC32")]) == (200, value("CRC32", b"body"))
    assert raw("GET", f"/{bucket}/k").body == b"body"


def test_a_body_that_ends_too_early(raw, bucket, unchanged):  # case 89
    headers = {"x-amz-decoded-content-length": "4", "x-amz-trailer": header("CRC32")}
    for body in (b"4\r\nbody\r\n", b"4\r\nbo", b"", b"3\r\nbod\r\n0\r\n\r\n", b"5\r\nbodyy\r\n0\r\n\r\n", b"body"):
        with unchanged(bucket):
            sent = {**headers, "Content-Length": str(len(body))}
            answer = raw("PUT", f"/{bucket}/k", body, sent, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            assert answer.outcome in ((400, "IncompleteBody"), (400, "MalformedTrailerError"))


def test_without_the_decoded_length(raw, bucket, unchanged):  # case 88
    with unchanged(bucket):
        body = chunked(b"body", f"{header('CRC32')}:{value('CRC32', b'body')}\r\n")
        answer = raw(
            "PUT",
            f"/{bucket}/k",
            body,
            {"x-amz-trailer": header("CRC32")},
            payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        )
        assert answer.outcome == (411, "MissingContentLength")
        for length in ("", "-1", "four", "4,4", "9" * 40):
            sent = {"x-amz-trailer": header("CRC32"), "x-amz-decoded-content-length": length}
            answer = raw("PUT", f"/{bucket}/k", body, sent, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            assert answer.outcome == (411, "MissingContentLength")


# --- as the SDK does it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_boto3_computes_and_verifies(s3, bucket, name):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"body", ChecksumAlgorithm=name)
    assert put[f"Checksum{name}"] == value(name, b"body")
    assert put["ChecksumType"] == "FULL_OBJECT"
    found = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (found["Body"].read(), found[f"Checksum{name}"]) == (b"body", value(name, b"body"))


def test_boto3_by_itself(s3, bucket):
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"body")["ChecksumCRC32"] == value("CRC32", b"body")
    assert s3.get_object(Bucket=bucket, Key="k")["ChecksumCRC32"] == value("CRC32", b"body")


def test_listings_name_the_algorithm(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", ChecksumAlgorithm="SHA1")
    for found in (s3.list_objects(Bucket=bucket)["Contents"], s3.list_objects_v2(Bucket=bucket)["Contents"]):
        assert (found[0]["ChecksumAlgorithm"], found[0]["ChecksumType"]) == (["SHA1"], "FULL_OBJECT")
    (version,) = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert (version["ChecksumAlgorithm"], version["ChecksumType"]) == (["SHA1"], "FULL_OBJECT")


# --- multipart ------------------------------------------------------------------------------------------------------


class Upload:
    """A multipart upload of two parts in raw requests."""

    def __init__(self, raw, bucket, algorithm, kind, bodies):
        self.raw, self.path, self.algorithm, self.bodies = raw, f"/{bucket}/k", algorithm, bodies
        headers = {"x-amz-checksum-algorithm": algorithm} | ({"x-amz-checksum-type": kind} if kind else {})
        self.created = raw("POST", f"{self.path}?uploads=", headers=headers)
        self.id = self.created.xml.findtext("UploadId")

    def put(self, number, algorithm=None):
        body = self.bodies[number - 1]
        name = algorithm or self.algorithm
        path = f"{self.path}?partNumber={number}&uploadId={self.id}"
        return self.raw("PUT", path, body, {header(name): value(name, body)}, payload="UNSIGNED-PAYLOAD")

    def complete(self, headers=None, values=None):
        parts = ""
        for number, body in enumerate(self.bodies, 1):
            etag = hashlib.md5(body).hexdigest()
            checksum = values[number - 1] if values else value(self.algorithm, body)
            element = f"<Checksum{self.algorithm}>{checksum}</Checksum{self.algorithm}>"
            parts += f"<Part>{element}<ETag>{etag}</ETag><PartNumber>{number}</PartNumber></Part>"
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
        return self.raw("POST", f"{self.path}?uploadId={self.id}", body, headers or {})


@pytest.fixture(scope="session")
def bodies(big):
    """A part of the least size, and a last one."""
    return [big[:PART], b"the last part"]


@pytest.fixture
def begin(raw, bucket, bodies):
    """A function that makes an upload and puts its parts."""

    def make(algorithm, kind=None):
        upload = Upload(raw, bucket, algorithm, kind, bodies)
        for number in (1, 2):
            answer = upload.put(number)
            assert (answer.status, answer.headers[header(algorithm)]) == (200, value(algorithm, bodies[number - 1]))
        return upload

    return make


@pytest.mark.parametrize("name", COMPOSITE)
def test_composite(raw, begin, bodies, name):
    upload = begin(name, "COMPOSITE")
    assert upload.created.headers["x-amz-checksum-algorithm"] == name
    assert upload.created.headers["x-amz-checksum-type"] == "COMPOSITE"
    digest = DIGESTS[name](b"".join(DIGESTS[name](body) for body in bodies))
    expected = f"{base64.b64encode(digest).decode()}-2"
    answer = upload.complete()
    assert answer.status == 200
    assert answer.xml.findtext(f"Checksum{name}") == expected
    assert answer.xml.findtext("ChecksumType") == "COMPOSITE"
    head = raw("HEAD", upload.path, headers={"x-amz-checksum-mode": "ENABLED"})
    assert told(head) == {header(name): expected, "x-amz-checksum-type": "COMPOSITE"}


def checksums_of(raw, path, query="", **headers):
    """Return the checksums that a GET tells; a HEAD tells the same."""
    headers |= {"x-amz-checksum-mode": "ENABLED"}
    told_by_get = told(raw("GET", path + query, headers=headers))
    assert told(raw("HEAD", path + query, headers=headers)) == told_by_get
    return told_by_get


@pytest.mark.parametrize("name", COMPOSITE)
def test_a_part_of_a_composite_comes_with_its_own_checksum(raw, begin, bodies, name):
    """By its number, or by a range that is the part, as S3 does; what is no part has none."""
    upload = begin(name, "COMPOSITE")
    assert upload.complete().status == 200
    first, second = ({header(name): value(name, body), "x-amz-checksum-type": "COMPOSITE"} for body in bodies)
    assert checksums_of(raw, upload.path, "?partNumber=1") == first
    assert checksums_of(raw, upload.path, "?partNumber=2") == second
    assert checksums_of(raw, upload.path, range=f"bytes=0-{PART - 1}") == first
    assert checksums_of(raw, upload.path, range=f"bytes={PART}-") == second
    for span in (f"0-{PART}", f"0-{PART - 2}", f"{PART + 1}-", f"1-{PART - 1}", f"{PART - 1}-"):
        assert checksums_of(raw, upload.path, range=f"bytes={span}") == {}
    assert header(name) in checksums_of(raw, upload.path, range="bytes=0-"), "that is the whole"
    assert told(raw("GET", f"{upload.path}?partNumber=1")) == {}, "not asked for"


@pytest.mark.parametrize("name", FULL)
def test_a_part_of_a_full_object_has_no_checksum(raw, begin, bodies, name):
    upload = begin(name, "FULL_OBJECT")
    assert upload.complete().status == 200
    whole = {header(name): value(name, b"".join(bodies)), "x-amz-checksum-type": "FULL_OBJECT"}
    assert checksums_of(raw, upload.path) == whole
    for number in (1, 2):
        assert checksums_of(raw, upload.path, f"?partNumber={number}") == {}
    assert checksums_of(raw, upload.path, range=f"bytes=0-{PART - 1}") == {}


@pytest.mark.parametrize(("name", "kind"), [("SHA256", "COMPOSITE"), ("CRC32", "COMPOSITE"), ("CRC32", "FULL_OBJECT")])
def test_the_only_part(raw, bucket, name, kind):
    upload = Upload(raw, bucket, name, kind, [b"the only part"])
    assert upload.put(1).status == 200
    assert upload.complete().status == 200
    of_part = {header(name): value(name, b"the only part"), "x-amz-checksum-type": kind}
    assert checksums_of(raw, upload.path, "?partNumber=1") == of_part
    whole = checksums_of(raw, upload.path)
    assert whole[header(name)].endswith("-1") == (kind == "COMPOSITE")


@pytest.mark.parametrize(
    ("name", "kind", "refused"),
    [("SHA256", "COMPOSITE", True), ("CRC32", "FULL_OBJECT", True), ("CRC64NVME", "FULL_OBJECT", False)],
)
def test_parts_with_chosen_checksums_are_numbered_without_gaps(raw, bucket, name, kind, refused):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompletedPart.html"""
    upload = Upload(raw, bucket, name, kind, [b"", b"the part"])
    assert upload.put(2).status == 200
    etag, checksum = hashlib.md5(b"the part").hexdigest(), value(name, b"the part")
    part = f"<Part><Checksum{name}>{checksum}</Checksum{name}><ETag>{etag}</ETag><PartNumber>2</PartNumber></Part>"
    body = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>"
    answer = raw("POST", f"{upload.path}?uploadId={upload.id}", body)
    if refused:
        assert answer.outcome == (400, "InvalidPartOrder")
        assert raw("GET", upload.path).status == 404
    else:
        assert answer.status == 200
        assert raw("GET", f"{upload.path}?partNumber=1").body == b"the part"


def test_an_object_in_one_piece_is_its_own_part(raw, bucket):
    sent = raw(
        "PUT", f"/{bucket}/k", b"body", headers={header("SHA1"): value("SHA1", b"body")}, payload="UNSIGNED-PAYLOAD"
    )
    assert sent.status == 200
    assert checksums_of(raw, f"/{bucket}/k", "?partNumber=1") == {
        header("SHA1"): value("SHA1", b"body"),
        "x-amz-checksum-type": "FULL_OBJECT",
    }


@pytest.mark.parametrize("name", COMPOSITE)
@pytest.mark.parametrize("count", ["", "-2"])
def test_a_composite_is_confirmed_with_its_count_and_without(begin, bodies, name, count):
    digest = DIGESTS[name](b"".join(DIGESTS[name](body) for body in bodies))
    expected = base64.b64encode(digest).decode()
    answer = begin(name, "COMPOSITE").complete({header(name): expected + count, "x-amz-checksum-type": "COMPOSITE"})
    assert (answer.status, answer.xml.findtext(f"Checksum{name}")) == (200, f"{expected}-2")


@pytest.mark.parametrize("name", ["CRC32", "SHA256"])
def test_composites_that_are_wrong(begin, bodies, name):
    digest = DIGESTS[name](b"".join(DIGESTS[name](body) for body in bodies))
    expected, other = base64.b64encode(digest).decode(), value(name, b"other")
    upload = begin(name, "COMPOSITE")
    for wrong in (f"{expected}-1", f"{expected}-3", other, f"{other}-2"):
        assert upload.complete({header(name): wrong}).outcome == (400, "BadDigest")
    for malformed in (f"{expected}-", f"{expected}-x", f"{expected}-02", f"{expected}-2-2", "-2", "", "AAAA", "!"):
        assert upload.complete({header(name): malformed}).outcome == (400, "InvalidRequest")
    assert upload.complete({header(name): expected}).status == 200


@pytest.mark.parametrize("name", FULL)
def test_a_count_says_nothing_of_a_whole(begin, bodies, name):
    upload = begin(name, "FULL_OBJECT")
    whole = value(name, b"".join(bodies))
    assert upload.complete({header(name): f"{whole}-2"}).outcome == (400, "BadDigest")
    assert upload.complete({header(name): whole}).status == 200


@pytest.mark.parametrize("name", FULL)
def test_full_object(raw, begin, bodies, name):
    upload = begin(name, "FULL_OBJECT")
    expected = value(name, b"".join(bodies))
    answer = upload.complete({header(name): expected, "x-amz-checksum-type": "FULL_OBJECT"})
    assert answer.status == 200
    assert answer.xml.findtext(f"Checksum{name}") == expected
    head = raw("HEAD", upload.path, headers={"x-amz-checksum-mode": "ENABLED"})
    assert told(head) == {header(name): expected, "x-amz-checksum-type": "FULL_OBJECT"}


def test_a_whole_that_is_wrong(begin):
    upload = begin("CRC32", "FULL_OBJECT")
    assert upload.complete({header("CRC32"): value("CRC32", b"other")}).outcome == (400, "BadDigest")
    assert upload.complete().status == 200, "the upload goes on after a wrong request"


def test_the_type_at_the_end_is_another(begin):
    answer = begin("CRC32", "FULL_OBJECT").complete({"x-amz-checksum-type": "COMPOSITE"})
    assert answer.outcome == (400, "InvalidRequest")


def test_part_checksums_that_are_wrong(begin, bodies):
    upload = begin("SHA256", "COMPOSITE")
    wrong = [value("SHA256", body) for body in reversed(bodies)]
    assert upload.complete(values=wrong).outcome == (400, "InvalidPart")


@pytest.mark.parametrize(
    "elements",
    ["<ChecksumCRC32>A</ChecksumCRC32>", "<ChecksumSHA256>{0}</ChecksumSHA256><ChecksumCRC32>{1}</ChecksumCRC32>"],
)
def test_part_checksums_that_are_none(raw, bucket, elements):
    body = b"part"
    upload = Upload(raw, bucket, "SHA256", "COMPOSITE", [body])
    upload.put(1)
    given = elements.format(value("SHA256", body), value("CRC32", body))
    part = f"<Part>{given}<ETag>{hashlib.md5(body).hexdigest()}</ETag><PartNumber>1</PartNumber></Part>"
    document = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>"
    answer = raw("POST", f"{upload.path}?uploadId={upload.id}", document)
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("Message") == "Invalid Base64 or multiple checksums present in request"


@pytest.mark.parametrize("name", ["FOO", "", "CRC32,SHA1"])
def test_algorithms_that_are_none(raw, s3, bucket, name):
    headers = {"x-amz-checksum-algorithm": name}
    s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    copied = raw("PUT", f"/{bucket}/k", headers={**headers, "x-amz-copy-source": f"{bucket}/source"})
    for answer in (raw("POST", f"/{bucket}/k?uploads=", headers=headers), copied):
        assert answer.outcome == (400, "InvalidRequest")
        assert answer.xml.findtext("Message").startswith("Checksum algorithm provided is unsupported.")


def test_algorithms_and_types_in_any_case(raw, bucket):
    headers = {"x-amz-checksum-algorithm": "crc32", "x-amz-checksum-type": "full_object"}
    answer = raw("POST", f"/{bucket}/k?uploads=", headers=headers)
    shown = [answer.headers[name] for name in headers]
    assert (answer.status, shown) == (200, ["CRC32", "FULL_OBJECT"])


def test_types_that_are_none(raw, bucket):
    headers = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "HALF"}
    answer = raw("POST", f"/{bucket}/k?uploads=", headers=headers)
    assert answer.outcome == (400, "InvalidRequest")
    assert answer.xml.findtext("Message") == "Value for x-amz-checksum-type header is invalid."


def test_modes_of_checksums(raw, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumAlgorithm="CRC32")
    for mode in ("ENABLED", "enabled", "Enabled"):
        for method in ("GET", "HEAD"):
            answer = raw(method, f"/{bucket}/k", headers={"x-amz-checksum-mode": mode})
            assert answer.headers["x-amz-checksum-crc32"] == value("CRC32", b"x")
    for mode in ("DISABLED", ""):
        for key in ("k", "missing"):
            answer = raw("GET", f"/{bucket}/{key}", headers={"x-amz-checksum-mode": mode})
            assert answer.outcome == (400, "InvalidRequest")
            assert answer.xml.findtext("Message") == "Value for x-amz-checksum-mode header is invalid."


@pytest.mark.parametrize(
    ("name", "kind"),
    [("CRC64NVME", "COMPOSITE"), ("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"), ("XXHASH3", "FULL_OBJECT")],
)
def test_types_that_an_algorithm_has_not(raw, bucket, name, kind):
    headers = {"x-amz-checksum-algorithm": name, "x-amz-checksum-type": kind}
    assert raw("POST", f"/{bucket}/k?uploads=", headers=headers).outcome == (400, "InvalidRequest")


def test_a_type_without_an_algorithm(raw, bucket):
    headers = {"x-amz-checksum-type": "FULL_OBJECT"}
    assert raw("POST", f"/{bucket}/k?uploads=", headers=headers).outcome == (400, "InvalidRequest")


def test_the_types_by_default(raw, bucket, algorithm):
    headers = {"x-amz-checksum-algorithm": algorithm}
    answer = raw("POST", f"/{bucket}/k?uploads=", headers=headers)
    expected = "FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE"
    assert answer.headers["x-amz-checksum-type"] == expected


def test_a_part_with_another_algorithm(raw, bucket):  # case 116
    upload = Upload(raw, bucket, "SHA256", "COMPOSITE", [b"part"])
    answer = upload.put(1, "CRC32")
    assert answer.outcome == (400, "InvalidRequest")


def test_a_part_with_a_wrong_checksum(raw, s3, bucket):
    upload = Upload(raw, bucket, "CRC32", "FULL_OBJECT", [b"part"])
    path = f"{upload.path}?partNumber=1&uploadId={upload.id}"
    assert raw("PUT", path, "part", {header("CRC32"): value("CRC32", b"other")}).outcome == (400, "BadDigest")
    assert "Parts" not in s3.list_parts(Bucket=bucket, Key="k", UploadId=upload.id)


def test_listings_of_parts_and_uploads(s3, bucket, begin, bodies):
    upload = begin("SHA1", "COMPOSITE")
    found = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload.id)
    assert (found["ChecksumAlgorithm"], found["ChecksumType"]) == ("SHA1", "COMPOSITE")
    assert [part["ChecksumSHA1"] for part in found["Parts"]] == [value("SHA1", body) for body in bodies]
    (listed,) = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == ("SHA1", "COMPOSITE")
