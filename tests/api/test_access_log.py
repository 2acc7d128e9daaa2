"""Access logs of buckets: what is requested of a bucket stands in objects of another one."""

import json
import re
import shlex

import pytest

from tests.api.conftest import SITES
from tests.api.iam_support import allowing, client, of_session
from tests.waiting import wait_until

KEY = re.compile(r"logs/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}")


@pytest.fixture
def logged(s3, new_bucket):
    """A function that makes a bucket whose requests are logged; it returns it and the bucket of the log."""

    def make(**more):
        bucket, target = new_bucket(), new_bucket()
        enabled = {"TargetBucket": target, "TargetPrefix": "logs/", **more}
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})
        return bucket, target

    return make


@pytest.fixture
def log_of(s3):
    """A function that waits until a log has a request, and returns the fields of its line."""

    def wait(target, request_id):
        found = []

        def has_come():
            found[:] = [line for line in _lines(s3, target) if request_id in line]
            return found

        wait_until(has_come)
        assert len(found) == 1
        return shlex.split(found[0].replace("[", '"[').replace("]", ']"'))

    return wait


def _lines(s3, target):
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=target).get("Contents", ())]
    texts = [s3.get_object(Bucket=target, Key=key)["Body"].read().decode("ascii") for key in keys]
    return [line for text in texts for line in text.splitlines()]


def test_a_line_says_who_asked_for_what(raw, s3, logged, log_of):
    bucket, target = logged()
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"12345")
    headers = {"User-Agent": 'agent "x" \\', "Referer": "http://page.test/"}
    answer = raw("GET", f"/{bucket}/a%20b/%C3%BC", headers=headers | {"Range": "bytes=0-1"})
    fields = log_of(target, answer.headers["x-amz-request-id"])
    assert re.fullmatch(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]", fields[2])
    assert fields[:2] + fields[3:5] == ["s3ish-root", bucket, "127.0.0.1", "s3ish-root"]
    assert fields[6:13] == [
        "REST.GET.OBJECT",
        "a%20b/%C3%BC",
        f"GET /{bucket}/a%20b/%C3%BC HTTP/1.1",
        "206",
        "-",
        "2",
        "5",
    ]
    assert fields[13].isdigit()
    assert fields[15:18] == ["http://page.test/", "agent %22x%22 %5C", "-"]
    assert fields[18] == answer.headers["x-amz-id-2"]
    assert fields[19:22] == ["SigV4", "-", "AuthHeader"]
    assert len(fields) == 26
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=target)["Contents"]]
    assert all(KEY.fullmatch(key) for key in keys)
    assert s3.head_object(Bucket=target, Key=keys[0])["ContentType"] == "text/plain"


@pytest.mark.parametrize(
    ("method", "path", "operation", "status", "error"),
    [
        ("GET", "?versioning", "REST.GET.VERSIONING", "200", "-"),
        ("GET", "?list-type=2", "REST.GET.BUCKET", "200", "-"),
        ("GET", "?policy", "REST.GET.BUCKETPOLICY", "404", "NoSuchBucketPolicy"),
        ("GET", "?versions", "REST.GET.BUCKETVERSIONS", "200", "-"),
        ("GET", "/missing", "REST.GET.OBJECT", "404", "NoSuchKey"),
        ("GET", "/missing?tagging", "REST.GET.OBJECT_TAGGING", "404", "NoSuchKey"),
        ("GET", "/missing?retention", "REST.GET.RETENTION", "400", "InvalidRequest"),
        (
            "GET",
            "?metadataTable",
            "REST.GET.BUCKET_METADATA_TABLE_CONFIGURATION",
            "404",
            "MetadataConfigurationNotFound",
        ),
        ("PUT", "/k", "REST.PUT.OBJECT", "200", "-"),
        ("POST", "/k?uploads", "REST.POST.UPLOADS", "200", "-"),
        ("PUT", "/k?partNumber=1&uploadId=x", "REST.PUT.PART", "404", "NoSuchUpload"),
        ("DELETE", "/k", "REST.DELETE.OBJECT", "204", "-"),
    ],
)
def test_operations_have_their_names(raw, logged, log_of, method, path, operation, status, error):
    bucket, target = logged()
    answer = raw(method, f"/{bucket}{path}", b"body" if method == "PUT" else b"")
    fields = log_of(target, answer.headers["x-amz-request-id"])
    assert (fields[6], fields[9], fields[10]) == (operation, status, error)


def test_users_and_sessions_are_named_and_not_their_account(server, logged, log_of, new_user):
    """All of an account have its canonical id, which would not tell them apart."""
    bucket, target = logged()
    everything = [allowing("s3:*", ["*"]), allowing("sts:*", ["*"])]
    name, keys = new_user(json.dumps({"Version": "2012-10-17", "Statement": everything}))
    user, session = client(server, "s3", keys), client(server, "sts", keys).get_federation_token
    guest = session(Name="guest", Policy=json.dumps({"Version": "2012-10-17", "Statement": everything[:1]}))
    asked = user.list_objects_v2(Bucket=bucket)["ResponseMetadata"]["RequestId"]
    assert log_of(target, asked)[4] == f"arn:aws:iam::000000000000:user/{name}"
    visit = of_session(server, "s3", guest["Credentials"])
    asked = visit.list_objects_v2(Bucket=bucket)["ResponseMetadata"]["RequestId"]
    assert log_of(target, asked)[4] == "arn:aws:sts::000000000000:federated-user/guest"


def test_refusals_and_strangers_are_logged(raw, presign, s3, logged, log_of):
    bucket, target = logged()
    for keys, error in ((None, "AccessDenied"), (("s3ishadmin", "wrong"), "SignatureDoesNotMatch")):
        answer = raw("GET", f"/{bucket}/k", keys=keys)
        fields = log_of(target, answer.headers["x-amz-request-id"])
        assert (fields[4], fields[9], fields[10], fields[19]) == ("-", "403", error, "-")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = presign("GET", f"/{bucket}/k")
    answer = raw("GET", url, headers={"Referer": f"http://s3.test{url}"}, keys=None)
    fields = log_of(target, answer.headers["x-amz-request-id"])
    assert (fields[9], fields[19], fields[21]) == ("200", "SigV4", "QueryString")
    for shown in (fields[8], fields[15]):
        assert re.search(r"X-Amz-Signature=REDACTED( |$)", shown), "a reader of the log must not repeat the request"


def test_visits_of_a_site_are_logged(raw, s3, logged, log_of):
    bucket, target = logged()
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "i"}})
    answer = raw("GET", "/page", host=f"{bucket}.{SITES}", keys=None)
    fields = log_of(target, answer.headers["x-amz-request-id"])
    assert (fields[6], fields[7], fields[9]) == ("WEBSITE.GET.OBJECT", "page", "403")


@pytest.mark.parametrize("source", ["EventTime", "DeliveryTime"])
def test_logs_by_day(raw, s3, logged, log_of, source):
    bucket, target = logged(TargetObjectKeyFormat={"PartitionedPrefix": {"PartitionDateSource": source}})
    log_of(target, raw("GET", f"/{bucket}?versioning").headers["x-amz-request-id"])
    (key,) = {item["Key"] for item in s3.list_objects_v2(Bucket=target)["Contents"]}
    found = re.fullmatch(
        rf"logs/s3ish-root/us-east-1/{bucket}/(\d{{4}})/(\d\d)/(\d\d)/\1-\2-\3-(\d\d-\d\d-\d\d)-[0-9A-F]{{16}}", key
    )
    assert found
    assert (found[4] == "00-00-00") == (source == "EventTime")


def test_a_log_that_is_in_its_own_bucket_does_not_log_itself(raw, s3, new_bucket, log_of):
    bucket = new_bucket()
    enabled = {"TargetBucket": bucket, "TargetPrefix": "logs/"}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})
    for _ in range(2):  # what the first delivery had logged would come with the second
        log_of(bucket, raw("GET", f"/{bucket}?location").headers["x-amz-request-id"])
    assert not [line for line in _lines(s3, bucket) if "REST.PUT.OBJECT" in line]


def test_log_objects_are_given_to_whom_the_document_says(raw, s3, other, new_bucket, log_of):
    bucket, target = new_bucket(), new_bucket()
    controls = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    s3.put_bucket_ownership_controls(Bucket=target, OwnershipControls=controls)
    grants = [{"Grantee": {"Type": "CanonicalUser", "ID": "other"}, "Permission": "READ"}]
    enabled = {"TargetBucket": target, "TargetPrefix": "", "TargetGrants": grants}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})
    log_of(target, raw("GET", f"/{bucket}?location").headers["x-amz-request-id"])
    key = s3.list_objects_v2(Bucket=target)["Contents"][0]["Key"]
    assert other.get_object(Bucket=target, Key=key)["Body"].read()


def test_a_target_that_is_gone_loses_lines_and_nothing_else(raw, s3, server, logged):
    bucket, target = logged()
    s3.delete_bucket(Bucket=target)
    assert raw("GET", f"/{bucket}?location").status == 200
    wait_until(
        lambda: re.search(
            f"access log not delivered.*{bucket}|{bucket}.*access log not delivered", server.log.read_text()
        )
    )


def test_no_retention_by_default_where_logs_go(s3, refused, new_bucket):
    bucket, target = new_bucket(), f"{new_bucket()}-lock"
    s3.create_bucket(Bucket=target, ObjectLockEnabledForBucket=True)
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    s3.put_object_lock_configuration(Bucket=target, ObjectLockConfiguration=lock)
    status = {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": ""}}
    refused("InvalidTargetBucketForLogging", 400, s3.put_bucket_logging, Bucket=bucket, BucketLoggingStatus=status)


def test_each_key_of_a_batch_has_a_line_of_its_own(s3, logged):
    bucket, target = logged()
    for key in ("a b", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    objects = [{"Key": "a b"}, {"Key": "c"}, {"Key": "kept", "ETag": '"other"'}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
    request_id = answer["ResponseMetadata"]["RequestId"]
    (refused,) = answer["Errors"]

    def lines():
        return [shlex.split(line.partition("]")[2]) for line in _lines(s3, target) if request_id in line]

    wait_until(lambda: len(lines()) == 4)
    assert {len(line) for line in lines()} == {23}
    assert lines()[0][3:5] == ["REST.POST.MULTI_OBJECT_DELETE", "-"]
    assert sorted(line[3:8] for line in lines()[1:]) == [
        ["BATCH.DELETE.OBJECT", "a%20b", "-", "204", "-"],
        ["BATCH.DELETE.OBJECT", "c", "-", "204", "-"],
        [
            "BATCH.DELETE.OBJECT",
            "kept",
            "-",
            "412" if refused["Code"] == "PreconditionFailed" else "404",
            refused["Code"],
        ],
    ]
    assert {tuple(line[:3]) for line in lines()} == {("127.0.0.1", "s3ish-root", request_id)}


def test_the_log_of_its_source_has_a_line_of_a_copy(s3, new_bucket, logged, log_of):
    bucket, target = logged()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="a b", Body=b"12345")["VersionId"]
    other = new_bucket()
    source = {"Bucket": bucket, "Key": "a b"}
    upload = s3.create_multipart_upload(Bucket=other, Key="k")["UploadId"]
    for operation, answer in (
        ("REST.COPY.OBJECT_GET", s3.copy_object(Bucket=other, Key="k", CopySource=source)),
        (
            "REST.COPY.PART_GET",
            s3.upload_part_copy(Bucket=other, Key="k", UploadId=upload, PartNumber=1, CopySource=source),
        ),
    ):
        fields = log_of(target, answer["ResponseMetadata"]["RequestId"])
        assert (fields[1], len(fields)) == (bucket, 26)
        assert fields[6:18] == [operation, "a%20b", "-", "200", "-", "-", "5", "-", "-", "-", "-", version]
        assert [fields[4], fields[19], fields[21]] == ["s3ish-root", "SigV4", "AuthHeader"]


def test_both_lines_of_a_copy_within_a_bucket_stand_in_its_log(s3, logged):
    bucket, target = logged()
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    answer = s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    request_id = answer["ResponseMetadata"]["RequestId"]

    def lines():
        return [line.partition("]")[2].split()[3:5] for line in _lines(s3, target) if request_id in line]

    wait_until(lambda: len(lines()) == 2)
    assert sorted(lines()) == [["REST.COPY.OBJECT", "b"], ["REST.COPY.OBJECT_GET", "a"]]
