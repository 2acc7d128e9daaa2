"""Everything that reads bytes from outside, as functions of any bytes: each returns, or raises its layer's one error.

What a client sends may only raise ``S3Error``, what lies on a volume ``BlobError``, what stands in the index
``IndexFailure``; a scalar on the wire ``ValueError``, which its caller turns into an S3 error that names it.
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from s3ish.api.catalogue import catalogue
from s3ish.api.multipart import _source_range
from s3ish.api.page_tokens import read_token
from s3ish.api.tag_rules import read_tagging
from s3ish.auth import sigv4
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.evaluator import BucketRules, Permit, decide
from s3ish.auth.policy import read_policy
from s3ish.auth.principals import ANONYMOUS
from s3ish.auth.request import HttpRequest
from s3ish.blob.erasure import sidecar
from s3ish.blob.paths import home_of, mint
from s3ish.blob.protocol import BlobError
from s3ish.blob.volumes import identity
from s3ish.errors import S3Error
from s3ish.index.protocol import IndexFailure
from s3ish.model import Attributes, BlobRef, Bucket, Entry, Owner, Part, Upload, Version
from s3ish.objects import get
from s3ish.server.query import read_query
from s3ish.server.target import locate
from s3ish.tables import records
from s3ish.tables.catalogue import TABLES
from s3ish.tables.state import Lease, LifecycleProgress, ScrubProgress
from s3ish.wire import scalars, shape
from s3ish.wire.chunked import ChunkedDecoder
from s3ish.wire.names import split_copy_source
from tests.auth.support import HOST, NOW, STAMP, UNSIGNED, ChunkChain, authenticator, sign_header, signature_of

CORPUS = Path(__file__).parent / "corpus"
BLOB = "b/k@token"


class Parser(NamedTuple):
    """A function of bytes, what it may raise, and pieces of its language to mutate with."""

    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    words: tuple[bytes, ...] = ()

    def run(self, data):
        """Return whether the bytes were accepted; whatever is no error of the parser's own is raised."""
        try:
            self.read(data)
        except self.errors:
            return False
        return True


def text_of(data):
    """A header's text, as the server's edge decodes it."""
    try:
        return data.decode().strip(" \t")
    except UnicodeDecodeError:
        return data.decode("latin-1").strip(" \t")


def read_target(data):
    host, _, path = data.decode("latin-1").partition("\n")
    found = locate(host, path, ("s3.test",))
    assert "\0" not in found.bucket + found.key
    assert len(found.key.encode()) <= 1024


def read_any_query(data):
    text = data.decode("latin-1")
    pairs = sigv4.read_query(text).pairs
    assert sorted(sigv4.read_query(sigv4.canonical_query(pairs)).pairs) == sorted(pairs)
    read_query(text)


def read_authorization(data):
    headers = {
        "host": HOST,
        "x-amz-date": STAMP,
        "x-amz-content-sha256": UNSIGNED,
        "authorization": text_of(data),
    }
    door().identify(HttpRequest("GET", "/b/k", "", headers), NOW)


def read_presigned(data):
    found = door().identify(HttpRequest("GET", "/b/k", data.decode("latin-1"), {"host": HOST}), NOW)
    assert found.user is None or found.way == "REST-QUERY-STRING"


@cache
def door():
    return authenticator()


@cache
def _streaming():
    return sign_header("PUT", "/b/k", covers="STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")


def chunk_chain():
    """The independent signer of the chunks of the request that ``read_chunked`` takes them for."""
    return ChunkChain(signature_of(_streaming()))


def read_chunked(data):
    """The first line says the decoded length, whether chunks are signed, which trailer was announced."""
    head, _, body = data.partition(b"\n")
    length, signed, announced = [*head.split(b" "), b"", b""][:3]
    expected = int(length) if length.isdigit() and len(length) < 10 else len(body)
    signer = door().identify(_streaming(), NOW).payload.signer if signed == b"signed" else None
    results = []
    for step in (len(body) or 1, 7):
        decoder = ChunkedDecoder(expected, signer, announced.decode("latin-1") if announced else None)
        results.append(_decode(decoder, body, step))
        signer = door().identify(_streaming(), NOW).payload.signer if signer else None
    whole, pieces = results
    assert whole == pieces, "however the bytes arrive"
    if isinstance(whole, type):
        raise S3Error


def _decode(decoder, body, step):
    got = b""
    try:
        for start in range(0, len(body), step):
            got += b"".join(decoder.feed(body[start : start + step]))
        decoder.finish()
    except S3Error as error:
        return type(error)
    return got, decoder.trailers


VERSIONS = [
    Version(
        bucket="b",
        key="k",
        id="null",
        sequence=1,
        modified_ns=1,
        owner=Owner("o"),
        blob=BlobRef("b/k@t", size, 1, "rs-cauchy-11d", 2, 1, 1000, (0, 1, 2)),
        size=size,
        attributes=Attributes(),
    )
    for size in (0, 1, 1000, 10**13)
]


def read_range(data):
    for version in VERSIONS:
        try:
            span = get.select(version, text_of(data), None)
        except S3Error:
            continue
        assert 0 <= span.start <= span.stop <= version.size
        assert span.partial or span.length == version.size


def read_source_range(data):
    start, stop = _source_range(text_of(data), VERSIONS[2])
    assert 0 <= start < stop <= 1000


def read_source(data):
    bucket, key, _version = split_copy_source(text_of(data))
    assert bucket
    assert 0 < len(key.encode()) <= 1024


@cache
def documents():
    """The operations that read an XML document, by name."""
    return {item.name: item for item in catalogue() if item.supported and shape.wire(item.request).body_field}


def read_any_policy(data):
    """Read a policy, and ask it as a request does."""
    text = data.decode("latin-1")
    policy = read_policy(text, "b")
    circumstances = Circumstances({"referer": "x" * 100}, {"prefix": "a/b"}, NOW, "127.0.0.1")
    for permit in (Permit("s3:GetObject", "b", "a/b/c"), Permit("s3:ListBucket", "b")):
        decide(ANONYMOUS, permit, BucketRules(Owner("o"), policy), circumstances)
    assert policy.is_public in (True, False)


def read_documents(data):
    """Every operation reads the document; which one it is meant for does not matter."""
    accepted = False
    for item in documents().values():
        try:
            shape.wire(item.request).read_request({"Bucket": "b", "Key": "k"}, {}, {}, data)
            accepted = True
        except S3Error:
            continue
    if not accepted:
        raise S3Error


def read_scalars(data):
    text = text_of(data)
    found = 0
    for function in (
        scalars.read_integer,
        scalars.read_boolean,
        scalars.read_iso8601,
        scalars.read_http_date,
        lambda text: scalars.read_base64(text, 4),
    ):
        try:
            function(text)
            found += 1
        except ValueError:
            continue
    if not found:
        raise ValueError


def read_tags(data):
    read_tagging(text_of(data))


def read_any_token(data):
    read_token("b", text_of(data))


def read_sidecar(data):
    sidecar.decode(data, BLOB)


def read_sealed_sidecar(data):
    """A sidecar whose checksum fits, as one that was written by somebody else on purpose."""
    head = b'{"format":1,"checksum":"%s",\n' % sidecar.checksum(b"1", data)
    found = sidecar.decode(head + data, BLOB)
    assert sidecar.decode(sidecar.encode(found), BLOB) == found


def read_seal(data):
    TABLES.read_sidecar(data)


def read_row(data):
    records.decode_bytes("versions", b"row", data)


def read_sealed_row(data):
    """A row whose checksum fits, of each kind."""
    value = records.encode_bytes("versions", b"row", data)
    accepted = False
    for kind in (Version, Bucket, Upload, Part, Entry, BlobRef, Lease, LifecycleProgress, ScrubProgress):
        try:
            records.decode("versions", b"row", value, kind)
            accepted = True
        except IndexFailure:
            continue
    if not accepted:
        raise IndexFailure


def read_identity(data):
    identity.decode(data, "volume")


def read_folder(data):
    """The name of a folder that somebody may have planted on a volume."""
    home_of(os.fsdecode(data))


def make_folder(data):
    home = "b/" + (data[:1024].decode("utf-8", "replace").replace("\0", "") or "k")
    assert home_of(mint(home, "token")) == home


_URL = (
    b"%00",
    b"%2F",
    b"%",
    b"%ff",
    b"%c3%a9",
    b"/",
    b"..",
    b"../",
    b"//",
    b"\xff",
    b"\n",
    b"?",
    b"#",
    b"+",
    b"&",
    b"=",
)
_SIGNED = (
    b"AWS4-HMAC-SHA256 ",
    b"AWS ",
    b":",
    b"Credential=",
    b"SignedHeaders=",
    b"Signature=",
    b", ",
    b"/",
    b"aws4_request",
    b"host;",
)
_QUERY = (
    b"X-Amz-Signature=",
    b"X-Amz-Expires=",
    b"X-Amz-Date=",
    b"X-Amz-SignedHeaders=",
    b"AWSAccessKeyId=",
    b"Signature=",
    b"Expires=",
    b"x-amz-meta-",
    b"&",
    b"%3B",
    b"604801",
    b"-1",
)
_CHUNKS = (
    b"\r\n",
    b"0\r\n",
    b";chunk-signature=",
    b"2000\r\n",
    b"ffffffffffffffff",
    b":",
    b"x-amz-checksum-crc32:",
    b"\n",
)
_XML = (
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"&b;",
    b"<a>",
    b"</a>",
    b"<![CDATA[",
    b"]]>",
    b"<?xml version='1.0'?>",
    b"&#0;",
    b"&#13;",
    b"<!--",
    b"-->",
    b"xmlns='x'",
    b"<Key>",
    b"</Key>",
    b"\xff\xfe",
    b"<Part>",
    b"9" * 30,
)
_JSON = (
    b"{",
    b"[",
    b"}",
    b"]",
    b",",
    b":",
    b'"',
    b"null",
    b"1e999",
    b"NaN",
    b"-1",
    b"\\ud800",
    b"9" * 30,
    b"true",
    b"\n",
)

_POLICY = (
    b"*",
    b"?",
    b"${aws:username}",
    b"${",
    b"}",
    b'"Condition": {"StringLike": {"aws:Referer": "*a*a*"}}',
    b'"NotAction"',
    b'"NotPrincipal"',
    b"arn:aws:s3:::b/",
    b"1e999",
)
PARSERS = {
    "target": Parser(read_target, (S3Error,), _URL),
    "query": Parser(read_any_query, (S3Error,), _URL),
    "authorization": Parser(read_authorization, (S3Error,), _SIGNED),
    "presigned": Parser(read_presigned, (S3Error,), _QUERY),
    "chunked": Parser(read_chunked, (S3Error,), _CHUNKS),
    "range": Parser(read_range, (S3Error,), (b"bytes=", b"-", b",", b"9" * 20, "٣".encode())),
    "source-range": Parser(read_source_range, (S3Error,), (b"bytes=", b"-", b",", b"9" * 20, "٣".encode())),
    "copy-source": Parser(read_source, (S3Error,), (*_URL, b"?versionId=")),
    "policy": Parser(read_any_policy, (S3Error,), _POLICY),
    "xml": Parser(read_documents, (S3Error,), _XML),
    "scalars": Parser(read_scalars, (ValueError,), (b"9" * 5000, b"Z", b"T", b"GMT", b"-", b"\xd9\xa3", b"true")),
    "tagging": Parser(read_tags, (S3Error,), _URL),
    "token": Parser(read_any_token, (S3Error,), (b"=", b"-", b"_")),
    "sidecar": Parser(read_sidecar, (BlobError,), _JSON),
    "sidecar-sealed": Parser(read_sealed_sidecar, (BlobError,), _JSON),
    "seal": Parser(read_seal, (ValueError, IndexFailure), _JSON),
    "row": Parser(read_row, (IndexFailure,)),
    "row-sealed": Parser(
        read_sealed_row,
        (IndexFailure,),
        (b"\xc0", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"),
    ),
    "identity": Parser(read_identity, (BlobError,), _JSON),
    "folder": Parser(read_folder, (ValueError,), (b"@", b"%+", b"%FF", b"%", b"/", b".")),
    "home": Parser(make_folder, (), (b"/", b"//", b"@", b"%", b".", b"..", "é".encode())),
}
"""All parsers; each has a folder of seeds in ``corpus``."""


def seeds(name):
    """Return the corpus of a parser, each seed with its file's name."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / name).iterdir())}
