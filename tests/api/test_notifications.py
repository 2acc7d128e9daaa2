"""Events that a bucket's owner asks for arrive as S3 sends them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import re
from datetime import UTC, datetime

import pytest

from tests.waiting import wait_until

QUEUE = "arn:aws:sqs:us-east-1:000000000000:to-a-file"
ELSEWHERE = "arn:s3ish:sqs::1:other-region"
TOPIC = "arn:aws:sns:us-east-1:000000000000:to-a-file"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:to-a-file"
EVERYTHING = [
    "s3:ObjectCreated:*",
    "s3:ObjectRemoved:*",
    "s3:ObjectTagging:*",
    "s3:ObjectAnnotation:*",
    "s3:ObjectAcl:Put",
    "s3:ObjectRestore:*",
    "s3:ObjectRetention:Put",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleTransition",
]


def queue(arn=QUEUE, events=EVERYTHING, **more):
    return {"QueueConfigurations": [{"Id": "mine", "QueueArn": arn, "Events": list(events), **more}]}


@pytest.fixture
def notify(s3, server):
    """A function that asks for events of a bucket, and one that returns those that came, without the test event."""

    def ask(bucket, configuration, **more):
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration, **more)

    def came(bucket, count, name="events"):
        def told():
            return [it for it in server.events(bucket, name) if it.get("Event") != "s3:TestEvent"]

        wait_until(lambda: len(told()) >= count)
        return told()

    ask.came = came
    return ask


def names(told):
    return [record["eventName"] for it in told for record in it["Records"]]


def keys_of(told):
    return [record["s3"]["object"]["key"] for it in told for record in it["Records"]]


def test_a_put_brings_the_event_that_s3_documents(s3, notify, bucket):
    notify(bucket, queue())
    answer = s3.put_object(Bucket=bucket, Key="a b/ü+", Body=b"hello")
    (told,) = notify.came(bucket, 1)
    (record,) = told["Records"]
    owner = s3.list_buckets()["Owner"]["ID"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("eventTime"))
    assert re.fullmatch(r"[0-9A-F]{16}", record["s3"]["object"].pop("sequencer"))
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert record == {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": owner},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {
            "x-amz-request-id": headers["x-amz-request-id"],
            "x-amz-id-2": headers["x-amz-id-2"],
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "mine",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": owner}, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": "a+b/%C3%BC%2B", "size": 5, "eTag": answer["ETag"].strip('"')},
        },
    }


def test_every_way_to_change_an_object_has_its_event(s3, notify, versioned):
    notify(versioned, queue())
    given = {"Bucket": versioned, "Key": "k"}
    made = s3.put_object(**given, Body=b"x")["VersionId"]
    s3.copy_object(**given, CopySource={"Bucket": versioned, "Key": "k"}, MetadataDirective="REPLACE")
    upload = s3.create_multipart_upload(**given)["UploadId"]
    part = s3.upload_part(**given, UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**given, UploadId=upload, MultipartUpload=parts)
    s3.put_object_tagging(**given, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object_tagging(**given)
    marker = s3.delete_object(**given)["VersionId"]
    s3.delete_object(**given, VersionId=marker)
    s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k", "VersionId": made}]})
    s3.delete_object(Bucket=versioned, Key="never there", VersionId=made)
    s3.put_object(Bucket=versioned, Key="archived", Body=b"x", StorageClass="GLACIER")
    s3.restore_object(Bucket=versioned, Key="archived", RestoreRequest={"Days": 1})
    s3.put_object_annotation(Bucket=versioned, Key="archived", AnnotationName="n", AnnotationPayload=b"t")
    s3.delete_object_annotation(Bucket=versioned, Key="archived", AnnotationName="n")
    told = notify.came(versioned, 13)
    assert names(told) == [
        "ObjectCreated:Put",
        "ObjectCreated:Copy",
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectTagging:Put",
        "ObjectTagging:Delete",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRemoved:Delete",
        "ObjectRemoved:Delete",
        "ObjectCreated:Put",
        "ObjectRestore:Post",
        "ObjectRestore:Completed",
        "ObjectAnnotation:Put",
        "ObjectAnnotation:Delete",
    ]
    objects = [record["s3"]["object"] for it in told for record in it["Records"]]
    assert [it["sequencer"] for it in objects] == sorted(it["sequencer"] for it in objects)
    assert [it.get("size") for it in objects] == [1, 1, 4, None, None, None, None, None, 1, 1, 1, None, None]
    assert objects[0]["versionId"] == objects[7]["versionId"] == made
    assert objects[5]["versionId"] == objects[6]["versionId"] == marker
    assert {record["eventVersion"] for record in (told[3]["Records"][0], told[4]["Records"][0])} == {"2.3"}


def test_a_restore_that_is_done_at_once_and_a_transition_have_events_that_name_the_class(s3, notify, versioned):
    """A restore that is to last longer is not completed once more."""
    s3.put_object(Bucket=versioned, Key="archived", Body=b"x", StorageClass="DEEP_ARCHIVE")
    notify(versioned, queue() | {"EventBridgeConfiguration": {}})
    for days in (1, 3):
        s3.restore_object(Bucket=versioned, Key="archived", RestoreRequest={"Days": days})
    made = s3.put_object(Bucket=versioned, Key="moved", Body=b"x")
    rule = {
        "ID": "r",
        "Status": "Enabled",
        "Filter": {"ObjectSizeLessThan": 2},
        "Transitions": [{"Date": datetime(2020, 1, 1, tzinfo=UTC), "StorageClass": "GLACIER"}],
    }
    s3.put_bucket_lifecycle_configuration(Bucket=versioned, LifecycleConfiguration={"Rules": [rule]})
    told = [it["Records"][0] for it in notify.came(versioned, 5)]
    wanted = ["Restore:Post", "Restore:Completed", "Restore:Post", "Created:Put", "LifecycleTransition"]
    assert [it["eventName"].removeprefix("Object") for it in told] == wanted
    (ends,) = [it.pop("glacierEventData")["restoreEventData"] for it in told if "glacierEventData" in it]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00\.000Z", ends["lifecycleRestorationExpiryTime"])
    assert ends["lifecycleRestoreStorageClass"] == "DEEP_ARCHIVE"
    assert told[1]["userIdentity"] == told[4]["userIdentity"] == {"principalId": "s3.amazonaws.com"}
    assert told[4]["lifecycleEventData"] == {"transitionEventData": {"destinationStorageClass": "GLACIER"}}
    assert (told[4]["eventVersion"], told[4]["s3"]["object"]["versionId"]) == ("2.3", made["VersionId"])
    bus = [(it["detail-type"], it["detail"]) for it in notify.came(versioned, 5, "bus")]
    begun, done, *_, moved = bus
    assert [it[0] for it in (begun, done, moved)] == [
        "Object Restore Initiated",
        "Object Restore Completed",
        "Object Storage Class Changed",
    ]
    assert begun[1]["source-storage-class"] == done[1]["source-storage-class"] == "DEEP_ARCHIVE"
    assert done[1]["restore-expiry-time"] == ends["lifecycleRestorationExpiryTime"].replace(".000Z", "Z")
    assert moved[1]["destination-storage-class"] == "GLACIER"
    assert not {"reason", "source-ip-address"} & (done[1].keys() | moved[1].keys())
    assert "reason" not in begun[1]
    assert begun[1]["source-ip-address"] == "127.0.0.1"


def test_a_replication_that_has_failed_has_an_event_where_the_rule_is_measured(s3, notify, new_bucket):
    source, destination = new_bucket("Enabled"), new_bucket("Enabled")
    notify(source, queue(events=["s3:Replication:*"]) | {"EventBridgeConfiguration": {}})
    rule = {
        "ID": "to nowhere",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{destination}", "Metrics": {"Status": "Enabled"}},
    }
    role = "arn:aws:iam::000000000000:role/replicator"
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role, "Rules": [rule]})
    s3.delete_bucket(Bucket=destination)
    made = s3.put_object(Bucket=source, Key="a b", Body=b"data")
    (record,) = notify.came(source, 1)[0]["Records"]
    data = record["replicationEventData"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data.pop("requestTime"))
    assert data == {
        "replicationRuleId": "to nowhere",
        "destinationBucket": f"arn:aws:s3:::{destination}",
        "s3Operation": "OBJECT_PUT",
        "failureReason": "DstBucketNotFound",
    }
    assert (record["eventVersion"], record["eventName"]) == ("2.2", "Replication:OperationFailedReplication")
    told = record["s3"]["object"]
    assert (told["key"], told["size"], told["versionId"]) == ("a+b", 4, made["VersionId"])
    assert [it["detail-type"] for it in notify.came(source, 1, "bus")] == ["Object Created"]


def test_an_access_list_brings_an_event_when_it_changes(s3, notify, bucket):
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    notify(bucket, queue())
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="private")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="authenticated-read")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="authenticated-read")
    s3.put_object(Bucket=bucket, Key="end", Body=b"x")
    assert names(notify.came(bucket, 2)) == ["ObjectAcl:Put", "ObjectCreated:Put"]


def test_filters_choose_by_what_keys_begin_and_end_with(s3, notify, bucket):
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "SUFFIX", "Value": ".jpg"}]
    notify(bucket, queue(events=["s3:ObjectCreated:Put"], Filter={"Key": {"FilterRules": rules}}))
    (kept,) = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert [rule["Name"] for rule in kept["Filter"]["Key"]["FilterRules"]] == ["Prefix", "Suffix"]
    for key in ("in/a.jpg", "in/a.png", "out/a.jpg", "in/b.jpg", "in/.jpg"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    s3.delete_object(Bucket=bucket, Key="in/a.jpg")
    s3.put_object(Bucket=bucket, Key="in/z.jpg", Body=b"")
    assert keys_of(notify.came(bucket, 4)) == ["in/a.jpg", "in/b.jpg", "in/.jpg", "in/z.jpg"]


def test_filters_may_be_encoded_as_in_urls_as_s3_has_them(s3, notify, bucket):
    """A value that is written as it is means itself, too."""

    def ask(prefix, suffix):
        rules = [{"Name": "prefix", "Value": prefix}, {"Name": "suffix", "Value": suffix}]
        return {"Events": ["s3:ObjectCreated:Put"], "Filter": {"Key": {"FilterRules": rules}}}

    wanted = [ask("my+photos/", "%C3%BC.jpg"), ask("as it is/", "ö.jpg"), ask("1+1/", "")]
    queues = [{"QueueArn": QUEUE, "Id": str(number), **it} for number, it in enumerate(wanted)]
    notify(bucket, {"QueueConfigurations": queues})
    kept = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert [it["Filter"]["Key"]["FilterRules"][0]["Value"] for it in kept] == ["my+photos/", "as it is/", "1+1/"]
    keys = ["my photos/ü.jpg", "my photos/u.jpg", "other/ü.jpg", "as it is/ö.jpg", "1+1/x", "1 1/x"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    told = notify.came(bucket, 4)
    assert keys_of(told) == ["my+photos/%C3%BC.jpg", "as+it+is/%C3%B6.jpg", "1%2B1/x", "1+1/x"]


def test_filters_overlap_by_what_they_mean(s3, refused, bucket):
    def ask(prefix):
        rules = [{"Name": "prefix", "Value": prefix}]
        return {"QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": rules}}}

    wanted = {"QueueConfigurations": [ask("a b/"), ask("a+b%2F")]}
    call = s3.put_bucket_notification_configuration
    refused("InvalidArgument", 400, call, Bucket=bucket, NotificationConfiguration=wanted)


def test_queues_topics_functions_and_the_bus_receive_what_each_asked_for(s3, notify, server, bucket):
    configuration = {
        "QueueConfigurations": [{"QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"]}],
        "TopicConfigurations": [{"TopicArn": TOPIC, "Events": ["s3:ObjectRemoved:*"]}],
        "LambdaFunctionConfigurations": [{"LambdaFunctionArn": FUNCTION, "Events": ["s3:ObjectTagging:*"]}],
        "EventBridgeConfiguration": {},
    }
    notify(bucket, configuration)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=b")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": []})
    s3.delete_object(Bucket=bucket, Key="k")
    assert names(notify.came(bucket, 1)) == ["ObjectCreated:Put"]
    assert names(notify.came(bucket, 1, "topic")) == ["ObjectRemoved:Delete"]
    assert names(notify.came(bucket, 1, "function")) == ["ObjectTagging:Put"]
    told = notify.came(bucket, 3, "bus")
    assert [it["detail-type"] for it in told] == ["Object Created", "Object Tags Added", "Object Deleted"]
    assert [it["detail"].get("reason") for it in told] == ["PutObject", None, "DeleteObject"]
    assert (told[0]["source"], told[0]["resources"]) == ("aws.s3", [f"arn:aws:s3:::{bucket}"])
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", told[0]["id"])
    assert told[0]["detail"]["object"]["size"] == 1
    assert told[2]["detail"]["deletion-type"] == "Permanently Deleted"
    tests = [server.events(bucket, name)[0].get("Event") for name in ("events", "topic", "function", "bus")]
    assert tests == ["s3:TestEvent", "s3:TestEvent", None, None]


def test_a_document_that_is_put_brings_a_test_event(s3, notify, server, bucket):
    notify(bucket, queue())
    wait_until(lambda: server.events(bucket))
    (told,) = server.events(bucket)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("Time"))
    assert told.pop("RequestId")
    assert told.pop("HostId")
    assert told == {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": bucket}
    notify(bucket, queue(), SkipDestinationValidation=True)
    notify(bucket, queue())
    wait_until(lambda: len(server.events(bucket)) == 2)


def test_a_target_of_the_settings_may_have_any_arn_of_its_service(s3, notify, refused, bucket):
    notify(bucket, queue(ELSEWHERE))
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert names(notify.came(bucket, 1)) == ["ObjectCreated:Put"]
    call = s3.put_bucket_notification_configuration
    topic = {"TopicConfigurations": [{"TopicArn": ELSEWHERE, "Events": ["s3:ObjectCreated:*"]}]}
    answer = refused("InvalidArgument", 400, call, Bucket=bucket, NotificationConfiguration=topic)
    assert answer["Error"]["Message"] == "The ARN is not well formed"


def test_nothing_is_sent_for_what_was_refused_or_is_asked_for_no_more(s3, notify, refused, bucket):
    notify(bucket, queue())
    refused("NoSuchKey", 404, s3.put_object, Bucket=bucket, Key="k", Body=b"", IfMatch='"x"')
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    notify(bucket, {})
    s3.put_object(Bucket=bucket, Key="unseen", Body=b"")
    notify(bucket, queue())
    s3.put_object(Bucket=bucket, Key="end", Body=b"")
    assert keys_of(notify.came(bucket, 2)) == ["k", "end"]


def test_the_form_of_a_browser_brings_an_event_of_its_own(s3, notify, bucket):
    import urllib.request

    notify(bucket, queue())
    post = s3.generate_presigned_post(bucket, "posted")
    lines = []
    for name, value in {**post["fields"], "file": "data"}.items():
        lines += ["--frontier", f'content-disposition: form-data; name="{name}"', "", value]
    body = "\r\n".join([*lines, "--frontier--", ""]).encode()
    headers = {"content-type": "multipart/form-data; boundary=frontier"}
    urllib.request.urlopen(urllib.request.Request(post["url"], body, headers)).close()
    assert names(notify.came(bucket, 1)) == ["ObjectCreated:Post"]
