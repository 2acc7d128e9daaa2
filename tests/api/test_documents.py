"""Configuration documents of buckets: what is put is got, what is wrong is refused, what is removed is gone."""

import base64
import hashlib
import re

import pytest
from botocore.exceptions import ClientError

from compat.documents import documents
from s3ish.api.catalogue import catalogue

NAMES = [document.name for document in documents("b", "t")]
BUILT = {operation.name for operation in catalogue() if operation.supported}


def md5_of(document):
    """The value of a ``Content-MD5`` header."""
    return base64.b64encode(hashlib.md5(document.encode()).digest()).decode()


@pytest.fixture(scope="module")
def target(s3):
    """A bucket with versioning for what goes elsewhere."""
    name = "documents-go-here"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def one(versioned, target):
    """A function that returns a document by its name, for a bucket of the test's own."""

    def find(name):
        return next(document for document in documents(versioned, target) if document.name == name)

    return find


def put(s3, bucket, document, value=None, **more):
    arguments = {document.member: document.value if value is None else value}
    given = {**dict(document.arguments), **dict(document.options), **dict(document.kept), **arguments, **more}
    return getattr(s3, f"put_{document.name}")(Bucket=bucket, **given)


def get(s3, bucket, document):
    answer = getattr(s3, f"get_{document.name}")(Bucket=bucket, **dict(document.arguments))
    del answer["ResponseMetadata"]
    return answer


def expected(document):
    return ({document.within: document.value} if document.within else document.value) | dict(document.kept)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_put_is_got(s3, refused, versioned, one, name):
    document = one(name)
    put(s3, versioned, document)
    assert get(s3, versioned, document) == expected(document)
    put(s3, versioned, document)
    assert get(s3, versioned, document) == expected(document)
    if document.removal == "put":
        put(s3, versioned, document, {})
        assert get(s3, versioned, document) == document.unset
    elif document.removal:
        for _ in range(1 if document.arguments else 2):
            answer = getattr(s3, document.removal)(Bucket=versioned, **dict(document.arguments))
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
            read = getattr(s3, f"get_{name}")
            refused(document.missing, 404, read, Bucket=versioned, **dict(document.arguments))


def test_every_document_that_the_catalogue_can_put_is_tried():
    elsewhere = {"PutBucketAcl"}
    tried = {"".join(word.capitalize() for word in ["put", *name.split("_")]) for name in NAMES}
    assert {name for name in BUILT if re.match("Put(Bucket|PublicAccess|ObjectLock)", name)} - elsewhere == tried


@pytest.mark.parametrize(
    ("call", "content"),
    [
        ("get_bucket_abac", {"AbacStatus": {"Status": "Disabled"}}),
        ("get_bucket_accelerate_configuration", {}),
        ("get_bucket_logging", {}),
        ("get_bucket_notification_configuration", {}),
        ("get_bucket_request_payment", {"Payer": "BucketOwner"}),
    ],
)
def test_what_is_told_where_nothing_was_put(s3, bucket, call, content):
    answer = getattr(s3, call)(Bucket=bucket)
    del answer["ResponseMetadata"]
    assert answer == content


def test_what_is_not_there_is_named(s3, refused, bucket):
    for name in ("encryption", "website", "lifecycle_configuration", "replication"):
        document = next(item for item in documents("b", "t") if item.name == f"bucket_{name}")
        call = getattr(s3, f"get_{document.name}")
        assert refused(document.missing, 404, call, Bucket=bucket)["Error"]["BucketName"] == bucket


@pytest.mark.parametrize("name", NAMES)
def test_another_user_neither_reads_nor_writes(other, refused, versioned, one, name):
    document = one(name)
    arguments = {"Bucket": versioned, **dict(document.arguments)}
    refused("AccessDenied", 403, getattr(other, f"get_{name}"), **arguments)
    refused("AccessDenied", 403, getattr(other, f"put_{name}"), **arguments, **{document.member: document.value})


def test_documents_survive_what_else_changes(s3, versioned, one):
    kept = [one(name) for name in ("bucket_website", "bucket_lifecycle_configuration", "bucket_replication")]
    for document in kept:
        put(s3, versioned, document)
    s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Enabled"})
    s3.delete_bucket_cors(Bucket=versioned)
    for document in kept:
        assert get(s3, versioned, document) == expected(document)


def test_versioning_stays_while_objects_are_replicated(s3, refused, versioned, one):
    put(s3, versioned, one("bucket_replication"))
    suspended = {"Status": "Suspended"}
    refused("InvalidBucketState", 409, s3.put_bucket_versioning, Bucket=versioned, VersioningConfiguration=suspended)
    s3.delete_bucket_replication(Bucket=versioned)
    s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration=suspended)


# --- documents by id -------------------------------------------------------------------------------------------------


def test_many_documents_are_listed_page_by_page(raw, s3, bucket):
    ids = sorted(f"m-{number}" for number in range(103))
    for number in ids:
        document = f"<MetricsConfiguration><Id>{number}</Id></MetricsConfiguration>"
        assert raw("PUT", f"/{bucket}?metrics&id={number}", document).status == 204
    first = s3.list_bucket_metrics_configurations(Bucket=bucket)
    assert (first["IsTruncated"], len(first["MetricsConfigurationList"])) == (True, 100)
    token = first["NextContinuationToken"]
    second = s3.list_bucket_metrics_configurations(Bucket=bucket, ContinuationToken=token)
    assert (second["IsTruncated"], second["ContinuationToken"]) == (False, token)
    found = first["MetricsConfigurationList"] + second["MetricsConfigurationList"]
    assert [item["Id"] for item in found] == ids
    for kind in ("analytics", "inventory", "intelligent-tiering"):
        answer = raw("GET", f"/{bucket}?{kind}&continuation-token={token}")
        assert answer.outcome == (400, "MalformedContinuationToken")


@pytest.mark.parametrize("kind", ["analytics", "inventory", "metrics", "intelligent-tiering"])
def test_documents_of_an_id(s3, raw, refused, versioned, one, kind):
    name = kind.replace("-", "_")
    document = one(f"bucket_{name}_configuration")
    call = getattr(s3, f"put_{document.name}")
    refused("IdMismatch", 400, call, Bucket=versioned, Id="other", **{document.member: document.value})
    for wrong in ("a b", "x" * 65, "ü"):
        value = document.value | {"Id": wrong}
        refused("InvalidArgument", 400, call, Bucket=versioned, Id=wrong, **{document.member: value})
    put(s3, versioned, document)
    listed = getattr(s3, f"list_{document.name}s")(Bucket=versioned)
    assert listed[f"{document.member}List"] == [document.value]
    assert raw("GET", f"/{versioned}?{kind}&id=").outcome == (404, "NoSuchConfiguration")
    removal = getattr(s3, document.removal)
    refused("NoSuchConfiguration", 404, removal, Bucket=versioned, Id="other")


# --- what is wrong ---------------------------------------------------------------------------------------------------

TAG = {"Key": "k", "Value": "v"}
SAME = {"Prefix": "a", "Tags": [TAG, TAG]}
INDEX = {"IndexDocument": {"Suffix": "i"}}
DESTINATION = {"Bucket": "arn:aws:s3:::documents-go-here"}
OFF = {"Status": "Disabled"}
REPLICATED = {
    "Status": "Enabled",
    "Priority": 1,
    "Filter": {},
    "DeleteMarkerReplication": OFF,
    "Destination": DESTINATION,
}
REPLICATED_BEFORE = {"Status": "Enabled", "Prefix": "", "Destination": DESTINATION}
RULE = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}}
EXPIRE = {"Expiration": {"Days": 40}}
QUEUE = {"QueueArn": "arn:aws:sqs:us-east-1:000000000000:q", "Events": ["s3:ObjectCreated:*"]}


def events(*queues):
    return {"QueueConfigurations": [QUEUE | queue for queue in queues]}


def keys(**rules):
    return {"Filter": {"Key": {"FilterRules": [{"Name": name, "Value": value} for name, value in rules.items()]}}}


def rules(*changes):
    return {"Rules": [RULE | change for change in changes]}


def moves(*transitions, **more):
    return rules(
        {"Transitions": [dict(zip(("Days", "StorageClass"), item, strict=True)) for item in transitions]} | more
    )


def replicate(*changes, role="arn:aws:iam::000000000000:role/r"):
    return {"Role": role, "Rules": [REPLICATED | change for change in changes]}


def sites(**redirect):
    return INDEX | {"RoutingRules": [{"Redirect": redirect}]}


WRONG = {
    "bucket_accelerate_configuration": [("MalformedXML", {}), ("MalformedXML", {"Status": "On"})],
    "bucket_request_payment": [("MalformedXML", {"Payer": "Nobody"})],
    "bucket_abac": [("MalformedXML", {"Status": "On"}), ("MalformedXML", {})],
    "bucket_encryption": [
        ("MalformedXML", {"Rules": []}),
        ("MalformedXML", {"Rules": [{"BucketKeyEnabled": True}]}),
        ("MalformedXML", {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}] * 2}),
        ("MalformedXML", {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "ROT13"}}]}),
        ("MalformedXML", {"Rules": [{"BlockedEncryptionTypes": {"EncryptionType": ["NONE", "SSE-C"]}}]}),
        (
            "InvalidArgument",
            {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": "k"}}]},
        ),
        (
            "InvalidArgument",
            {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ""}}]},
        ),
    ],
    "bucket_logging": [
        ("InvalidTargetBucketForLogging", {"LoggingEnabled": {"TargetBucket": "no-such-bucket", "TargetPrefix": ""}}),
        ("InvalidArgument", {"LoggingEnabled": {"TargetBucket": "documents-go-here", "TargetPrefix": "x" * 801}}),
        (
            "MalformedXML",
            {"LoggingEnabled": {"TargetBucket": "t", "TargetPrefix": "", "TargetObjectKeyFormat": {}}},
        ),
        (
            "InvalidTargetBucketForLogging",
            {
                "LoggingEnabled": {
                    "TargetBucket": "documents-go-here",
                    "TargetPrefix": "",
                    "TargetGrants": [{"Grantee": {"Type": "CanonicalUser", "ID": "other"}, "Permission": "READ"}],
                }
            },
        ),
    ],
    "bucket_website": [
        ("InvalidArgument", {}),
        ("InvalidArgument", {"ErrorDocument": {"Key": "e"}}),
        ("InvalidArgument", {"IndexDocument": {"Suffix": "a/b"}}),
        ("InvalidArgument", {"IndexDocument": {"Suffix": ""}}),
        ("InvalidArgument", INDEX | {"RedirectAllRequestsTo": {"HostName": "example.com"}}),
        ("InvalidRequest", {"RedirectAllRequestsTo": {"HostName": "example.com", "Protocol": "ftp"}}),
        ("InvalidRequest", {"RedirectAllRequestsTo": {"HostName": "example.com\n"}}),
        ("MalformedXML", INDEX | {"RoutingRules": []}),
        ("MalformedXML", sites()),
        ("InvalidRequest", sites(HostName="a/b")),
        ("InvalidRequest", sites(HttpRedirectCode="300")),
        ("InvalidRequest", sites(HttpRedirectCode="200")),
        ("InvalidRequest", sites(ReplaceKeyWith="a", ReplaceKeyPrefixWith="b")),
        ("InvalidRequest", INDEX | {"RoutingRules": [{"Condition": {}, "Redirect": {"HostName": "a"}}]}),
        (
            "InvalidRequest",
            INDEX
            | {"RoutingRules": [{"Condition": {"HttpErrorCodeReturnedEquals": "399"}, "Redirect": {"HostName": "a"}}]},
        ),
        ("InvalidRequest", INDEX | {"RoutingRules": [{"Redirect": {"HostName": "a"}}] * 51}),
    ],
    "bucket_lifecycle_configuration": [
        ("MalformedXML", {"Rules": []}),
        ("InvalidRequest", rules({})),
        ("InvalidArgument", rules(EXPIRE, EXPIRE)),
        ("InvalidArgument", rules(EXPIRE | {"ID": "x" * 256})),
        ("InvalidRequest", rules(*({"ID": str(number)} | EXPIRE for number in range(1001)))),
        ("MalformedXML", rules(EXPIRE | {"Prefix": ""})),
        ("MalformedXML", {"Rules": [{"Status": "Enabled"} | EXPIRE]}),
        ("MalformedXML", rules(EXPIRE | {"Status": "On"})),
        ("InvalidRequest", {"Rules": [RULE | EXPIRE, {"ID": "y", "Status": "Enabled", "Prefix": ""} | EXPIRE]}),
        ("MalformedXML", rules(EXPIRE | {"Filter": {"Prefix": "a", "Tag": TAG}})),
        ("MalformedXML", rules(EXPIRE | {"Filter": {"And": {"Prefix": "a"}}})),
        ("InvalidRequest", rules(EXPIRE | {"Filter": {"And": SAME}})),
        ("InvalidTag", rules(EXPIRE | {"Filter": {"Tag": {"Key": "aws:k", "Value": ""}}})),
        ("InvalidArgument", rules(EXPIRE | {"Filter": {"Prefix": "x" * 1025}})),
        ("InvalidRequest", rules(EXPIRE | {"Filter": {"ObjectSizeGreaterThan": -1}})),
        ("InvalidRequest", rules(EXPIRE | {"Filter": {"ObjectSizeLessThan": 0}})),
        ("InvalidRequest", rules(EXPIRE | {"Filter": {"ObjectSizeLessThan": (1000 << 40) + 1}})),
        ("InvalidRequest", rules(EXPIRE | {"Filter": {"ObjectSizeGreaterThan": (1000 << 40) + 1}})),
        (
            "InvalidRequest",
            rules(EXPIRE | {"Filter": {"And": {"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 5}}}),
        ),
        ("MalformedXML", rules({"Expiration": {}})),
        ("MalformedXML", rules({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}})),
        ("InvalidArgument", rules({"Expiration": {"Days": 0}})),
        ("MalformedXML", rules({"Expiration": {"Days": 2**31}})),
        ("InvalidArgument", rules({"Expiration": {"Date": "2030-01-01T00:00:01Z"}})),
        ("InvalidRequest", rules({"Expiration": {"ExpiredObjectDeleteMarker": True}, "Filter": {"Tag": TAG}})),
        (
            "InvalidRequest",
            rules({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}, "Filter": {"Tag": TAG}}),
        ),
        (
            "InvalidRequest",
            rules(
                {
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                    "Filter": {"ObjectSizeGreaterThan": 1},
                }
            ),
        ),
        ("InvalidArgument", rules({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 0}})),
        ("MalformedXML", rules({"AbortIncompleteMultipartUpload": {}})),
        ("MalformedXML", moves((1, "STANDARD"))),
        ("MalformedXML", rules({"Transitions": [{"Days": 1}]})),
        ("InvalidArgument", rules({"Transitions": [{"StorageClass": "GLACIER"}]})),
        ("InvalidArgument", moves((29, "STANDARD_IA"))),
        ("InvalidArgument", moves((-1, "GLACIER"))),
        ("InvalidRequest", moves((30, "GLACIER"), (60, "GLACIER"))),
        ("InvalidArgument", moves((60, "GLACIER"), (60, "DEEP_ARCHIVE"))),
        ("InvalidArgument", moves((40, "STANDARD_IA"), (35, "GLACIER"))),
        ("InvalidArgument", moves((30, "STANDARD_IA"), (59, "GLACIER"))),
        ("InvalidArgument", moves((30, "STANDARD_IA"), (59, "INTELLIGENT_TIERING"))),
        ("InvalidArgument", moves((40, "GLACIER"), **EXPIRE)),
        ("InvalidRequest", moves((40, "GLACIER"), Expiration={"Date": "2030-01-01T00:00:00Z"})),
        ("InvalidArgument", rules({"NoncurrentVersionExpiration": {"NoncurrentDays": 0}})),
        ("MalformedXML", rules({"NoncurrentVersionExpiration": {"NewerNoncurrentVersions": 1}})),
        (
            "InvalidArgument",
            rules({"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}}),
        ),
        (
            "InvalidArgument",
            rules({"NoncurrentVersionTransitions": [{"NoncurrentDays": 29, "StorageClass": "ONEZONE_IA"}]}),
        ),
        (
            "InvalidArgument",
            rules(
                {
                    "NoncurrentVersionTransitions": [{"NoncurrentDays": 30, "StorageClass": "GLACIER"}],
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
                }
            ),
        ),
    ],
    "bucket_notification_configuration": [
        ("MalformedXML", events({"Events": []})),
        ("InvalidArgument", events({"Events": ["s3:ObjectCreated"]})),
        ("InvalidArgument", events({"QueueArn": "q"})),
        ("InvalidArgument", events({"QueueArn": "arn:aws:sns:us-east-1:000000000000:q"})),
        ("InvalidArgument", events({"QueueArn": "arn:aws:sqs:eu-west-1:000000000000:q"})),
        ("InvalidArgument", events({"Id": "x" * 256})),
        ("InvalidArgument", events({"Id": "a"}, {"Id": "a", "Events": ["s3:ObjectRemoved:*"]})),
        ("InvalidArgument", events({}, {"Events": ["s3:ObjectCreated:Put"]})),
        ("InvalidArgument", events(keys(prefix="a"), keys(prefix="ab"))),
        ("InvalidArgument", events(keys(suffix=".a"), keys(prefix="b"))),
        ("InvalidArgument", events(keys(middle="a"))),
        ("InvalidArgument", events(keys(prefix="a", Prefix="b"))),
        ("InvalidArgument", events(keys(prefix="x" * 1025))),
        ("InvalidRequest", events(*(keys(prefix=f"{number:03}/") for number in range(101)))),
    ],
    "bucket_replication": [
        ("MalformedXML", replicate()),
        ("InvalidArgument", replicate({}, role="root")),
        ("InvalidArgument", replicate({"ID": "x" * 256})),
        ("InvalidArgument", replicate({"ID": "a"}, {"ID": "a", "Priority": 2})),
        ("InvalidRequest", replicate({}, {})),
        ("InvalidRequest", replicate(*({"Priority": number} for number in range(1001)))),
        ("MalformedXML", replicate({"Prefix": "a"})),
        ("InvalidRequest", {"Role": "arn:aws:iam::1:role/r", "Rules": [REPLICATED, REPLICATED_BEFORE]}),
        ("InvalidRequest", {"Role": "arn:aws:iam::1:role/r", "Rules": [REPLICATED_BEFORE | {"Priority": 1}]}),
        ("InvalidRequest", replicate({"DeleteMarkerReplication": {}})),
        ("InvalidRequest", replicate({"DeleteMarkerReplication": {"Status": "Enabled"}, "Filter": {"Tag": TAG}})),
        ("InvalidS3DestinationBucket", replicate({"Destination": {"Bucket": "documents-go-here"}})),
        ("InvalidRequest", replicate({"Destination": {"Bucket": "arn:aws:s3:::no-such-bucket"}})),
        ("InvalidRequest", replicate({"Destination": DESTINATION | {"EncryptionConfiguration": {}}})),
        ("InvalidRequest", replicate({"SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}}})),
        (
            "InvalidRequest",
            replicate({"Destination": DESTINATION | {"AccessControlTranslation": {"Owner": "Destination"}}}),
        ),
        (
            "InvalidArgument",
            replicate({"Destination": DESTINATION | {"ReplicationTime": OFF | {"Time": {"Minutes": 20}}}}),
        ),
        (
            "InvalidRequest",
            replicate(
                {"Destination": DESTINATION | {"ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}}}}
            ),
        ),
        ("MalformedXML", replicate({"Destination": DESTINATION | {"StorageClass": "OUTPOSTS"}})),
    ],
    "bucket_analytics_configuration": [
        ("MalformedXML", {"Filter": {}}),
        ("MalformedXML", {"Filter": {"Prefix": "a", "Tag": TAG}}),
        ("InvalidRequest", {"Filter": {"And": SAME}}),
    ],
    "bucket_inventory_configuration": [
        ("MalformedXML", {"OptionalFields": ["Size", "Size"]}),
        ("MalformedXML", {"OptionalFields": ["Colour"]}),
        ("MalformedXML", {"Schedule": {"Frequency": "Hourly"}}),
        ("InvalidS3DestinationBucket", {"Destination": {"S3BucketDestination": {"Bucket": "b", "Format": "CSV"}}}),
        ("MalformedXML", {"Destination": {"S3BucketDestination": DESTINATION | {"Format": "TXT"}}}),
        (
            "MalformedXML",
            {"Destination": {"S3BucketDestination": DESTINATION | {"Format": "CSV", "Encryption": {}}}},
        ),
        *(
            ("InvalidArgument", {"Destination": {"S3BucketDestination": DESTINATION | {"Format": "CSV"} | encryption}})
            for encryption in ({"Encryption": {"SSEKMS": {"KeyId": name}}} for name in ("", "a\nb", "k" * 2049))
        ),
    ],
    "bucket_metrics_configuration": [
        ("MalformedXML", {"Filter": {}}),
        ("InvalidArgument", {"Filter": {"AccessPointArn": "here"}}),
    ],
    "bucket_intelligent_tiering_configuration": [
        ("MalformedXML", {"Tierings": []}),
        ("MalformedXML", {"Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}] * 2}),
        ("InvalidArgument", {"Tierings": [{"Days": 89, "AccessTier": "ARCHIVE_ACCESS"}]}),
        ("InvalidArgument", {"Tierings": [{"Days": 731, "AccessTier": "DEEP_ARCHIVE_ACCESS"}]}),
        (
            "InvalidArgument",
            {
                "Tierings": [
                    {"Days": 200, "AccessTier": "ARCHIVE_ACCESS"},
                    {"Days": 200, "AccessTier": "DEEP_ARCHIVE_ACCESS"},
                ]
            },
        ),
    ],
}
CASES = [(name, code, value) for name, cases in WRONG.items() for code, value in cases]


@pytest.mark.parametrize(("name", "code", "value"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)])
def test_what_is_wrong_is_refused_and_changes_nothing(s3, refused, versioned, target, one, name, code, value):
    document = one(name)
    put(s3, versioned, document)
    wrong = document.value | value if document.arguments else value
    given = {**dict(document.arguments), **dict(document.options), document.member: wrong}
    refused(code, 400, getattr(s3, f"put_{name}"), Bucket=versioned, **given)
    assert get(s3, versioned, document) == expected(document)


def test_a_name_with_dots_is_not_accelerated(s3, refused):
    s3.create_bucket(Bucket="with.dots.in.it")
    given = {"AccelerateConfiguration": {"Status": "Enabled"}}
    refused("InvalidRequest", 400, s3.put_bucket_accelerate_configuration, Bucket="with.dots.in.it", **given)


def test_replication_needs_versioning_on_both_sides(s3, refused, bucket, versioned):
    both = {"Bucket": bucket, "ReplicationConfiguration": replicate({})}
    assert "Versioning" in refused("InvalidRequest", 400, s3.put_bucket_replication, **both)["Error"]["Message"]
    for name in (bucket, versioned):
        value = replicate({"Destination": {"Bucket": f"arn:aws:s3:::{name}"}})
        refused("InvalidRequest", 400, s3.put_bucket_replication, Bucket=versioned, ReplicationConfiguration=value)


def test_log_objects_go_to_a_bucket_of_the_same_owner(s3, other, refused, versioned, new_bucket):
    other.create_bucket(Bucket="log-of-another-owner")
    logging = {"LoggingEnabled": {"TargetBucket": "log-of-another-owner", "TargetPrefix": ""}}
    answer = refused(
        "InvalidTargetBucketForLogging", 400, s3.put_bucket_logging, Bucket=versioned, BucketLoggingStatus=logging
    )
    assert answer["Error"]["TargetBucket"] == "log-of-another-owner"
    paying = new_bucket()
    s3.put_bucket_request_payment(Bucket=paying, RequestPaymentConfiguration={"Payer": "Requester"})
    logging["LoggingEnabled"]["TargetBucket"] = paying
    refused("InvalidTargetBucketForLogging", 400, s3.put_bucket_logging, Bucket=versioned, BucketLoggingStatus=logging)


def test_targets_of_events_must_exist_unless_they_are_not_asked_for(s3, refused, versioned):
    call = s3.put_bucket_notification_configuration
    answer = refused("InvalidArgument", 400, call, Bucket=versioned, NotificationConfiguration=events({}))["Error"]
    assert answer["Message"] == "Unable to validate the following destination configurations"
    assert answer["ArgumentName"] == QUEUE["QueueArn"]
    call(Bucket=versioned, NotificationConfiguration={"EventBridgeConfiguration": {}})
    call(Bucket=versioned, NotificationConfiguration=events({}), SkipDestinationValidation=True)


def test_what_comes_without_an_id_gets_one(s3, versioned):
    value = events({}, {"Events": ["s3:ObjectRemoved:*"]})
    s3.put_bucket_notification_configuration(
        Bucket=versioned, NotificationConfiguration=value, SkipDestinationValidation=True
    )
    s3.put_bucket_replication(Bucket=versioned, ReplicationConfiguration=replicate({}))
    unnamed = {key: value for key, value in RULE.items() if key != "ID"} | EXPIRE
    s3.put_bucket_lifecycle_configuration(Bucket=versioned, LifecycleConfiguration={"Rules": [unnamed, unnamed]})
    ids = [item["Id"] for item in s3.get_bucket_notification_configuration(Bucket=versioned)["QueueConfigurations"]]
    ids += [item["ID"] for item in s3.get_bucket_replication(Bucket=versioned)["ReplicationConfiguration"]["Rules"]]
    found = s3.get_bucket_lifecycle_configuration(Bucket=versioned)["Rules"]
    ids += [item["ID"] for item in found]
    assert [{key: value for key, value in item.items() if key != "ID"} for item in found] == [unnamed, unnamed]
    assert len({*ids, ""}) == len(ids) + 1


# --- the first versions of documents ---------------------------------------------------------------------------------


def test_lifecycle_rules_with_a_prefix_of_their_own(s3, versioned):
    rule = {"ID": "x", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Date": "2030-01-01T00:00:00Z"}}
    s3.put_bucket_lifecycle_configuration(Bucket=versioned, LifecycleConfiguration={"Rules": [rule]})
    answer = s3.get_bucket_lifecycle_configuration(Bucket=versioned)
    date = answer["Rules"][0]["Expiration"].pop("Date")
    assert date.isoformat() == "2030-01-01T00:00:00+00:00"
    assert answer["Rules"] == [rule | {"Expiration": {}}]
    assert answer["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"


def test_lifecycle_rules_of_the_first_version_do_not_overlap(s3, versioned):
    """Those of the second may."""

    def outcome(*rules):
        wanted = {"Rules": [{"ID": str(number), "Status": "Enabled"} | it for number, it in enumerate(rules)]}
        try:
            s3.put_bucket_lifecycle_configuration(Bucket=versioned, LifecycleConfiguration=wanted)
        except ClientError as error:
            return error.response["Error"]["Code"], error.response["Error"]["Message"]
        return None

    uploads = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    wanted = "InvalidRequest", "Found overlapping prefixes '{}' and '{}' for same action type '{}'"
    for first, second in (("di", "dir/"), ("dir/", "di")):
        found = outcome({"Prefix": first} | uploads, {"Prefix": "aa"} | uploads, {"Prefix": second} | uploads | EXPIRE)
        assert found == (wanted[0], wanted[1].format("dir/", "di", "AbortIncompleteMultipartUpload"))
        assert outcome({"Prefix": first} | EXPIRE, {"Prefix": second} | uploads) is None
        assert outcome({"Prefix": first} | EXPIRE, {"Prefix": second, "Status": "Disabled"} | EXPIRE) is None
        assert outcome(*({"Filter": {"Prefix": it}} | EXPIRE for it in (first, second))) is None
    assert outcome({"Prefix": ""} | EXPIRE, {"Prefix": ""} | EXPIRE)[1] == wanted[1].format("", "", "Expiration")


def test_lifecycle_rules_follow_the_version_of_the_first_one(s3, versioned):
    ways = {"Filter": {"Prefix": "a"}}, {"Prefix": "b"}
    for rules, wanted in ((ways, "Base level prefix"), (reversed(ways), "Filter element can only be used in")):
        with pytest.raises(ClientError, match=wanted):
            s3.put_bucket_lifecycle_configuration(
                Bucket=versioned,
                LifecycleConfiguration={"Rules": [{"Status": "Enabled"} | EXPIRE | it for it in rules]},
            )


def test_a_date_beyond_the_calendar_is_refused(raw, versioned):
    for date in ("9999-12-31T23:59:00-00:01", "10000-01-01T00:00:00Z", "soon"):
        rule = f"<Rule><Filter/><Status>Enabled</Status><Expiration><Date>{date}</Date></Expiration></Rule>"
        document = f"<LifecycleConfiguration>{rule}</LifecycleConfiguration>"
        answer = raw("PUT", f"/{versioned}?lifecycle", document, {"Content-MD5": md5_of(document)})
        assert answer.outcome in ((400, "InvalidArgument"), (400, "MalformedXML"))


RULE_OF_CORS = "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
OBJECTS_EXPIRE = "<Rule><Filter/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>"


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("cors", f"<CORSConfiguration>{RULE_OF_CORS}</CORSConfiguration>"),
        ("lifecycle", f"<LifecycleConfiguration>{OBJECTS_EXPIRE}</LifecycleConfiguration>"),
        ("tagging", "<Tagging><TagSet/></Tagging>"),
    ],
)
def test_some_documents_need_a_digest(raw, bucket, name, document):
    answer = raw("PUT", f"/{bucket}?{name}", document)
    assert answer.outcome == (400, "InvalidRequest")
    wanted = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
    assert answer.xml.findtext("Message") == wanted
    assert raw("GET", f"/{bucket}?{name}").status == 404
    assert raw("PUT", f"/{bucket}?{name}", document, {"Content-MD5": md5_of(document)}).status < 300


def test_the_minimum_size_of_transitions_goes_with_the_document(s3, refused, versioned):
    value = {"Rules": [RULE | EXPIRE]}
    call = s3.put_bucket_lifecycle_configuration
    size = "varies_by_storage_class"
    answer = call(Bucket=versioned, LifecycleConfiguration=value, TransitionDefaultMinimumObjectSize=size)
    assert answer["TransitionDefaultMinimumObjectSize"] == size
    assert s3.get_bucket_lifecycle_configuration(Bucket=versioned)["TransitionDefaultMinimumObjectSize"] == size
    refused(
        "InvalidArgument",
        400,
        call,
        Bucket=versioned,
        LifecycleConfiguration=value,
        TransitionDefaultMinimumObjectSize="x",
    )
    s3.delete_bucket_lifecycle(Bucket=versioned)
    answer = call(Bucket=versioned, LifecycleConfiguration=value)
    assert answer["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"


def test_notifications_of_the_first_version(raw, s3, versioned):
    content = "<Id>a</Id><CloudFunction>arn:aws:lambda:us-east-1:000000000000:function:f</CloudFunction>"
    content += "<InvocationRole>arn:aws:iam::000000000000:role/r</InvocationRole><Event>s3:ObjectCreated:*</Event>"
    document = f"<CloudFunctionConfiguration>{content}</CloudFunctionConfiguration>"
    headers = {"x-amz-skip-destination-validation": "true"}
    path = f"/{versioned}?notification"
    assert raw("PUT", path, f"<NotificationConfiguration>{document}</NotificationConfiguration>", headers).status == 200
    found = raw("GET", path).xml.find("CloudFunctionConfiguration")
    assert found.findtext("InvocationRole") == "arn:aws:iam::000000000000:role/r"
    assert [item.text for item in found.findall("Event")] == ["s3:ObjectCreated:*"]


def test_replication_rules_with_a_prefix_of_their_own(s3, versioned, target):
    rule = REPLICATED_BEFORE | {"ID": "x", "Prefix": "a/"}
    value = {"Role": "arn:aws:iam::000000000000:role/r", "Rules": [rule]}
    s3.put_bucket_replication(Bucket=versioned, ReplicationConfiguration=value)
    assert s3.get_bucket_replication(Bucket=versioned)["ReplicationConfiguration"] == value


def test_replication_rules_of_the_first_version_do_not_overlap(s3, refused, versioned, target):
    """Those of the second have priorities, and may."""

    def wanted(*prefixes):
        rules = [REPLICATED_BEFORE | {"ID": str(number), "Prefix": it} for number, it in enumerate(prefixes)]
        return {"Bucket": versioned, "ReplicationConfiguration": {"Role": "arn:aws:iam::1:role/r", "Rules": rules}}

    for prefixes, told in (
        (("di", "aa", "dir/"), "'dir/' and 'di'"),
        (("dir/", "di"), "'dir/' and 'di'"),
        (("a", "a"), "'a' and 'a'"),
        (("z", ""), "'z' and ''"),
    ):
        answer = refused("InvalidRequest", 400, s3.put_bucket_replication, **wanted(*prefixes))
        assert answer["Error"]["Message"] == f"Found overlapping prefixes {told}"
    s3.put_bucket_replication(**wanted("a/", "b/", "ab/"))
    filters = replicate(*({"Priority": number, "Filter": {"Prefix": it}} for number, it in enumerate(("", "a", "a"))))
    s3.put_bucket_replication(Bucket=versioned, ReplicationConfiguration=filters)


def test_a_list_as_orc_is_refused_clearly(s3, refused, bucket):
    wanted = {
        "Id": "all",
        "IsEnabled": True,
        "IncludedObjectVersions": "All",
        "Schedule": {"Frequency": "Weekly"},
        "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::lists", "Format": "ORC"}},
    }
    arguments = {"Bucket": bucket, "Id": "all", "InventoryConfiguration": wanted}
    answer = refused("NotImplemented", 501, s3.put_bucket_inventory_configuration, **arguments)
    assert "ORC" in answer["Error"]["Message"]


def test_what_was_moved_to_infrequent_access_stays_there_for_a_month(s3, versioned):
    """A rule that takes objects on earlier is refused, for versions of either kind; archives have no such time."""
    for first, later in (("STANDARD_IA", "GLACIER"), ("ONEZONE_IA", "DEEP_ARCHIVE")):
        transitions = [{"Days": 30, "StorageClass": first}, {"Days": 60, "StorageClass": later}]
        noncurrent = [{"NoncurrentDays": it["Days"], "StorageClass": it["StorageClass"]} for it in transitions]
        archives = [{"Days": 1, "StorageClass": "GLACIER"}, {"Days": 2, "StorageClass": "DEEP_ARCHIVE"}]
        for actions in (
            {"Transitions": transitions},
            {"NoncurrentVersionTransitions": noncurrent},
            {"Transitions": archives},
        ):
            s3.put_bucket_lifecycle_configuration(Bucket=versioned, LifecycleConfiguration={"Rules": [RULE | actions]})
        transitions[1]["Days"] = noncurrent[1]["NoncurrentDays"] = 59
        for actions in ({"Transitions": transitions}, {"NoncurrentVersionTransitions": noncurrent}):
            with pytest.raises(ClientError) as caught:
                s3.put_bucket_lifecycle_configuration(
                    Bucket=versioned, LifecycleConfiguration={"Rules": [RULE | actions]}
                )
            error = caught.value.response["Error"]
            assert (error["Code"], "must be 30 days more than" in error["Message"]) == ("InvalidArgument", True)
