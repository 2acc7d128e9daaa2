"""Queues, as boto3's client of the Simple Queue Service uses them by both protocols; queues as targets of events."""

import hashlib
import json
import threading
import time
import uuid
from xml.etree import ElementTree

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from tests.api import sqs_before_json
from tests.api.conftest import LIMITED, OTHER, ROOT

FORM = "application/x-www-form-urlencoded; charset=utf-8"
NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"


def sqs_of(server, keys, loader=None):
    session = boto3.Session()
    if loader:
        session._session.register_component("data_loader", loader)
    return session.client(
        "sqs",
        endpoint_url=server.endpoint,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}),
    )


@pytest.fixture(scope="session")
def before_json(tmp_path_factory):
    return sqs_before_json.loader(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session", params=["json", "query"])
def sqs(server, request, before_json):
    """A client in each of the two protocols."""
    return sqs_of(server, ROOT, before_json if request.param == "query" else None)


@pytest.fixture
def queue(sqs):
    """The address of a queue that no other test has."""
    return sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex}")["QueueUrl"]


def speaks_json(client):
    return client.meta.service_model.protocol == "json"


def arn_of(sqs, queue):
    return sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def bodies(answer):
    return [message["Body"] for message in answer.get("Messages", ())]


def test_a_queue_is_made_once_found_listed_and_deleted(sqs):
    name = f"made-{uuid.uuid4().hex}"
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"})["QueueUrl"]
    assert url.endswith(f"/000000000000/{name}")
    assert sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"})["QueueUrl"] == url
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == url
    assert code_of(sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "8"}) == "QueueAlreadyExists"
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == url
    assert sqs.list_queues(QueueNamePrefix=name)["QueueUrls"] == [url]
    sqs.delete_queue(QueueUrl=url)
    assert code_of(sqs.get_queue_url, QueueName=name) == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.receive_message(QueueUrl=url)


def test_queues_are_listed_page_by_page(sqs):
    prefix = f"p-{uuid.uuid4().hex}"
    made = [sqs.create_queue(QueueName=f"{prefix}-{number}")["QueueUrl"] for number in range(5)]
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=prefix, PaginationConfig={"PageSize": 2})
    assert [url for page in pages for url in page["QueueUrls"]] == made


def test_attributes_are_kept_and_wrong_ones_refused(sqs, queue):
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "5", "Policy": '{"Statement": []}'})
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert (found["DelaySeconds"], found["VisibilityTimeout"], found["Policy"]) == ("5", "30", '{"Statement": []}')
    assert (found["ApproximateNumberOfMessages"], found["MessageRetentionPeriod"]) == ("0", "345600")
    assert found["QueueArn"].startswith("arn:aws:sqs:us-east-1:000000000000:q-")
    assert int(found["LastModifiedTimestamp"]) >= int(found["CreatedTimestamp"])
    assert sqs.get_queue_attributes(QueueUrl=queue).get("Attributes", {}) == {}
    for attributes in ({"DelaySeconds": "901"}, {"DelaySeconds": "x"}, {"VisibilityTimeout": "-1"}):
        assert code_of(sqs.set_queue_attributes, QueueUrl=queue, Attributes=attributes) == "InvalidAttributeValue"
    for attributes in ({"FifoQueue": "true"}, {"RedrivePolicy": "{}"}, {"Nonsense": "1"}):
        assert code_of(sqs.set_queue_attributes, QueueUrl=queue, Attributes=attributes) == "InvalidAttributeName"
    assert code_of(sqs.get_queue_attributes, QueueUrl=queue, AttributeNames=["Nonsense"]) == "InvalidAttributeName"
    assert code_of(sqs.create_queue, QueueName="x" * 81) == "InvalidParameterValue"


def test_a_message_is_received_by_one_and_deleted_for_good(sqs, queue):
    sent = sqs.send_message(QueueUrl=queue, MessageBody="hällo")
    assert sent["MD5OfMessageBody"] == hashlib.md5("hällo".encode()).hexdigest()
    (message,) = sqs.receive_message(QueueUrl=queue, MessageSystemAttributeNames=["All"])["Messages"]
    assert (message["Body"], message["MessageId"]) == ("hällo", sent["MessageId"])
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert set(message["Attributes"]) == {
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
    }
    assert bodies(sqs.receive_message(QueueUrl=queue)) == []
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0"})
    assert bodies(sqs.receive_message(QueueUrl=queue)) == []


def test_what_is_not_deleted_is_received_again_and_an_older_handle_deletes_nothing(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="again")
    (first,) = sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)["Messages"]
    (second,) = sqs.receive_message(QueueUrl=queue, AttributeNames=["All"], VisibilityTimeout=0)["Messages"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])
    assert bodies(sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)) == ["again"]


def test_visibility_can_be_changed_while_a_message_is_in_flight(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="m")
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    handle = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}
    sqs.change_message_visibility(**handle, VisibilityTimeout=0)
    expected = "AWS.SimpleQueueService.MessageNotInflight"
    assert code_of(sqs.change_message_visibility, **handle, VisibilityTimeout=1) == expected
    assert bodies(sqs.receive_message(QueueUrl=queue)) == ["m"]


def test_counts_tell_what_can_be_received_is_in_flight_and_is_delayed(sqs, queue):
    for delay in (0, 0, 0, 900):
        sqs.send_message(QueueUrl=queue, MessageBody="m", DelaySeconds=delay)
    sqs.receive_message(QueueUrl=queue)
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    names = ("", "NotVisible", "Delayed")
    assert [found[f"ApproximateNumberOfMessages{name}"] for name in names] == ["2", "1", "1"]
    sqs.purge_queue(QueueUrl=queue)
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert [found[f"ApproximateNumberOfMessages{name}"] for name in names] == ["0", "0", "0"]


def test_batches_say_what_became_of_each_entry(sqs, queue):
    entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(9)]
    answer = sqs.send_message_batch(QueueUrl=queue, Entries=[*entries, {"Id": "bad", "MessageBody": "\x01"}])
    assert [it["Id"] for it in answer["Successful"]] == [str(number) for number in range(9)]
    assert [(it["Id"], it["Code"], it["SenderFault"]) for it in answer["Failed"]] == [
        ("bad", "InvalidMessageContents", True)
    ]
    received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert [it["Body"] for it in received] == [str(number) for number in range(9)]
    handles = [{"Id": it["Body"], "ReceiptHandle": it["ReceiptHandle"]} for it in received]
    hidden = [handle | {"VisibilityTimeout": 60} for handle in handles]
    assert len(sqs.change_message_visibility_batch(QueueUrl=queue, Entries=hidden)["Successful"]) == 9
    answer = sqs.delete_message_batch(QueueUrl=queue, Entries=[*handles, {"Id": "bad", "ReceiptHandle": "x"}])
    assert len(answer["Successful"]) == 9
    assert answer["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"
    prefix = "AWS.SimpleQueueService."
    call = sqs.send_message_batch
    assert code_of(call, QueueUrl=queue, Entries=[]) == prefix + "EmptyBatchRequest"
    many = [{"Id": str(number), "MessageBody": "m"} for number in range(11)]
    assert code_of(call, QueueUrl=queue, Entries=many) == prefix + "TooManyEntriesInBatchRequest"
    assert code_of(call, QueueUrl=queue, Entries=[many[0], many[0]]) == prefix + "BatchEntryIdsNotDistinct"
    assert code_of(call, QueueUrl=queue, Entries=[{"Id": "a b", "MessageBody": "m"}]) == prefix + "InvalidBatchEntryId"


def test_a_batch_that_is_too_long_sends_nothing(sqs, queue):
    """Each message may be as long as a queue takes them, all of a batch together as long as one."""
    entries = [{"Id": str(number), "MessageBody": "ü" * (52 * 1024)} for number in range(10)]
    expected = "AWS.SimpleQueueService.BatchRequestTooLong"
    too_long = [*entries[:9], {"Id": "9", "MessageBody": "ü" * (44 * 1024 + 1)}]
    assert code_of(sqs.send_message_batch, QueueUrl=queue, Entries=too_long) == expected
    assert bodies(sqs.receive_message(QueueUrl=queue)) == []
    fitting = [*entries[:9], {"Id": "9", "MessageBody": "ü" * (44 * 1024)}]
    assert len(sqs.send_message_batch(QueueUrl=queue, Entries=fitting)["Successful"]) == 10


def test_who_waits_for_a_message_gets_it_as_soon_as_it_comes(sqs, server, queue):
    found, asked = [], threading.Event()
    asking = sqs_of(server, ROOT)
    asking.meta.events.register("before-send.sqs.ReceiveMessage", lambda **_: asked.set())

    def wait():
        found.append((bodies(asking.receive_message(QueueUrl=queue, WaitTimeSeconds=20)), time.monotonic()))

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert asked.wait(60)
    sent = time.monotonic()
    sqs.send_message(QueueUrl=queue, MessageBody="here")
    waiter.join(60)
    ((texts, at),) = found
    assert texts == ["here"]
    assert at - sent < 15


def test_what_no_message_may_be_is_refused(sqs, queue):
    assert code_of(sqs.send_message, QueueUrl=queue, MessageBody="") == "MissingParameter"
    assert code_of(sqs.send_message, QueueUrl=queue, MessageBody="\ufffe") == "InvalidMessageContents"
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"MaximumMessageSize": "1024"})
    assert code_of(sqs.send_message, QueueUrl=queue, MessageBody="ü" * 513) == "InvalidParameterValue"
    sqs.send_message(QueueUrl=queue, MessageBody="ü" * 512)
    attribute = {"a": {"DataType": "String", "StringValue": "b"}}
    call = sqs.send_message
    assert code_of(call, QueueUrl=queue, MessageBody="m", MessageAttributes=attribute) == "InvalidParameterValue"
    assert code_of(sqs.receive_message, QueueUrl=queue, MaxNumberOfMessages=11) == "InvalidParameterValue"
    assert code_of(sqs.receive_message, QueueUrl="http://elsewhere/") == "InvalidAddress"
    missing = "AWS.SimpleQueueService.UnsupportedOperation" if speaks_json(sqs) else "InvalidAction"
    assert code_of(sqs.list_queue_tags, QueueUrl=queue) == missing


def test_fifo_queues_are_refused_where_they_are_made_and_as_targets_of_events(s3, sqs, bucket, refused):
    unsupported = "AWS.SimpleQueueService.UnsupportedOperation"
    assert code_of(sqs.create_queue, QueueName="a.fifo", Attributes={"FifoQueue": "true"}) == unsupported
    assert code_of(sqs.create_queue, QueueName="a.fifo") == unsupported
    assert code_of(sqs.create_queue, QueueName="a", Attributes={"FifoQueue": "true"}) == unsupported
    for kind, service, what in (("Queue", "sqs", "SQS queues"), ("Topic", "sns", "SNS topics")):
        arn = f"arn:aws:{service}:us-east-1:000000000000:a.fifo"
        document = {f"{kind}Configurations": [{f"{kind}Arn": arn, "Events": ["s3:ObjectCreated:*"]}]}
        call = s3.put_bucket_notification_configuration
        for skip in (False, True):
            arguments = {"NotificationConfiguration": document, "SkipDestinationValidation": skip}
            error = refused("InvalidArgument", 400, call, Bucket=bucket, **arguments)
            assert error["Error"]["Message"] == f"FIFO {what} are not supported."


def test_queues_need_a_right_that_a_policy_gives(server, queue):
    for keys in (OTHER, LIMITED):
        assert code_of(sqs_of(server, keys).receive_message, QueueUrl=queue) == "AccessDenied"
    wrong = sqs_of(server, (ROOT[0], "wrong"))
    assert code_of(wrong.list_queues) == "SignatureDoesNotMatch"


def ask(server, path="/", query="", *, method="POST", data=b"", headers=(), keys=ROOT):
    """Send a request that is signed for queues; return its status and its body."""
    headers = {"content-type": FORM} | dict(headers)
    request = AWSRequest(method, f"{server.endpoint}{path}{query}", data=data, headers=headers)
    SigV4Auth(Credentials(*keys), "sqs", "us-east-1").add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    return answer.status_code, answer.content


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"QueueUrl": 1}', b'{"QueueUrl": "\xff"}', b"\x00" * 100])
def test_any_body_gets_an_answer(server, body):
    headers = {"x-amz-target": "AmazonSQS.ReceiveMessage", "content-type": "application/x-amz-json-1.0"}
    status, content = ask(server, data=body, headers=headers)
    assert status == 400
    assert json.loads(content)["__type"].startswith("com.amazonaws.sqs#")


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (b"", "MissingAction"),
        (b"\xff", "InvalidRequest"),
        (b"Action=", "MissingAction"),
        (b"Action=ListQueues&Action=ListQueues", "InvalidRequest"),
        (b"Action=AssumeRole", "InvalidAction"),
        (b"Action=ReceiveMessage", "MissingParameter"),
        (b"Action=ReceiveMessage&QueueUrl.1=x", "MissingParameter"),
        (b"Action=ReceiveMessage&QueueUrl=/000000000000/x&AttributeName.1.Name=x", "InvalidParameterValue"),
        (b"Action=ReceiveMessage&QueueUrl=/000000000000/x&MaxNumberOfMessages=ten", "InvalidParameterValue"),
        (b"Action=ReceiveMessage&QueueUrl=/000000000000/x&Unknown=1", "InvalidParameterValue"),
        (b"Action=CreateQueue&QueueName=x&Attribute.1.Name=DelaySeconds", "InvalidParameterValue"),
        (
            b"Action=CreateQueue&QueueName=x&Attribute.9999999999.Name=a&Attribute.9999999999.Value=b",
            "InvalidParameterValue",
        ),
        (
            b"Action=SendMessage&QueueUrl=/000000000000/x&MessageBody=m&SendMessageRequestEntry.1.Id=1",
            "InvalidParameterValue",
        ),
        (b"Action=SendMessageBatch&QueueUrl=/000000000000/x&DeleteMessageBatchRequestEntry.1.Id=1", "MissingParameter"),
        (b"&".join(b"a%d=" % number for number in range(501)), "InvalidRequest"),
    ],
)
def test_any_form_gets_an_answer_in_xml(server, form, code):
    status, content = ask(server, data=form)
    root = ElementTree.fromstring(content)
    assert (status, root.tag, root[0].tag) == (400, f"{{{NAMESPACE}}}ErrorResponse", f"{{{NAMESPACE}}}Error")
    told = {each.tag.partition("}")[2]: each.text for each in root[0]}
    assert (told["Type"], told["Code"]) == ("Sender", code)
    assert root[1].tag == f"{{{NAMESPACE}}}RequestId"


def test_a_form_comes_by_get_too_and_to_the_address_of_the_queue_itself(server, sqs, queue):
    """So boto and the first SDK for Java ask: they say in no field which queue they mean."""
    path = queue.removeprefix(server.endpoint)
    version = "Version=2012-11-05&"
    status, content = ask(server, path, f"?{version}Action=SendMessage&MessageBody=a%20%26%0D%20b%3C", method="GET")
    assert status == 200
    assert b"<SendMessageResult>" in content
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert message["Body"] == "a &\r b<"
    form = f"Action=SetQueueAttributes&{version}Attribute.Name=DelaySeconds&Attribute.Value=3".encode()
    status, content = ask(server, path, data=form)
    assert (status, content.count(b"Result")) == (200, 0)
    status, content = ask(server, path, f"?{version}Action=GetQueueAttributes&AttributeName=DelaySeconds", method="GET")
    assert b"<Attribute><Name>DelaySeconds</Name><Value>3</Value></Attribute>" in content
    assert ask(server, path, "?Action=SendMessage&MessageBody=m", method="GET", keys=OTHER)[0] == 403


def test_events_of_a_bucket_come_to_a_queue_with_the_write(s3, sqs, bucket, queue, refused):
    arn = arn_of(sqs, queue)
    configuration = {"QueueConfigurations": [{"Id": "i", "QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    missing = {"QueueConfigurations": [{"QueueArn": f"{arn}x", "Events": ["s3:ObjectCreated:*"]}]}
    call = s3.put_bucket_notification_configuration
    refused("InvalidArgument", 400, call, Bucket=bucket, NotificationConfiguration=missing)
    call(Bucket=bucket, NotificationConfiguration=configuration)
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["Event"] == "s3:TestEvent"
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=f"k{number}", Body=b"x")
    received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    records = [record for it in received for record in json.loads(it["Body"])["Records"]]
    assert [record["s3"]["object"]["key"] for record in records] == ["k0", "k1", "k2"]
    assert {record["s3"]["configurationId"] for record in records} == {"i"}
    assert received[0]["MD5OfBody"] == hashlib.md5(received[0]["Body"].encode()).hexdigest()
    sqs.delete_queue(QueueUrl=queue)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")


def test_nobody_has_events_sent_to_queues_that_they_may_not_send_to(server, sqs, queue, other):
    """The server sends in the name of who puts the document, so that these must have the right themselves."""
    bucket = f"t-{uuid.uuid4().hex[:20]}"
    other.create_bucket(Bucket=bucket)
    wanted = {"QueueConfigurations": [{"QueueArn": arn_of(sqs, queue), "Events": ["s3:ObjectCreated:*"]}]}
    for skip in (False, True):
        call = other.put_bucket_notification_configuration
        code = code_of(call, Bucket=bucket, NotificationConfiguration=wanted, SkipDestinationValidation=skip)
        assert code == "InvalidArgument"
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
