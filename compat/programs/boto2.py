"""boto, the library before boto3: objects, parts, listings, and a queue that is asked by forms.

Its signatures of version 4 name a port twice in ``Host``, so that S3 is asked by those of version 2.
"""

import os
import random
from io import BytesIO
from urllib.parse import urlsplit

import boto
import boto.s3.connection
from boto.regioninfo import RegionInfo
from boto.sqs.connection import SQSConnection
from boto.sqs.message import RawMessage

BUCKET = os.environ["BUCKET"]
PLACE = urlsplit(os.environ["AWS_ENDPOINT_URL"])
PART_BYTES = 5 << 20
KEYS = ["a", "a b+c%20d", "ü/ö", "//x", "deep/er/still"]


def main() -> None:
    """Store and read objects, then send and receive messages."""
    print(f"{_objects()} objects, {_messages()} messages")


def _objects() -> int:
    s3 = boto.s3.connection.S3Connection(
        host=PLACE.hostname,
        port=PLACE.port,
        is_secure=False,
        calling_format=boto.s3.connection.OrdinaryCallingFormat(),
        suppress_consec_slashes=False,
    )
    bucket = s3.get_bucket(BUCKET)
    for name in KEYS:
        key = bucket.new_key(name)
        key.set_metadata("note", "ünicode")
        key.set_contents_from_string(name * 100)
        found = bucket.get_key(name)
        assert found.get_contents_as_string().decode() == name * 100, name
        assert found.get_metadata("note") == "ünicode", found.metadata
    found = sorted(key.name for key in bucket.list())
    assert found == sorted(KEYS), found
    assert [it.name for it in bucket.list(delimiter="/") if it.name.endswith("/")] == ["/", "deep/", "ü/"]
    large = random.Random("boto").randbytes(PART_BYTES + 1)
    upload = bucket.initiate_multipart_upload("large")
    for number in (1, 2):
        part = BytesIO(large[(number - 1) * PART_BYTES : number * PART_BYTES])
        upload.upload_part_from_file(part, number)
    upload.complete_upload()
    assert bucket.get_key("large").get_contents_as_string() == large
    bucket.copy_key("copy", BUCKET, KEYS[1])
    assert bucket.get_key("copy").get_contents_as_string().decode() == KEYS[1] * 100
    result = bucket.delete_keys([*KEYS, "large", "copy"])
    assert not result.errors, result.errors
    assert not list(bucket.list())
    return len(KEYS) + 2


def _messages() -> int:
    region = RegionInfo(name=os.environ["AWS_REGION"], endpoint=PLACE.hostname)
    sqs = SQSConnection(region=region, port=PLACE.port, is_secure=False)
    queue = sqs.create_queue("boto")
    queue.set_message_class(RawMessage)
    assert sqs.get_queue("boto").url == queue.url
    queue.set_attribute("VisibilityTimeout", 60)
    assert queue.get_attributes("VisibilityTimeout") == {"VisibilityTimeout": "60"}
    texts = ["one", "two & <three>", "ü"]
    for text in texts:
        queue.write(queue.new_message(text))
    queue.write_batch([(str(number), str(number), 0) for number in range(5)])
    received = queue.get_messages(num_messages=10, attributes="All")
    assert [it.get_body() for it in received] == [*texts, *map(str, range(5))], [it.get_body() for it in received]
    queue.delete_message(received[0])
    assert len(queue.delete_message_batch(received[1:]).results) == 7
    assert queue.get_attributes()["ApproximateNumberOfMessages"] == "0"
    sqs.delete_queue(queue)
    return len(received)


if __name__ == "__main__":
    main()
