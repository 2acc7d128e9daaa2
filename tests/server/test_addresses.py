"""Signatures for other addresses of the server than the one where a request arrives, and what must not count."""

import re
import urllib.error
import urllib.request
from datetime import UTC, datetime

import boto3
import pytest
from botocore.config import Config

from s3ish.auth.sign_request import sign_request
from s3ish.model import ACCOUNT
from s3ish.server.addresses import Addresses
from s3ish.server.proxies import Origin, Proxies

PEER = Origin("127.0.0.1")
TRUSTED = Proxies(("127.0.0.0/8",))


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, ("", "", "")),
        ({"x-forwarded-host": "s3.test:8443"}, ("s3.test:8443", "", "")),
        ({"x-forwarded-host": "client.said, s3.test"}, ("s3.test", "", "")),
        ({"x-forwarded-port": "8443"}, ("", "8443", "")),
        ({"x-forwarded-port": "80"}, ("", "", "")),
        ({"x-forwarded-port": "443", "x-forwarded-proto": "https"}, ("", "", "")),
        ({"x-forwarded-port": "\u0661"}, ("", "", "")),
        ({"x-forwarded-port": "80a"}, ("", "", "")),
        ({"x-forwarded-prefix": "/s3"}, ("", "", "/s3")),
        ({"x-forwarded-prefix": "/s3/"}, ("", "", "/s3")),
        ({"x-forwarded-prefix": "/a, /s3"}, ("", "", "/s3")),
        ({"x-forwarded-prefix": "s3"}, ("", "", "")),
        ({"x-forwarded-prefix": "/s3?x"}, ("", "", "")),
        ({"x-forwarded-prefix": "//evil"}, ("", "", "")),
        ({"x-forwarded-prefix": "/"}, ("", "", "")),
    ],
)
def test_what_trusted_proxies_say_of_the_address(headers, told):
    origin = TRUSTED.origin(PEER, headers)
    assert (origin.host, origin.port, origin.prefix) == told
    assert Proxies(("10.0.0.0/8",)).origin(PEER, headers) == PEER


@pytest.mark.parametrize(
    ("path", "host", "prefix", "split"),
    [
        ("/s3/bucket/key", "h", "", ("/s3", "/bucket/key")),
        ("/s3", "h", "", ("/s3", "/")),
        ("/s3/", "h", "", ("/s3", "/")),
        ("/s3x/key", "h", "", ("", "/s3x/key")),
        ("/bucket/key", "h", "", ("", "/bucket/key")),
        ("/bucket/key", "h", "/s3", ("/s3", "/bucket/key")),
        ("/s3/key", "h", "/s3", ("/s3", "/s3/key")),  # a bucket of that name, of whose path the proxy took the prefix
        ("/b/c", "h", "/a", ("", "/b/c")),  # else a signature for /a/b/c would count for /b/c
        ("/s3/key", "bucket.s3.test", "", ("", "/s3/key")),
        ("/s3/key", "www.test:80", "/s3", ("", "/s3/key")),
        ("/s3/key", "bucket.s3.test.:9000", "", ("", "/s3/key")),
    ],
)
def test_the_base_path_alone_is_taken_off(path, host, prefix, split):
    addresses = Addresses((), "/s3", ("s3.test", "www.test"))
    assert addresses.split(path, host, Origin("", prefix=prefix)) == split
    assert Addresses().split(path, host, Origin("", prefix=prefix)) == ("", path)


def presigned(endpoint, method="get_object", **others):
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, **others),
    )
    named = {} if method == "list_buckets" else {"Bucket": "bucket", "Key": "key"}
    return s3.generate_presigned_url(method, named)


def ask(endpoint, url, path=None, **headers):
    """Send the request of a URL to another address; return the status and the body or the code of the error."""
    inner = re.sub(r"^http://[^/]+", "", url)
    if path:
        inner = path + "?" + inner.partition("?")[2]
    request = urllib.request.Request(
        endpoint + inner, headers={name.replace("_", "-"): it for name, it in headers.items()}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, re.search(rb"<Code>(\w+)</Code>", error.read())[1]


@pytest.fixture
def serve(start_server, tmp_path_factory):
    """A function that starts a server with the object ``key`` in ``bucket``, and others of other names."""

    def start(**variables):
        folder = tmp_path_factory.mktemp("seed")
        for name in ("bucket", "other", "s3x"):
            (folder / name).mkdir()
            (folder / name / "key").write_text(name)
            (folder / name / "bucket").mkdir()
            (folder / name / "bucket" / "key").write_text(f"{name}/bucket")
        server = start_server(tmp_path_factory.mktemp("data"), S3ISH_SEED=str(folder), **variables)
        return server.endpoint

    return start


@pytest.fixture
def endpoint(serve):
    return serve(
        S3ISH_SERVER_PUBLIC_HOSTS="localhost:9000,s3.example.test",
        S3ISH_SERVER_BASE_PATH="/store/s3",
        S3ISH_DOMAINS="hosts.test",
    )


@pytest.fixture
def behind(serve):
    return serve(S3ISH_SERVER_TRUSTED_PROXIES="127.0.0.1", S3ISH_SERVER_BASE_PATH="/store", S3ISH_DOMAINS="hosts.test")


GIVEN = (200, b"bucket")
REFUSED = (403, b"SignatureDoesNotMatch")


@pytest.mark.parametrize(
    "signed_for",
    [
        "http://localhost:9000",
        "http://s3.example.test",
        "http://localhost:9000/store/s3",
        "http://s3.example.test/store/s3",
    ],
)
def test_a_url_works_inside_and_outside_a_compose_network(endpoint, signed_for):
    url = presigned(signed_for)
    assert ask(endpoint, url) == GIVEN
    assert ask(endpoint, url, Host="s3:9000") == GIVEN
    assert ask(endpoint, url, "/bucket/key") == GIVEN  # the proxy took the base path off
    assert ask(endpoint, url, "/store/s3/bucket/key") == GIVEN
    assert ask(endpoint, url, "/other/key") == REFUSED
    assert ask(endpoint, url, "/store/s3/other/key") == REFUSED


def test_other_hosts_and_paths_do_not_count(endpoint):
    assert ask(endpoint, presigned("http://localhost:9001")) == REFUSED
    assert ask(endpoint, presigned("http://elsewhere.test")) == REFUSED
    assert ask(endpoint, presigned("http://localhost:9000/store")) != GIVEN
    assert ask(endpoint, presigned("http://localhost:9000/other"), "/bucket/key") == REFUSED


def test_a_signature_for_a_path_counts_for_no_host_that_names_a_bucket(endpoint):
    url = presigned("http://localhost:9000")  # of the key "key" in the bucket "bucket"
    assert ask(endpoint, url, Host="other.hosts.test") == REFUSED  # would be "bucket/key" in "other"
    assert ask(endpoint, url, "/key", Host="other.hosts.test") == REFUSED
    assert ask(endpoint, url, "/store/s3/bucket/key", Host="other.hosts.test") == REFUSED


def test_forwarded_headers_of_strangers_are_ignored(endpoint):
    url = presigned("http://elsewhere.test")
    assert ask(endpoint, url, X_Forwarded_Host="elsewhere.test") == REFUSED
    url = presigned("http://localhost:9000/a")
    assert ask(endpoint, url, "/bucket/key", X_Forwarded_Prefix="/a") == REFUSED


def test_forwarded_headers_of_a_trusted_proxy_count(behind):
    assert ask(behind, presigned("http://elsewhere.test"), X_Forwarded_Host="elsewhere.test") == GIVEN
    assert ask(behind, presigned("http://elsewhere.test")) == REFUSED
    url = presigned("http://elsewhere.test:8080")
    assert ask(behind, url, X_Forwarded_Host="elsewhere.test", X_Forwarded_Port="8080") == GIVEN
    assert ask(behind, url, Host="elsewhere.test", X_Forwarded_Port="8080") == GIVEN
    url = presigned("http://elsewhere.test/store")
    assert ask(behind, url, "/bucket/key", X_Forwarded_Host="elsewhere.test", X_Forwarded_Prefix="/store") == GIVEN
    for service in ("http://elsewhere.test/store", "http://elsewhere.test/store/"):
        url_of_all = presigned(service, "list_buckets")
        assert ask(behind, url_of_all, "/", X_Forwarded_Host="elsewhere.test", X_Forwarded_Prefix="/store")[0] == 200
    assert ask(behind, url, X_Forwarded_Host="elsewhere.test") == GIVEN  # one that leaves the path as it is
    url = presigned("http://elsewhere.test/s3x")  # of the key "bucket/key" in "s3x", to this server
    sent = {"X_Forwarded_Host": "elsewhere.test"}
    assert ask(behind, url, **sent) == (200, b"s3x/bucket")
    assert ask(behind, url, "/bucket/key", X_Forwarded_Prefix="/s3x", **sent) == REFUSED


def test_a_forwarded_host_names_a_bucket_as_a_host_does(behind):
    url = presigned("http://elsewhere.test")
    assert ask(behind, url, X_Forwarded_Host="other.hosts.test") == REFUSED
    assert ask(behind, url, X_Forwarded_Host="no host")[0] == 400


def test_upload_answers_with_the_address_of_the_client(behind):
    s3 = boto3.client(
        "s3",
        endpoint_url=behind + "/store",
        region_name="us-east-1",
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        config=Config(s3={"addressing_style": "path"}),
    )
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    tag = s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    done = s3.complete_multipart_upload(
        Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}
    )
    assert done["Location"] == f"{behind}/store/bucket/parts"


def test_the_service_and_those_beside_it_are_found_under_the_base_path(endpoint):
    def client(service):
        return boto3.client(
            service,
            endpoint_url=f"{endpoint}/store/s3",
            region_name="us-east-1",
            aws_access_key_id="s3ishadmin",
            aws_secret_access_key="s3ishadmin",
        )

    assert [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]] == ["bucket", "other", "s3x"]
    assert client("sts").get_caller_identity()["Arn"].endswith(":root")
    client("iam").create_user(UserName="carol")
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="queue")["QueueUrl"]
    assert url == f"{endpoint}/store/s3/{ACCOUNT}/queue"
    sqs.send_message(QueueUrl=url, MessageBody="x")
    host, path = endpoint.removeprefix("http://"), "/store/s3/-/admin/users"
    keys = ("s3ishadmin", "s3ishadmin")
    headers = sign_request(keys, "GET", host, path, b"", now=datetime.now(UTC), region="us-east-1")
    with urllib.request.urlopen(urllib.request.Request(endpoint + path, headers=headers)) as answer:
        assert b'"carol"' in answer.read()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"S3ISH_SERVER_PUBLIC_HOSTS": "http://localhost"}, "is not a host with its port"),
        ({"S3ISH_SERVER_PUBLIC_HOSTS": "localhost:9000/x"}, "is not a host with its port"),
        ({"S3ISH_SERVER_PUBLIC_HOSTS": "b.s3.test", "S3ISH_DOMAINS": "s3.test"}, "b.s3.test names a bucket of s3.test"),
        ({"S3ISH_SERVER_BASE_PATH": "s3"}, "s3 is not a path such as /s3"),
        ({"S3ISH_SERVER_BASE_PATH": "/a//b"}, "/a//b is not a path such as /s3"),
    ],
)
def test_addresses_that_cannot_be_used_are_named(run_s3ish, variables, says):
    ran = run_s3ish("serve", **variables)
    assert ran.returncode == 78
    assert says in ran.stderr
