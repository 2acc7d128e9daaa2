"""The configuration documents of a bucket: a rich one of each kind, and how it is put, read and removed.

The values are those of boto3's calls, and of the options of ``aws s3api`` in JSON. This module knows neither the checks
nor any client.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Document:
    """One kind of document.

    ``name`` is what the names of its calls end with in snake case (``bucket_cors``), ``member`` the parameter of the
    put; a read answers with the value itself, or with it under ``within``. ``arguments`` go with each call, ``options``
    with the put alone, whose answer and that of the read then hold them. ``removal`` is the call that removes it, empty
    where there is none; a read then answers ``unset``, or if that is None fails with the error ``missing``.
    """

    name: str
    member: str
    value: Any
    within: str = ""
    arguments: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    kept: tuple[tuple[str, Any], ...] = ()
    removal: str = ""
    unset: Any = None
    missing: str = ""


_TAGS = [{"Key": "class", "Value": "größe +-=._:/@"}, {"Key": "project", "Value": ""}]
_ARN = "arn:aws:{}:us-east-1:000000000000:{}"


def _access(bucket: str) -> list[Document]:
    cors = {
        "ID": "one",
        "AllowedHeaders": ["x-amz-*"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedOrigins": ["https://*.example.com"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 60,
    }
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    return [
        Document(
            "bucket_cors",
            "CORSConfiguration",
            {"CORSRules": [cors]},
            removal="delete_bucket_cors",
            missing="NoSuchCORSConfiguration",
        ),
        Document(
            "bucket_ownership_controls",
            "OwnershipControls",
            {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
            within="OwnershipControls",
            removal="delete_bucket_ownership_controls",
            missing="OwnershipControlsNotFoundError",
        ),
        Document(
            "public_access_block",
            "PublicAccessBlockConfiguration",
            block,
            within="PublicAccessBlockConfiguration",
            removal="delete_public_access_block",
            missing="NoSuchPublicAccessBlockConfiguration",
        ),
        Document(
            "bucket_policy",
            "Policy",
            json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            within="Policy",
            removal="delete_bucket_policy",
            missing="NoSuchBucketPolicy",
        ),
    ]


def _settings(target: str) -> list[Document]:
    encryption = {
        "ApplyServerSideEncryptionByDefault": {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": _ARN.format("kms", "key/1234abcd"),
        },
        "BucketKeyEnabled": True,
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }
    logging = {
        "TargetBucket": target,
        "TargetPrefix": "logs/",
        "TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}},
    }
    return [
        Document(
            "bucket_tagging",
            "Tagging",
            {"TagSet": [{"Key": "team", "Value": "größe +-=._:/@"}, {"Key": "empty", "Value": ""}]},
            removal="delete_bucket_tagging",
            missing="NoSuchTagSet",
        ),
        Document("bucket_versioning", "VersioningConfiguration", {"Status": "Enabled"}),
        Document("bucket_accelerate_configuration", "AccelerateConfiguration", {"Status": "Suspended"}),
        Document("bucket_request_payment", "RequestPaymentConfiguration", {"Payer": "Requester"}),
        Document("bucket_abac", "AbacStatus", {"Status": "Enabled"}, within="AbacStatus"),
        Document(
            "bucket_encryption",
            "ServerSideEncryptionConfiguration",
            {"Rules": [encryption]},
            within="ServerSideEncryptionConfiguration",
            removal="delete_bucket_encryption",
            missing="ServerSideEncryptionConfigurationNotFoundError",
        ),
        Document("bucket_logging", "BucketLoggingStatus", {"LoggingEnabled": logging}, removal="put", unset={}),
    ]


def _website() -> Document:
    rules = [
        {
            "Condition": {"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": "docs/"},
            "Redirect": {
                "HostName": "example.com",
                "HttpRedirectCode": "302",
                "Protocol": "https",
                "ReplaceKeyPrefixWith": "old docs/",
            },
        },
        {"Condition": {"KeyPrefixEquals": "images/"}, "Redirect": {"ReplaceKeyWith": "gone.html"}},
        {"Redirect": {"HostName": "example.org"}},
    ]
    value = {
        "IndexDocument": {"Suffix": "index.html"},
        "ErrorDocument": {"Key": "errors/404.html"},
        "RoutingRules": rules,
    }
    return Document(
        "bucket_website",
        "WebsiteConfiguration",
        value,
        removal="delete_bucket_website",
        missing="NoSuchWebsiteConfiguration",
    )


def _lifecycle() -> Document:
    rules = [
        {
            "ID": "archive and expire",
            "Status": "Enabled",
            "Filter": {
                "And": {
                    "Prefix": "logs/",
                    "Tags": _TAGS,
                    "ObjectSizeGreaterThan": 1024,
                    "ObjectSizeLessThan": 1 << 40,
                }
            },
            "Transitions": [
                {"Days": 30, "StorageClass": "STANDARD_IA"},
                {"Days": 90, "StorageClass": "GLACIER"},
            ],
            "Expiration": {"Days": 365},
            "NoncurrentVersionTransitions": [
                {"NoncurrentDays": 30, "StorageClass": "STANDARD_IA", "NewerNoncurrentVersions": 3}
            ],
            "NoncurrentVersionExpiration": {"NoncurrentDays": 60, "NewerNoncurrentVersions": 5},
        },
        {
            "ID": "uploads and markers",
            "Status": "Disabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
        {
            "ID": "by tag",
            "Status": "Enabled",
            "Filter": {"Tag": {"Key": "k", "Value": "v"}},
            "Transitions": [{"Days": 0, "StorageClass": "INTELLIGENT_TIERING"}],
        },
    ]
    return Document(
        "bucket_lifecycle_configuration",
        "LifecycleConfiguration",
        {"Rules": rules},
        kept=(("TransitionDefaultMinimumObjectSize", "varies_by_storage_class"),),
        removal="delete_bucket_lifecycle",
        missing="NoSuchLifecycleConfiguration",
    )


def _notification() -> Document:
    def keys(*rules: tuple[str, str]) -> dict[str, Any]:
        return {"Key": {"FilterRules": [{"Name": name, "Value": value} for name, value in rules]}}

    value = {
        "TopicConfigurations": [
            {
                "Id": "topic",
                "TopicArn": _ARN.format("sns", "topic"),
                "Events": ["s3:ObjectCreated:Put", "s3:ObjectCreated:Copy"],
                "Filter": keys(("Prefix", "images/"), ("Suffix", ".jpg")),
            }
        ],
        "QueueConfigurations": [
            {
                "Id": "queue",
                "QueueArn": _ARN.format("sqs", "queue"),
                "Events": ["s3:ObjectCreated:*"],
                "Filter": keys(("Prefix", "docs/")),
            }
        ],
        "LambdaFunctionConfigurations": [
            {
                "Id": "function",
                "LambdaFunctionArn": _ARN.format("lambda", "function:f"),
                "Events": ["s3:ObjectRemoved:*"],
            }
        ],
        "EventBridgeConfiguration": {},
    }
    return Document(
        "bucket_notification_configuration",
        "NotificationConfiguration",
        value,
        options=(("SkipDestinationValidation", True),),
        removal="put",
        unset={},
    )


def _replication(target: str) -> Document:
    on = {"Status": "Enabled"}
    rule = {
        "ID": "everything",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "a & <b>/", "Tags": _TAGS}},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": on, "ReplicaModifications": on},
        "ExistingObjectReplication": on,
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {
            "Bucket": f"arn:aws:s3:::{target}",
            "Account": "000000000000",
            "StorageClass": "STANDARD_IA",
            "AccessControlTranslation": {"Owner": "Destination"},
            "EncryptionConfiguration": {"ReplicaKmsKeyID": _ARN.format("kms", "key/1")},
            "ReplicationTime": {**on, "Time": {"Minutes": 15}},
            "Metrics": {**on, "EventThreshold": {"Minutes": 15}},
        },
    }
    return Document(
        "bucket_replication",
        "ReplicationConfiguration",
        {"Role": "arn:aws:iam::000000000000:role/replication", "Rules": [rule]},
        within="ReplicationConfiguration",
        removal="delete_bucket_replication",
        missing="ReplicationConfigurationNotFoundError",
    )


def _numbered(target: str) -> list[Document]:
    bucket = f"arn:aws:s3:::{target}"
    both = {"And": {"Prefix": "a & <b>/", "Tags": _TAGS}}
    export = {"Format": "CSV", "BucketAccountId": "000000000000", "Bucket": bucket, "Prefix": "analyses"}
    report = {
        "AccountId": "000000000000",
        "Bucket": bucket,
        "Format": "Parquet",
        "Prefix": "lists",
        "Encryption": {"SSES3": {}},
    }
    values = {
        "analytics": {
            "Id": "a.1",
            "Filter": both,
            "StorageClassAnalysis": {
                "DataExport": {"OutputSchemaVersion": "V_1", "Destination": {"S3BucketDestination": export}}
            },
        },
        "inventory": {
            "Id": "a.1",
            "Destination": {"S3BucketDestination": report},
            "IsEnabled": True,
            "Filter": {"Prefix": "a/"},
            "IncludedObjectVersions": "All",
            "OptionalFields": ["Size", "ETag", "ChecksumAlgorithm"],
            "Schedule": {"Frequency": "Weekly"},
        },
        "metrics": {"Id": "a.1", "Filter": both},
        "intelligent_tiering": {
            "Id": "a.1",
            "Filter": both,
            "Status": "Enabled",
            "Tierings": [
                {"Days": 90, "AccessTier": "ARCHIVE_ACCESS"},
                {"Days": 180, "AccessTier": "DEEP_ARCHIVE_ACCESS"},
            ],
        },
    }
    return [
        Document(
            f"bucket_{kind}_configuration",
            member := "".join(word.capitalize() for word in kind.split("_")) + "Configuration",
            value,
            within=member,
            arguments=(("Id", "a.1"),),
            removal=f"delete_bucket_{kind}_configuration",
            missing="NoSuchConfiguration",
        )
        for kind, value in values.items()
    ]


def _lock() -> Document:
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    member = "ObjectLockConfiguration"
    return Document("object_lock_configuration", member, lock, within=member)


def documents(bucket: str, target: str) -> list[Document]:
    """Return a document of each kind for a bucket; what goes elsewhere goes to a bucket with versioning, ``target``."""
    several = [*_access(bucket), *_settings(target), *_numbered(target)]
    return [*several, _website(), _lifecycle(), _notification(), _replication(target), _lock()]
