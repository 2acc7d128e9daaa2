"""Which operation a request is."""

import pytest
from botocore.loaders import Loader

from s3ish.api.catalogue import catalogue
from s3ish.errors import AccessDenied, InvalidArgument, InvalidRequest, MethodNotAllowed, S3Error
from s3ish.server.router import Router

ROUTER = Router(catalogue())


@pytest.mark.parametrize(
    ("method", "level", "query", "headers", "name"),
    [
        ("GET", "service", "", "", "ListBuckets"),
        ("PUT", "bucket", "", "", "CreateBucket"),
        ("DELETE", "bucket", "", "", "DeleteBucket"),
        ("HEAD", "bucket", "", "", "HeadBucket"),
        ("GET", "bucket", "", "", "ListObjects"),
        ("GET", "bucket", "prefix=a", "", "ListObjects"),
        ("GET", "bucket", "list-type=2&prefix=a", "", "ListObjectsV2"),
        ("GET", "bucket", "list-type=1", "", "ListObjects"),
        ("GET", "bucket", "versions", "", "ListObjectVersions"),
        ("GET", "bucket", "uploads", "", "ListMultipartUploads"),
        ("GET", "bucket", "location", "", "GetBucketLocation"),
        ("PUT", "bucket", "versioning", "", "PutBucketVersioning"),
        ("POST", "bucket", "delete", "", "DeleteObjects"),
        ("GET", "object", "", "", "GetObject"),
        ("GET", "object", "versionId=1", "", "GetObject"),
        ("GET", "object", "partNumber=1", "", "GetObject"),
        ("GET", "object", "uploadId=1", "", "ListParts"),
        ("GET", "object", "attributes", "", "GetObjectAttributes"),
        ("HEAD", "object", "", "", "HeadObject"),
        ("PUT", "object", "", "", "PutObject"),
        ("PUT", "object", "", "x-amz-copy-source", "CopyObject"),
        ("PUT", "object", "partNumber=1&uploadId=1", "", "UploadPart"),
        ("PUT", "object", "partNumber=1&uploadId=1", "x-amz-copy-source", "UploadPartCopy"),
        ("POST", "object", "uploads", "", "CreateMultipartUpload"),
        ("POST", "object", "uploadId=1", "", "CompleteMultipartUpload"),
        ("DELETE", "object", "uploadId=1", "", "AbortMultipartUpload"),
        ("DELETE", "object", "versionId=1", "", "DeleteObject"),
        ("GET", "object", "x-id=GetObject", "", "GetObject"),
        ("GET", "object", "Location", "", "GetObject"),
        ("GET", "object", "location=1&x-id=GetObject", "", "GetBucketLocation"),
        ("GET", "object", "accelerate", "", "GetBucketAccelerateConfiguration"),
        ("GET", "object", "cors", "", "GetBucketCors"),
        ("GET", "object", "inventory", "", "ListBucketInventoryConfigurations"),
        ("GET", "object", "inventory&id=x", "", "GetBucketInventoryConfiguration"),
        ("GET", "object", "lifecycle", "", "GetBucketLifecycleConfiguration"),
        ("GET", "object", "notification", "", "GetBucketNotificationConfiguration"),
        ("GET", "object", "policy", "", "GetBucketPolicy"),
        ("GET", "object", "replication", "", "GetBucketReplication"),
        ("GET", "object", "requestPayment", "", "GetBucketRequestPayment"),
        ("GET", "object", "versioning", "", "GetBucketVersioning"),
        ("GET", "object", "website", "", "GetBucketWebsite"),
    ],
)
def test_routes(method, level, query, headers, name):
    pairs = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
    assert ROUTER.route(method, level, pairs, dict.fromkeys(headers.split(), "x")).name == name


@pytest.mark.parametrize(
    ("method", "level", "query", "uncovered"),
    [
        ("GET", "bucket", "list-type=2&prefix=a", "list-type prefix"),
        ("GET", "object", "versionId=1&x=1", "x"),
        ("GET", "object", "cors&x=1", "x"),
        ("PUT", "object", "partNumber=1&uploadId=1&x-id=UploadPart", "x-id"),
    ],
)
def test_query_keys_without_signature_that_lead_nowhere_else(method, level, query, uncovered):
    pairs = dict(pair.partition("=")[::2] for pair in query.split("&"))
    ROUTER.check_covered(ROUTER.route(method, level, pairs, {}), pairs, {}, set(uncovered.split()))


# case 65
@pytest.mark.parametrize(
    ("method", "level", "query", "uncovered"),
    [
        ("GET", "object", "attributes", "attributes"),
        ("GET", "object", "retention&x=1", "retention x"),
        ("GET", "object", "cors", "cors"),
        ("PUT", "bucket", "encryption", "encryption"),
        ("POST", "object", "uploads", "uploads"),
        ("PUT", "object", "partNumber=1&uploadId=1", "partNumber"),
    ],
)
def test_query_keys_without_signature_that_choose_the_operation(method, level, query, uncovered):
    pairs = dict(pair.partition("=")[::2] for pair in query.split("&"))
    with pytest.raises(AccessDenied):
        ROUTER.check_covered(ROUTER.route(method, level, pairs, {}), pairs, {}, set(uncovered.split()))


# case 107
@pytest.mark.parametrize("method", ["get", "FOO", "TRACE", "CONNECT", "__init__", "PROPFIND", "PATCH", "", "x" * 500])
@pytest.mark.parametrize("level", ["service", "bucket", "object"])
def test_other_methods(method, level):
    with pytest.raises(MethodNotAllowed) as caught:
        ROUTER.route(method, level, {}, {})
    assert caught.value.details["ResourceType"] == level.upper()
    assert len(caught.value.details["Method"]) <= 32


@pytest.mark.parametrize(("method", "level"), [("DELETE", "service"), ("PUT", "service"), ("POST", "object")])
def test_methods_that_a_level_does_not_have(method, level):
    with pytest.raises(MethodNotAllowed):
        ROUTER.route(method, level, {}, {})


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("query", [{"partNumber": "1"}, {"partNumber": "", "versionId": "1"}])
def test_a_part_of_no_upload(method, query):
    with pytest.raises(InvalidArgument) as caught:
        ROUTER.route(method, "object", query, {})
    assert caught.value.message == "This operation does not accept partNumber without uploadId"
    assert caught.value.details["ArgumentName"] == "partNumber"


@pytest.mark.parametrize(
    ("method", "level", "names"),
    [
        ("GET", "bucket", ["versioning", "acl"]),
        ("PUT", "bucket", ["policy", "cors"]),
        ("DELETE", "bucket", ["tagging", "lifecycle", "website"]),
        ("HEAD", "bucket", ["uploads", "versions"]),
        ("PATCH", "bucket", ["partNumber", "acl"]),
        ("GET", "object", ["tagging", "acl"]),
        ("GET", "object", ["uploadId", "attributes"]),
        ("GET", "object", ["location", "versioning"]),
        ("GET", "object", ["cors", "acl"]),
        ("HEAD", "object", ["logging", "versions"]),
        ("PUT", "object", ["partNumber", "uploadId", "tagging"]),
    ],
)
def test_one_request_is_about_one_part(method, level, names):
    for order in (names, names[::-1]):
        with pytest.raises(InvalidArgument) as caught:
            ROUTER.route(method, level, dict.fromkeys(order, "1"), {})
        listed = sorted(names)
        assert caught.value.message == f"Conflicting query string parameters: {', '.join(listed)}"
        assert caught.value.details == {"ArgumentName": "ResourceType", "ArgumentValue": listed[0]}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"partNumber": "1"}, "Object must have a valid key name."),
        ({"partNumber": "1", "uploadId": "1"}, "Object must have a valid key name."),
        ({"uploadId": "1"}, "A key must be specified"),
    ],
)
def test_a_bucket_has_no_parts_of_uploads(method, query, message):
    with pytest.raises(InvalidRequest) as caught:
        ROUTER.route(method, "bucket", query, {})
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("part", "code", "message"),
    [
        ("uploads", "InvalidRequest", "Key is not expected for the GET method ?uploads subresource"),
        ("versions", "InvalidRequest", "There is no such thing as the ?versions sub-resource for a key"),
        ("logging", "NoLoggingStatusForKey", "There is no such thing as the ?logging sub-resource for a key"),
    ],
)
def test_what_a_bucket_has_and_no_key(part, code, message):
    with pytest.raises(S3Error) as caught:
        ROUTER.route("GET", "object", {part: ""}, {})
    assert (caught.value.code, caught.value.message) == (code, message)
    with pytest.raises(MethodNotAllowed):
        ROUTER.route("HEAD", "object", {part: ""}, {})


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_a_name_of_an_annotation_stands_beside_one(method):
    with pytest.raises(InvalidArgument) as caught:
        ROUTER.route(method, "object", {"annotationName": "a"}, {})
    assert caught.value.message == "Unexpected query string parameter"
    assert caught.value.details == {"ArgumentName": "ResourceType", "ArgumentValue": "annotationName"}


@pytest.mark.parametrize(
    ("method", "level", "query", "kind", "allowed"),
    [
        ("PUT", "object", {"uploadId": "1"}, "UPLOAD", "DELETE, GET, POST"),
        ("HEAD", "object", {"uploadId": "1"}, "UPLOAD", "DELETE, GET, POST"),
        ("POST", "object", {}, "OBJECT", "DELETE, GET, HEAD, PUT"),
        ("DELETE", "service", {}, "SERVICE", "GET"),
        ("POST", "service", {}, "SERVICE", "GET"),
        ("PATCH", "object", {"partNumber": "1", "uploadId": "1"}, "PART", "PUT"),
        ("DELETE", "bucket", {"versions": ""}, "BUCKETVERSIONS", "GET"),
        ("PATCH", "bucket", {"acl": ""}, "ACL", "GET, PUT"),
        ("PUT", "bucket", {"location": ""}, "LOCATION", "GET"),
        ("HEAD", "bucket", {"policyStatus": ""}, "POLICY_STATUS", "GET"),
        ("POST", "bucket", {"policy": ""}, "BUCKETPOLICY", "DELETE, GET, PUT"),
        ("GET", "bucket", {"delete": ""}, "MULTI_OBJECT_DELETE", "POST"),
        ("POST", "bucket", {"intelligent-tiering": "", "id": "x"}, "INTELLIGENT_TIERING", "DELETE, GET, PUT"),
        ("GET", "bucket", {"metadataJournalTable": ""}, "BUCKET_METADATA_JOURNAL_TABLE_CONFIGURATION", "PUT"),
        ("PUT", "bucket", {"metadataConfiguration": ""}, "BUCKET_METADATA_CONFIGURATION", "DELETE, GET, POST"),
        ("DELETE", "object", {"acl": ""}, "ACL", "GET, PUT"),
        ("GET", "object", {"encryption": ""}, "OBJECT_ENCRYPTION", "PUT"),
        ("HEAD", "object", {"location": ""}, "LOCATION", "GET"),
        ("PUT", "object", {"policy": ""}, "BUCKETPOLICY", "GET"),
        ("DELETE", "object", {"cors": ""}, "CORS", "GET"),
        ("DELETE", "object", {"retention": ""}, "OBJECT_LOCK_RETENTION", "GET, PUT"),
        ("POST", "object", {"tagging": ""}, "OBJECT_TAGGING", "DELETE, GET, PUT"),
    ],
)
def test_the_methods_that_are_allowed_are_told(method, level, query, kind, allowed):
    with pytest.raises(MethodNotAllowed) as caught:
        ROUTER.route(method, level, query, {})
    assert caught.value.details["ResourceType"] == kind
    assert caught.value.headers == {"allow": allowed}


def model_requests():
    """Every operation of AWS's model with the keys of its own route, as botocore would send it."""
    model = Loader().load_service_model("s3", "service-2")
    for name, operation in model["operations"].items():
        path, _, query = operation["http"]["requestUri"].partition("?")
        level = "object" if "{Key+}" in path else "bucket" if "{Bucket}" in path else "service"
        pairs = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
        members = model["shapes"][operation["input"]["shape"]] if "input" in operation else {}
        for member in members.get("required", ()):
            details = members["members"][member]
            if details.get("location") == "querystring":
                pairs.setdefault(details["locationName"], "1")
        headers = {
            members["members"][member]["locationName"].lower(): "x"
            for member in members.get("required", ())
            if members["members"][member].get("location") == "header"
        }
        yield pytest.param(name, operation["http"]["method"], level, pairs, headers, id=name)


@pytest.mark.parametrize(("name", "method", "level", "query", "headers"), list(model_requests()))
def test_every_operation_of_the_model_has_its_route(name, method, level, query, headers):
    found = ROUTER.route(method, level, query, headers)
    same = {"CreateSession", "ListDirectoryBuckets", "WriteGetObjectResponse"}  # of other services or endpoints
    deprecated = {name.removesuffix("Configuration"), name + "Configuration"}
    assert found.name == name or found.name in deprecated or name in same
