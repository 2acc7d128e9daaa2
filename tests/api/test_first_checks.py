"""What S3 refuses of a query before it looks who asks and whether there is such a bucket, and what only after it."""

import pytest

from tests.api.conftest import ROOT

NOT_A_COUNT = "Provided {} not an integer or within integer range"
NO_VERSION = "This operation does not accept a version-id."
V2_ONLY = "only supported in REST.GET.BUCKET with list-type=2"

AT_ONCE = [
    # path below the bucket, the argument that is named, message
    ("?max-keys=abc", "max-keys", NOT_A_COUNT.format("max-keys")),
    ("?list-type=2&max-keys=2147483648", "max-keys", NOT_A_COUNT.format("max-keys")),
    ("?versions&max-keys=+5", "max-keys", NOT_A_COUNT.format("max-keys")),
    ("?start-after=x&max-keys=abc", "max-keys", NOT_A_COUNT.format("max-keys")),
    ("?uploads&max-uploads=abc", "max-uploads", NOT_A_COUNT.format("max-uploads")),
    ("/k?uploadId=x&max-parts=abc", "max-parts", NOT_A_COUNT.format("max-parts")),
    ("/k?uploadId=x&part-number-marker=abc", "part-number-marker", NOT_A_COUNT.format("part-number-marker")),
    ("/k?annotation&max-annotation-results=a", "max-annotation-results", NOT_A_COUNT.format("max-annotation-results")),
    ("?list-type=2&marker=", "marker", "Marker unsupported with REST.GET.BUCKET in list-type=2"),
    ("?start-after=x", "start-after", f"startAfter {V2_ONLY}"),
    ("?start-after=x&continuation-token=x", "continuation-token", f"continuation-token {V2_ONLY}"),
    (
        "?versions&version-id-marker=x",
        "version-id-marker",
        "A version-id marker cannot be specified without a key marker.",
    ),
    ("?versions&key-marker=&version-id-marker=", "version-id-marker", "A version-id marker cannot be empty."),
    ("?versionId=x", "versionId", NO_VERSION),
    ("?policy&versionId=null", "versionId", NO_VERSION),
    ("/k?uploadId=x&versionId=x", "versionId", NO_VERSION),
    ("/k?versionId=", "versionId", "Version id cannot be the empty string"),
    ("/k?tagging&versionId=", "versionId", "Version id cannot be the empty string"),
]  # fmt: skip

AFTER_THE_BUCKET = [
    "?max-keys=-1",
    "?encoding-type=x",
    "?list-type=2&continuation-token=x",
    "?versions&key-marker=a&version-id-marker=x",
    "?uploads&max-uploads=-1",
    "?uploads&key-marker=a&upload-id-marker=x",
    "/k?versionId=x",
    "/k?partNumber=x",
    "/k?uploadId=x&max-parts=-1",
]


@pytest.mark.parametrize("keys", [ROOT, (ROOT[0], "wrong"), None], ids=["signed", "wrongly-signed", "unsigned"])
@pytest.mark.parametrize(("path", "name", "message"), AT_ONCE)
def test_before_the_caller_and_the_bucket(raw, keys, path, name, message):
    answer = raw("GET", f"/there-is-no-such-bucket{path}", keys=keys)
    assert answer.outcome == (400, "InvalidArgument")
    assert (answer.xml.findtext("ArgumentName"), answer.xml.findtext("Message")) == (name, message)


@pytest.mark.parametrize("path", AFTER_THE_BUCKET)
def test_after_the_bucket(raw, bucket, path):
    assert raw("GET", f"/there-is-no-such-bucket{path}").outcome == (404, "NoSuchBucket")
    assert raw("GET", f"/{bucket}{path}").status in (400, 404)
    assert raw("GET", f"/{bucket}{path}").code != "NoSuchBucket"


def test_counts_that_are_left_empty_are_none(raw, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    for path in (
        "/?max-buckets=",
        f"/{bucket}?max-keys=",
        f"/{bucket}?uploads&max-uploads=",
        f"/{bucket}/k?uploadId={upload}&max-parts=&part-number-marker=",
        f"/{bucket}/k?annotation&max-annotation-results=",
    ):
        assert raw("GET", path).status == 200, path


def test_a_part_beside_a_range_is_refused_before_the_key_is_looked_for(raw, bucket):
    for method, outcome in (("GET", "InvalidRequest"), ("HEAD", None)):
        answer = raw(method, f"/{bucket}/missing?partNumber=1", headers={"Range": "bytes=0-1"})
        assert (answer.status, answer.code if answer.body else None) == (400, outcome)


def test_a_version_marker_beside_an_empty_key_marker_is_behind_everything(raw, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = raw("GET", f"/{bucket}?versions&key-marker=&version-id-marker=null")
    assert answer.status == 200
    assert answer.xml.find("Version") is None
    assert answer.xml.findtext("IsTruncated") == "false"
