"""An independent signer: botocore makes the signatures, a few lines here sign the chunks of a body."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from unittest.mock import patch
from urllib.parse import quote

from botocore.auth import HmacV1Auth, HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from msgspec.structs import replace

from s3ish.auth.authenticator import Authenticator
from s3ish.auth.credentials import Credentials, User
from s3ish.auth.request import HttpRequest
from s3ish.model import Owner
from s3ish.server.request_record import read_headers

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
STAMP = "20260131T093000Z"
REGION = "us-east-1"
HOST = "s3.example.com:9000"
ALICE = User("AKIDALICE", "alice/secret+key", Owner("alice"))
BOB = User("team/bob", "bob's secret", Owner("bob"))
UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


class _Signer(S3SigV4Auth):
    """botocore's signer, told how the body is covered."""

    covers = ""

    def payload(self, request):
        return self.covers or super().payload(request)


class _HeaderSignerV2(HmacV1Auth):
    """botocore's older signer, at a time of the test's choice."""

    at = NOW

    def _get_date(self):
        return format_datetime(self.at, usegmt=True)


class _QuerySignerV2(HmacV1QueryAuth):
    """botocore's older presigner, at a time of the test's choice."""

    at = NOW

    def _get_date(self):
        return str(int((self.at + timedelta(seconds=int(self._expires))).timestamp()))


def authenticator(**settings):
    return Authenticator(Credentials([ALICE, BOB]), REGION, **settings)


def encode_key(key):
    return quote(key, safe="/-_.~")


def encode_query(pairs):
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)


def http_request(method, path, query, pairs, bucket=""):
    """A request as the server's edge hands it over; ``bucket`` is the one that the host names."""
    headers, repeated = read_headers([(name.lower().encode(), value.encode()) for name, value in pairs])
    return HttpRequest(method, path, query, headers, repeated, bucket)


def sign_header(
    method, path, query="", headers=(), body=b"", *, user=ALICE, at=NOW, region=REGION, service="s3", covers=""
):
    """Return a request that botocore signed in the Authorization header."""
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body)
    request.headers["Host"] = HOST
    for name, value in headers:
        request.headers[name] = value
    signer = _Signer(BotoCredentials(user.access_key, user.secret_key), service, region)
    signer.covers = covers
    with patch("botocore.auth.get_current_datetime", lambda: at):
        signer.add_auth(request)
    return http_request(method, path, query, request.headers.items())


def sign_query(
    method, path, query="", headers=(), *, user=ALICE, at=NOW, expires=3600, region=REGION, service="s3", covers=""
):
    """Return a request that botocore presigned."""
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url)
    request.headers["Host"] = HOST
    for name, value in headers:
        request.headers[name] = value
    signer = S3SigV4QueryAuth(BotoCredentials(user.access_key, user.secret_key), service, region, expires=expires)
    if covers:
        signer.payload = lambda _request: covers
    with patch("botocore.auth.get_current_datetime", lambda: at):
        signer.add_auth(request)
    _, _, signed_query = request.url.partition("?")
    return http_request(method, path, signed_query, request.headers.items())


def _unsigned_v2(method, path, query, headers, bucket):
    auth_path = f"/{bucket}{path}" if bucket else None
    request = AWSRequest(method, f"http://{HOST}{path}" + (f"?{query}" if query else ""), auth_path=auth_path)
    request.headers["Host"] = f"{bucket}.{HOST}" if bucket else HOST
    for name, value in headers:
        request.headers[name] = value
    return request


def sign_header_v2(method, path, query="", headers=(), *, user=ALICE, at=NOW, bucket=""):
    """Return a request that botocore signed by Version 2 in the Authorization header."""
    request = _unsigned_v2(method, path, query, headers, bucket)
    signer = _HeaderSignerV2(BotoCredentials(user.access_key, user.secret_key))
    signer.at = at
    signer.add_auth(request)
    return http_request(method, path, query, request.headers.items(), bucket)


def sign_query_v2(method, path, query="", headers=(), *, user=ALICE, at=NOW, expires=3600, bucket="", sent=True):
    """Return a request that botocore presigned by Version 2; ``sent`` is whether the client adds the headers."""
    request = _unsigned_v2(method, path, query, headers, bucket)
    signer = _QuerySignerV2(BotoCredentials(user.access_key, user.secret_key), expires)
    signer.at = at
    signer.add_auth(request)
    _, _, signed_query = request.url.partition("?")
    pairs = [("Host", request.headers["Host"]), *(headers if sent else ())]
    return http_request(method, path, signed_query, pairs, bucket)


def with_headers(request, **changes):
    """The request with headers set (underscores are hyphens) or, where the value is None, removed."""
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    merged = {**request.headers, **named}
    return replace(request, headers={name: value for name, value in merged.items() if value is not None})


def with_authorization(request, old, new):
    """The request with a text in its Authorization header replaced."""
    text = request.headers["authorization"]
    assert old in text
    return with_headers(request, authorization=text.replace(old, new))


def with_query(request, old, new):
    """The request with a text in its query replaced."""
    assert old in request.raw_query
    return replace(request, raw_query=request.raw_query.replace(old, new))


def signature_of(request):
    return request.headers["authorization"].rpartition("Signature=")[2]


class ChunkChain:
    """Signs chunks as AWS's page on streaming describes; shares no code with what is tested."""

    def __init__(self, seed, *, secret=ALICE.secret_key, stamp=STAMP, region=REGION):
        key = ("AWS4" + secret).encode()
        for part in (stamp[:8], region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        self._key = key
        self._head = f"{stamp}\n{stamp[:8]}/{region}/s3/aws4_request"
        self.previous = seed

    def _next(self, text):
        self.previous = hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
        return self.previous

    def chunk(self, data):
        empty, digest = hashlib.sha256().hexdigest(), hashlib.sha256(data).hexdigest()
        return self._next(f"AWS4-HMAC-SHA256-PAYLOAD\n{self._head}\n{self.previous}\n{empty}\n{digest}")

    def trailer(self, text):
        digest = hashlib.sha256(text).hexdigest()
        return self._next(f"AWS4-HMAC-SHA256-TRAILER\n{self._head}\n{self.previous}\n{digest}")


def signed_body(chunks, chain, trailers=None):
    """Return an aws-chunked body with signed chunks and, if there are trailers, a signed trailer."""
    out = b""
    for chunk in [*chunks, b""]:
        out += f"{len(chunk):x};chunk-signature={chain.chunk(chunk)}\r\n".encode()
        out += chunk + b"\r\n" if chunk else b""
    if trailers is not None:
        text = "".join(f"{name}:{value}\n" for name, value in trailers).encode()
        out += "".join(f"{name}:{value}\r\n" for name, value in trailers).encode()
        out += f"x-amz-trailer-signature:{chain.trailer(text)}\r\n".encode()
    return out + b"\r\n"
