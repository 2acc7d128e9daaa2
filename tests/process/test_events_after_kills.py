"""Events whose write was acknowledged arrive, whenever the server was killed, and whenever the receiver was away."""

import json
import signal
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config

from tests.waiting import wait_until

ARN = "arn:s3ish:sqs:us-east-1:1:orders:webhook"


class Receiver:
    """A webhook that notes the keys of events, and answers with a status of the test's choice."""

    def __init__(self):
        self.status, self.keys = 200, []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                told = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if receiver.status == 200:
                    receiver.keys += [record["s3"]["object"]["key"] for record in told.get("Records", ())]
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


def client(endpoint):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_event_is_lost_by_kills_of_the_server(start_server, tmp_path, receiver, workers):
    (tmp_path / "s3ish.toml").write_text(
        f'[[notifications.targets]]\narn = "{ARN}"\nkind = "webhook"\nurl = "{receiver.url}"\ntimeout_seconds = 5\n'
    )

    def start():
        return start_server(tmp_path / "data", "--config", tmp_path / "s3ish.toml", S3ISH_WORKERS=workers)

    server = start()
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="orders")
    queue = {"QueueArn": ARN, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="orders", NotificationConfiguration={"QueueConfigurations": [queue]}
    )
    put = []
    for turn, status in enumerate([503, 200, 503, 200]):
        receiver.status = status
        for number in range(15):
            s3.put_object(Bucket="orders", Key=f"{turn}/{number}", Body=b"x")
            put.append(f"{turn}/{number}")
        server.stop(signal.SIGKILL)
        server = start()
        s3 = client(server.endpoint)
    wait_until(lambda: set(put) <= set(receiver.keys))
    assert set(receiver.keys) == set(put)
    server.stop()
    repeated = [key for key, count in Counter(receiver.keys).items() if count > 1]
    assert len(repeated) <= 2 * 32, "what was under way at a kill, and no more"
