"""Limits: who is let in, who is asked to come back and when, and that nobody is kept out by another's haste."""

import contextlib
import http.client
import socket
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3ish.api.catalogue import catalogue
from s3ish.errors import SlowDown
from s3ish.server.admission import Admission, Bounds, Places, Rate
from tests.waiting import WAIT_SECONDS

OPERATIONS = {operation.name: operation for operation in catalogue()}


class Hands:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Hands()


def admission(clock, **bounds):
    refused = []
    let = Admission(Bounds(**bounds), clock, refused.append)
    return let, refused


def enter(let, caller="a", name="ListBuckets"):
    return let.enter(caller, OPERATIONS[name])


@pytest.mark.parametrize(
    ("limit", "name"), [("requests", "ListBuckets"), ("uploads", "PutObject"), ("downloads", "GetObject")]
)
@pytest.mark.parametrize("of", ["", "user_"])
def test_as_many_as_are_allowed_are_let_in(clock, limit, name, of):
    let, refused = admission(clock, **{of + limit: 3})
    tickets = [enter(let, name=name) for _ in range(3)]
    with pytest.raises(SlowDown) as told:
        enter(let, name=name)
    assert told.value.headers["retry-after"] == "1"
    assert refused == [limit]
    let.leave(tickets.pop())
    tickets.append(enter(let, name=name))
    for ticket in tickets:
        let.leave(ticket)
    for _ in range(3):
        enter(let, name=name)


def test_kinds_are_counted_apart(clock):
    let, _ = admission(clock, uploads=1, downloads=1)
    for name in ("PutObject", "GetObject", "ListBuckets", "ListBuckets", "HeadObject"):
        enter(let, name=name)
    for name in ("PutObject", "UploadPart", "PostObject", "GetObject"):
        with pytest.raises(SlowDown):
            enter(let, name=name)


def test_a_refused_upload_takes_no_place_of_requests(clock):
    let, _ = admission(clock, requests=2, uploads=1)
    enter(let, name="PutObject")
    for _ in range(5):
        with pytest.raises(SlowDown):
            enter(let, name="PutObject")
    enter(let)


def test_one_user_alone_may_have_all_places(clock):
    places = Places(8, 0, clock)
    assert [places.take("a") for _ in range(9)] == [True] * 8 + [False]


def test_a_user_in_haste_leaves_places_to_others(clock):
    places = Places(8, 0, clock)
    for _ in range(8):
        places.take("hasty")
    assert not places.take("late")
    served = {"hasty": 0, "late": 0}
    for _ in range(100):  # whenever one ends, the hasty one asks first
        places.give_back("hasty" if served["late"] < 4 else "late")
        for caller in ("hasty", "late"):
            if places.take(caller):
                served[caller] += 1
        if served["late"] == 4:
            break
    assert served["late"] == 4  # half of all places


def test_many_users_have_a_place_each(clock):
    places = Places(4, 0, clock)
    assert [places.take(caller) for caller in "abcd"] == [True] * 4
    assert not places.take("e")
    places.give_back("a")
    assert not places.take("b")  # it has its share
    assert places.take("e")


def test_who_was_refused_is_forgotten_soon(clock):
    places = Places(8, 0, clock)
    for _ in range(8):
        places.take("a")
    assert not places.take("b")
    places.give_back("a")
    assert not places.take("a")
    clock.now += 2
    assert places.take("a")


def test_places_of_those_who_have_none_take_no_memory(clock):
    places = Places(8, 2, clock)
    for number in range(1000):
        assert places.take(str(number))
        places.give_back(str(number))
    assert not places._taken
    assert places._total == 0


def test_a_rate_lets_a_burst_and_then_one_after_the_other(clock):
    rate = Rate(2, 3, clock)
    assert [rate.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.wait("b") == 0
    clock.now += 0.5
    assert [rate.wait("a"), rate.wait("a")] == [0, 0.5]
    clock.now += 1000
    assert [rate.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]


@pytest.mark.parametrize(("per_second", "after"), [(10, "1"), (0.25, "4"), (0.001, "1000")])
def test_who_is_too_fast_is_told_when_to_come_back(clock, per_second, after):
    let, refused = admission(clock, user_rate=per_second, user_burst=1)
    enter(let)
    with pytest.raises(SlowDown) as told:
        enter(let)
    assert told.value.headers["retry-after"] == after
    assert refused == ["rate"]


def test_buckets_of_tokens_that_are_full_again_take_no_memory(clock):
    rate = Rate(2, 3, clock)
    for number in range(1000):
        clock.now += 0.1
        rate.wait(f"session {number}")
    assert len(rate._buckets) < 40
    for _ in range(3):
        assert rate.wait("a") == 0
    clock.now += 1.4
    assert [rate.wait("a"), rate.wait("a"), rate.wait("a")] == [0, 0, pytest.approx(0.1)]


def client(endpoint, retries=0):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        config=Config(retries={"total_max_attempts": retries + 1, "mode": "standard"}, max_pool_connections=20),
    )


def test_a_server_with_limits_asks_to_slow_down(start_server, tmp_path):
    server = start_server(tmp_path, S3ISH_LIMITS_UPLOADS="1", S3ISH_LIMITS_BODY_BYTES="1000000")
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="bucket")
    with _upload_under_way(server.endpoint, 2000) as connection:
        with pytest.raises(ClientError) as caught:
            s3.put_object(Bucket="bucket", Key="other", Body=b"x")
        refused = caught.value.response
        assert refused["Error"]["Code"] == "SlowDown"
        assert refused["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert refused["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
        assert s3.list_buckets()["Buckets"]  # other requests go on
        connection.sendall(bytes(2000))
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    client(server.endpoint, retries=5).put_object(Bucket="bucket", Key="other", Body=b"x")
    with pytest.raises(ClientError, match="EntityTooLarge"):
        s3.put_object(Bucket="bucket", Key="long", Body=bytes(1_000_001))


@pytest.fixture(scope="module")
def bounded(start_shared_server, tmp_path_factory):
    """The endpoint of a server that takes bodies of 1,000 bytes, and 40 requests of a caller."""
    limits = {"BODY_BYTES": "1000", "USER_REQUESTS_PER_SECOND": "0.001", "USER_BURST": "40"}
    variables = {f"S3ISH_LIMITS_{name}": value for name, value in limits.items()}
    folder = tmp_path_factory.mktemp("bounded")
    server = start_shared_server(folder, S3ISH_SERVER_WEBSITE_DOMAINS="site.test", **variables)
    client(server.endpoint).create_bucket(Bucket="bucket")
    return server.endpoint


def _send(endpoint, method, path, body=None, **headers):
    """Send a request; return the status and the body."""
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body, headers=named)
    answer = connection.getresponse()
    told = answer.status, answer.read()
    connection.close()
    return told


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 400)])
@pytest.mark.parametrize("framed", [False, True])
def test_a_body_that_is_too_long_is_refused_with_and_without_its_length(bounded, size, status, framed):
    url = client(bounded).generate_presigned_url("put_object", {"Bucket": "bucket", "Key": "key"})
    told = _send(
        bounded, "PUT", url.removeprefix(bounded), iter([bytes(500), bytes(size - 500)]) if framed else bytes(size)
    )
    assert (told[0], b"EntityTooLarge" in told[1]) == (status, status == 400), told


def test_a_form_that_is_too_long_is_refused(bounded):
    form = b'--b\r\ncontent-disposition: form-data; name="key"\r\n\r\n' + b"k" * 1000
    told = _send(bounded, "POST", "/bucket", form, Content_Type="multipart/form-data; boundary=b")
    assert told[0] == 400
    assert b"EntityTooLarge" in told[1]


def test_visitors_of_websites_are_held_to_limits_too(bounded):
    assert [_send(bounded, "GET", "/", Host="bucket.site.test")[0] for _ in range(42)][39:] == [404, 503, 503]


@contextlib.contextmanager
def _upload_under_way(endpoint, size):
    """Give the connection of an upload that the server has let in, and whose body is still to be sent."""
    url = urlsplit(client(endpoint).generate_presigned_url("put_object", {"Bucket": "bucket", "Key": "slow"}))
    head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {size}\r\n"
    with socket.create_connection((url.hostname, url.port), WAIT_SECONDS) as connection:
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        yield connection


def test_a_client_that_comes_back_in_time_is_served(start_server, tmp_path):
    server = start_server(tmp_path, S3ISH_LIMITS_USER_REQUESTS_PER_SECOND="5", S3ISH_LIMITS_USER_BURST="2")
    s3 = client(server.endpoint)
    outcomes = []
    for _ in range(6):
        try:
            s3.list_buckets()
            outcomes.append("served")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
    assert outcomes[:2] == ["served", "served"]
    assert "SlowDown" in outcomes
    for _ in range(3):
        client(server.endpoint, retries=5).list_buckets()
