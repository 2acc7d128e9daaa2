"""CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation."""

import uuid

import pytest

NAMES_THAT_ARE_NOT = [  # case 35
    "ab",
    "a" * 64,
    "Upper",
    "under_score",
    "a..b",
    ".ab",
    "ab.",
    "-ab",
    "ab-",
    "1.2.3.4",
    "xn--abc",
    "sthree-abc",
    "abc-s3alias",
    "abc--ol-s3",
    "abc%20d",
    "abc%2Fd",
    ".s3ish",
    "..",
    ".",
]


@pytest.fixture
def name():
    return f"b-{uuid.uuid4().hex[:20]}"


def create(raw, name, constraint):
    body = f"<CreateBucketConfiguration>{constraint}</CreateBucketConfiguration>"
    return raw("PUT", f"/{name}", body)


def test_create_answers_with_the_place(s3, name):
    answer = s3.create_bucket(Bucket=name)
    assert answer["Location"] == f"/{name}"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("length", [3, 63])
def test_shortest_and_longest_name(s3, name, length):
    wanted = (name.replace("-", "") * 4)[-length:]
    s3.create_bucket(Bucket=wanted)
    assert s3.head_bucket(Bucket=wanted)["BucketRegion"] == "us-east-1"
    s3.delete_bucket(Bucket=wanted)


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
@pytest.mark.parametrize("wrong", NAMES_THAT_ARE_NOT)
def test_names_that_are_not(raw, method, wrong):
    assert raw(method, f"/{wrong}").outcome == (400, "InvalidBucketName")


def test_create_again_is_no_error_where_it_never_was_one(s3, name):
    """In us-east-1, and only there, S3 answers 200 to whom creates a bucket of its own again."""
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="kept", Body=b"x")
    s3.create_bucket(Bucket=name)
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 1


def test_create_what_belongs_to_another(s3, other, refused, name):
    s3.create_bucket(Bucket=name)
    answer = refused("BucketAlreadyExists", 409, other.create_bucket, Bucket=name)
    assert answer["Error"]["BucketName"] == name


def test_owners_do_not_see_each_others_buckets(s3, other, name):
    other.create_bucket(Bucket=name)
    other.put_object(Bucket=name, Key="k", Body=b"x")
    assert other.list_objects_v2(Bucket=name)["Contents"][0]["Key"] == "k"
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 1, "the root user may do everything"


def test_a_bucket_of_another_is_closed(other, refused, bucket):  # case 77
    refused("AccessDenied", 403, other.list_objects_v2, Bucket=bucket)
    refused("AccessDenied", 403, other.get_object, Bucket=bucket, Key="k")
    refused("AccessDenied", 403, other.put_object, Bucket=bucket, Key="k", Body=b"x")
    refused("AccessDenied", 403, other.delete_object, Bucket=bucket, Key="k")
    refused("AccessDenied", 403, other.delete_bucket, Bucket=bucket)
    refused("403", 403, other.head_bucket, Bucket=bucket)


@pytest.mark.parametrize("constraint", ["", "<LocationConstraint/>", "<LocationConstraint></LocationConstraint>"])
def test_an_empty_constraint_is_the_classic_region(raw, s3, name, constraint):
    assert create(raw, name, constraint).status == 200
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None


def test_a_body_with_the_namespace(raw, name):
    body = (
        '<?xml version="1.0"?><CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<LocationConstraint/></CreateBucketConfiguration>"
    )
    assert raw("PUT", f"/{name}", body).status == 200


def test_the_classic_region_has_no_constraint_of_its_name(raw, refused, s3, name):
    answer = create(raw, name, "<LocationConstraint>us-east-1</LocationConstraint>")
    assert answer.outcome == (400, "InvalidLocationConstraint")
    refused("404", 404, s3.head_bucket, Bucket=name)


@pytest.mark.parametrize("region", ["mars", "EU-WEST-1", "eu_west_1", "us-east-1a", "x" * 100])
def test_a_constraint_that_names_no_region(raw, refused, s3, name, region):
    answer = create(raw, name, f"<LocationConstraint>{region}</LocationConstraint>")
    assert answer.outcome == (400, "InvalidLocationConstraint")
    assert answer.xml.findtext("LocationConstraint") == region[:64]
    refused("404", 404, s3.head_bucket, Bucket=name)


def test_a_constraint_of_another_region(raw, refused, s3, name):
    answer = create(raw, name, "<LocationConstraint>eu-central-1</LocationConstraint>")
    assert answer.outcome == (400, "IllegalLocationConstraintException")
    refused("404", 404, s3.head_bucket, Bucket=name)


@pytest.mark.parametrize(
    "body",
    [
        "no XML",
        "<CreateBucketConfiguration>",
        "<Other/>",
        "<CreateBucketConfiguration><Unknown/></CreateBucketConfiguration>",
        "<CreateBucketConfiguration><LocationConstraint/><LocationConstraint/></CreateBucketConfiguration>",
        '<!DOCTYPE a [<!ENTITY b "c">]><CreateBucketConfiguration/>',
    ],
)
def test_malformed_configuration(raw, refused, s3, name, body):  # case 128
    assert raw("PUT", f"/{name}", body).outcome == (400, "MalformedXML")
    refused("404", 404, s3.head_bucket, Bucket=name)


def test_headers_that_say_nothing_new(s3, name):
    s3.create_bucket(Bucket=name, ACL="private", ObjectOwnership="BucketOwnerEnforced")
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 0


def test_an_acl_that_is_none(raw, name):
    assert raw("PUT", f"/{name}", headers={"x-amz-acl": "nonsense"}).outcome == (400, "InvalidArgument")


def test_head(s3, raw, bucket):
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"
    answer = raw("HEAD", f"/{bucket}")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-amz-bucket-region"] == "us-east-1"


def test_location(raw, s3, bucket):
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    answer = raw("GET", f"/{bucket}?location")
    assert answer.xml.tag == "LocationConstraint"
    assert not answer.xml.text


def test_delete(s3, refused, raw, bucket):
    answer = raw("DELETE", f"/{bucket}")
    assert (answer.status, answer.body) == (204, b"")
    refused("404", 404, s3.head_bucket, Bucket=bucket)
    refused("NoSuchBucket", 404, s3.delete_bucket, Bucket=bucket)


def test_delete_what_is_not_empty(s3, refused, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = refused("BucketNotEmpty", 409, s3.delete_bucket, Bucket=bucket)
    assert answer["Error"]["Message"] == "The bucket you tried to delete is not empty."
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)


def test_versions_and_markers_keep_a_bucket(s3, refused, versioned):
    s3.put_object(Bucket=versioned, Key="k", Body=b"x")
    s3.delete_object(Bucket=versioned, Key="k")
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 0
    told = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": status})
        answer = refused("BucketNotEmpty", 409, s3.delete_bucket, Bucket=versioned)
        assert answer["Error"]["Message"] == told
    found = s3.list_object_versions(Bucket=versioned)
    for version in [*found["Versions"], *found["DeleteMarkers"]]:
        s3.delete_object(Bucket=versioned, Key="k", VersionId=version["VersionId"])
    s3.delete_bucket(Bucket=versioned)


def test_uploads_in_progress_go_with_their_bucket(s3, refused, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    refused("NoSuchUpload", 404, s3.list_parts, Bucket=bucket, Key="k", UploadId=upload)


def test_a_name_that_is_used_again_begins_anew(s3, new_bucket):
    name = new_bucket("Enabled")
    s3.delete_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)
    assert "Status" not in s3.get_bucket_versioning(Bucket=name)


@pytest.mark.parametrize(
    "call",
    [
        ("delete_bucket", {}),
        ("get_bucket_location", {}),
        ("get_bucket_versioning", {}),
        ("list_objects", {}),
        ("list_objects_v2", {}),
        ("list_object_versions", {}),
        ("list_multipart_uploads", {}),
        ("put_object", {"Key": "k", "Body": b"x"}),
        ("get_object", {"Key": "k"}),
        ("delete_object", {"Key": "k"}),
        ("create_multipart_upload", {"Key": "k"}),
        ("get_object_attributes", {"Key": "k", "ObjectAttributes": ["ETag"]}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "k"}]}}),
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}}),
    ],
    ids=lambda call: call[0],
)
def test_there_is_no_such_bucket(s3, refused, name, call):
    operation, arguments = call
    answer = refused("NoSuchBucket", 404, getattr(s3, operation), Bucket=name, **arguments)
    assert answer["Error"]["BucketName"] == name


def test_expected_owner(s3, refused, bucket):
    owner = s3.list_buckets()["Owner"]["ID"]
    s3.get_bucket_location(Bucket=bucket, ExpectedBucketOwner=owner)
    refused("AccessDenied", 403, s3.get_bucket_location, Bucket=bucket, ExpectedBucketOwner="999999999999")
    refused("AccessDenied", 403, s3.put_object, Bucket=bucket, Key="k", Body=b"x", ExpectedBucketOwner="999999999999")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("expected", ["", "somebody", "12345678901", "1234567890123", "a" * 64])
def test_an_expected_owner_that_is_no_account(s3, raw, bucket, unchanged, expected):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    headers = {"x-amz-expected-bucket-owner": expected}
    source = {"x-amz-copy-source": f"{bucket}/k", "x-amz-source-expected-bucket-owner": expected}
    with unchanged(bucket):
        for method, path, sent in (
            ("GET", f"/{bucket}?list-type=2", headers),
            ("GET", f"/{bucket}/k", headers),
            ("DELETE", f"/{bucket}/k", headers),
            ("PUT", f"/{bucket}/copy", source),
        ):
            answer = raw(method, path, headers=sent)
            assert answer.outcome == (400, "InvalidBucketOwnerAWSAccountID")
            told = f"The value of the expected bucket owner parameter must be an AWS Account ID... [{expected}]"
            assert answer.xml.findtext("Message") == told


def test_the_expected_owner_may_be_the_callers_own_account(s3, reader, other, refused, bucket):
    """Programs expect the account that GetCallerIdentity tells them."""
    account = "000000000000"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ExpectedBucketOwner=account)
    reader.head_object(Bucket=bucket, Key="k", ExpectedBucketOwner=account)
    source = {"CopySource": f"{bucket}/k", "ExpectedSourceBucketOwner": account}
    s3.copy_object(Bucket=bucket, Key="copy", ExpectedBucketOwner=account, **source)
    refused("AccessDenied", 403, s3.get_bucket_acl, Bucket=bucket, ExpectedBucketOwner="111122223333")
    mine = f"{bucket}-other"
    other.create_bucket(Bucket=mine)
    other.put_object(Bucket=mine, Key="k", Body=b"x", ExpectedBucketOwner=account)
    s3.put_bucket_policy(
        Bucket=bucket,
        Policy='{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": '
        f'["arn:aws:s3:::{bucket}", "arn:aws:s3:::{bucket}/*"]}}}}',
    )
    other.head_object(Bucket=bucket, Key="k")
    refused("403", 403, other.head_object, Bucket=bucket, Key="k", ExpectedBucketOwner=account)
    refused("AccessDenied", 403, other.copy_object, Bucket=mine, Key="copy", **source)


def test_the_slash_behind_a_bucket(raw, bucket):
    assert raw("GET", f"/{bucket}/").xml.tag == "ListBucketResult"
    assert raw("HEAD", f"/{bucket}/").status == 200


def test_tags_at_creation(raw, s3, refused, name):
    tags = [{"Key": "größe", "Value": "1"}, {"Key": "b", "Value": ""}]
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"Tags": tags})
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == tags
    for code, wrong in (
        ("InvalidTag", [tags[0]] * 2),
        ("BadRequest", [{"Key": f"k{n}", "Value": ""} for n in range(51)]),
    ):
        refused(code, 400, s3.create_bucket, Bucket=f"{name}-2", CreateBucketConfiguration={"Tags": wrong})
        refused("404", 404, s3.head_bucket, Bucket=f"{name}-2")


def test_the_namespace_of_an_account_in_a_region(s3, refused):
    here = f"t-{uuid.uuid4().hex[:8]}-000000000000-us-east-1-an"
    refused("InvalidBucketName", 400, s3.create_bucket, Bucket=here)
    refused("InvalidBucketName", 400, s3.create_bucket, Bucket=here, BucketNamespace="global")
    s3.create_bucket(Bucket=here, BucketNamespace="account-regional")
    s3.put_object(Bucket=here, Key="k", Body=b"x")
    assert s3.get_object(Bucket=here, Key="k")["Body"].read() == b"x"
    for elsewhere in (here.replace("us-east", "us-west"), here.replace("000-us", "001-us"), "plain-name"):
        refused("InvalidBucketName", 400, s3.create_bucket, Bucket=elsewhere, BucketNamespace="account-regional")
    refused("InvalidArgument", 400, s3.create_bucket, Bucket="plain-name", BucketNamespace="mine")


@pytest.mark.parametrize("query", ["", "?list-type=2"])
def test_who_asks_for_a_bucket_learns_its_region(raw, bucket, query):
    """Clients find out where a bucket is by a request that is refused: without a signature, or with a wrong region."""
    name = "x-amz-bucket-region"
    methods = ("GET",) if query else ("GET", "HEAD")
    for method in methods:
        assert raw(method, f"/{bucket}{query}").headers[name] == "us-east-1"
        refused = raw(method, f"/{bucket}{query}", keys=None)
        assert (refused.status, refused.headers[name]) == (403, "us-east-1")
        unknown = raw(method, f"/{bucket}{query}", keys=("UNKNOWNACCESSKEY", "x"))
        assert (unknown.status, unknown.headers[name]) == (403, "us-east-1")
        missing = raw(method, f"/{bucket}-absent{query}", keys=None)
        assert (missing.status, missing.headers.get(name)) == (404, None)
    assert name not in raw("GET", f"/{bucket}/k").headers


def test_a_request_for_another_region_learns_the_right_one(raw, bucket):
    """Whoever signs for it names it in the scope of the signature."""
    scope = "s3ishadmin/20260101/eu-west-1/s3/aws4_request"
    signature = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    headers = {"Authorization": signature, "x-amz-date": "20260101T000000Z", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    answer = raw("HEAD", f"/{bucket}", headers=headers, keys=None)
    assert (answer.status, answer.headers["x-amz-bucket-region"]) == (400, "us-east-1")


@pytest.mark.parametrize("version", ["null", "", "x"])
@pytest.mark.parametrize(
    ("method", "query"),
    [("GET", ""), ("GET", "versions&"), ("GET", "acl&"), ("PUT", "versioning&"), ("DELETE", ""), ("DELETE", "cors&")],
)
def test_a_bucket_has_no_version(s3, raw, bucket, method, query, version):
    answer = raw(method, f"/{bucket}?{query}versionId={version}")
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("ArgumentName") == "versionId"
    s3.head_bucket(Bucket=bucket)


def test_a_request_about_two_parts_of_a_bucket_changes_nothing(s3, raw, bucket):
    body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    for keys in ({}, {"keys": None}):
        answer = raw("PUT", f"/{bucket}?versioning&accelerate", body, **keys)
        assert answer.outcome == (400, "InvalidArgument")
        assert answer.xml.findtext("ArgumentValue") == "accelerate"
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert raw("HEAD", f"/{bucket}?acl&policy").status == 400
