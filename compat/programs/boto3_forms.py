"""boto3 as it was before July 2023: queues are asked by forms, and answer in XML."""

import json
import os
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError

BUCKET = os.environ["BUCKET"]
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]


def main() -> None:
    """Have the events of a bucket come to a queue, and use all that a queue offers."""
    sqs, s3 = boto3.client("sqs", endpoint_url=ENDPOINT), boto3.client("s3", endpoint_url=ENDPOINT)
    assert sqs.meta.service_model.metadata["protocol"] == "query"
    url = sqs.create_queue(QueueName="forms", Attributes={"VisibilityTimeout": "60", "DelaySeconds": "0"})["QueueUrl"]
    assert sqs.get_queue_url(QueueName="forms")["QueueUrl"] == url
    assert url in sqs.list_queues(QueueNamePrefix="form")["QueueUrls"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    wanted = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=wanted)
    keys = [f"dürch & <durch> {number}" for number in range(12)]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    seen: list[str] = []
    while len(seen) < len(keys):
        received = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20, AttributeNames=["All"]
        )["Messages"]
        for message in received:
            assert message["Attributes"]["ApproximateReceiveCount"] == "1"
            seen += [record["s3"]["object"]["key"] for record in json.loads(message["Body"]).get("Records", [])]
        entries = [{"Id": str(at), "ReceiptHandle": it["ReceiptHandle"]} for at, it in enumerate(received)]
        assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == len(entries)
    assert len(seen) == len(keys), seen
    _pass_on(sqs, url)
    sqs.delete_queue(QueueUrl=url)
    assert _code_of(sqs.receive_message, QueueUrl=url) == "AWS.SimpleQueueService.NonExistentQueue"
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    print(f"{len(seen)} events and 11 messages")


def _pass_on(sqs: Any, url: str) -> None:
    """Send messages of every kind, and get them back."""
    text = "tab\t cr\r lf\n <&\"'> ü 😀 +%2B="
    assert sqs.send_message(QueueUrl=url, MessageBody=text)["MD5OfMessageBody"]
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == text, message["Body"]
    handle = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
    sqs.change_message_visibility(**handle, VisibilityTimeout=120)
    sqs.delete_message(**handle)
    entries = [{"Id": str(number), "MessageBody": str(number), "DelaySeconds": 0} for number in range(9)]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=[*entries, {"Id": "bad", "MessageBody": "\x01"}])
    assert [it["Code"] for it in answer["Failed"]] == ["InvalidMessageContents"], answer["Failed"]
    assert len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]) == 9
    sqs.purge_queue(QueueUrl=url)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    refused = {"VisibilityTimeout": "InvalidAttributeValue", "Unknown": "InvalidAttributeName"}
    for name, code in refused.items():
        assert _code_of(sqs.set_queue_attributes, QueueUrl=url, Attributes={name: "x"}) == code


def _code_of(call: Callable[..., Any], **arguments: Any) -> str:
    """Return why a call is refused."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    raise AssertionError(f"{arguments} were taken")


if __name__ == "__main__":
    main()
