"""The operations that are not built yet and belong to no file of a feature.

Each answers 501 NotImplemented until it is built, or that nothing is set. Its row goes when its feature comes.
"""

from s3ish.api.not_set import absent, document_of, empty
from s3ish.api.operation import unsupported
from s3ish.errors import (
    InvalidRequest,
    NoSuchLifecycleConfiguration,
    NoSuchWebsiteConfiguration,
    ReplicationConfigurationNotFoundError,
    ServerSideEncryptionConfigurationNotFoundError,
)
from s3ish.model import Version
from s3ish.wire.shape import Written
from s3ish.wire.xml import escape


def _tags(version: Version) -> Written:
    """Return the tags that an object was made with."""
    tags = "".join(
        f"<Tag><Key>{escape(tag.key)}</Key><Value>{escape(tag.value)}</Value></Tag>" for tag in version.attributes.tags
    )
    return document_of("Tagging", f"<TagSet>{tags}</TagSet>")


def _lock(version: Version) -> Written:  # noqa: ARG001 - the form of every answer about an object
    raise InvalidRequest("Bucket is missing Object Lock Configuration")


NOT_BUILT = (
    unsupported("CreateBucketMetadataConfiguration", "POST /{Bucket}?metadataConfiguration"),
    unsupported("CreateBucketMetadataTableConfiguration", "POST /{Bucket}?metadataTable"),
    unsupported("CreateSession", "GET /{Bucket}?session"),
    unsupported("DeleteBucketAnalyticsConfiguration", "DELETE /{Bucket}?analytics&id"),
    unsupported("DeleteBucketEncryption", "DELETE /{Bucket}?encryption"),
    unsupported("DeleteBucketIntelligentTieringConfiguration", "DELETE /{Bucket}?intelligent-tiering&id"),
    unsupported("DeleteBucketInventoryConfiguration", "DELETE /{Bucket}?inventory&id"),
    unsupported("DeleteBucketLifecycle", "DELETE /{Bucket}?lifecycle"),
    unsupported("DeleteBucketMetadataConfiguration", "DELETE /{Bucket}?metadataConfiguration"),
    unsupported("DeleteBucketMetadataTableConfiguration", "DELETE /{Bucket}?metadataTable"),
    unsupported("DeleteBucketMetricsConfiguration", "DELETE /{Bucket}?metrics&id"),
    unsupported("DeleteBucketReplication", "DELETE /{Bucket}?replication"),
    unsupported("DeleteBucketWebsite", "DELETE /{Bucket}?website"),
    unsupported("DeleteObjectAnnotation", "DELETE /{Bucket}/{Key+}?annotation"),
    unsupported("GetBucketAbac", "GET /{Bucket}?abac"),
    unsupported("GetBucketAccelerateConfiguration", "GET /{Bucket}?accelerate", unset=empty("AccelerateConfiguration")),
    unsupported("GetBucketAnalyticsConfiguration", "GET /{Bucket}?analytics&id"),
    unsupported(
        "GetBucketEncryption", "GET /{Bucket}?encryption", unset=absent(ServerSideEncryptionConfigurationNotFoundError)
    ),
    unsupported("GetBucketIntelligentTieringConfiguration", "GET /{Bucket}?intelligent-tiering&id"),
    unsupported("GetBucketInventoryConfiguration", "GET /{Bucket}?inventory&id"),
    unsupported(
        "GetBucketLifecycleConfiguration", "GET /{Bucket}?lifecycle", unset=absent(NoSuchLifecycleConfiguration)
    ),
    unsupported("GetBucketLogging", "GET /{Bucket}?logging", unset=empty("BucketLoggingStatus")),
    unsupported("GetBucketMetadataConfiguration", "GET /{Bucket}?metadataConfiguration"),
    unsupported("GetBucketMetadataTableConfiguration", "GET /{Bucket}?metadataTable"),
    unsupported("GetBucketMetricsConfiguration", "GET /{Bucket}?metrics&id"),
    unsupported(
        "GetBucketNotificationConfiguration", "GET /{Bucket}?notification", unset=empty("NotificationConfiguration")
    ),
    unsupported(
        "GetBucketReplication", "GET /{Bucket}?replication", unset=absent(ReplicationConfigurationNotFoundError)
    ),
    unsupported(
        "GetBucketRequestPayment",
        "GET /{Bucket}?requestPayment",
        unset=empty("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
    ),
    unsupported("GetBucketWebsite", "GET /{Bucket}?website", unset=absent(NoSuchWebsiteConfiguration)),
    unsupported("GetObjectAnnotation", "GET /{Bucket}/{Key+}?annotation&annotationName"),
    unsupported("GetObjectTorrent", "GET /{Bucket}/{Key+}?torrent"),
    unsupported("ListBucketAnalyticsConfigurations", "GET /{Bucket}?analytics"),
    unsupported("ListBucketIntelligentTieringConfigurations", "GET /{Bucket}?intelligent-tiering"),
    unsupported("ListBucketInventoryConfigurations", "GET /{Bucket}?inventory"),
    unsupported("ListBucketMetricsConfigurations", "GET /{Bucket}?metrics"),
    unsupported("ListDirectoryBuckets", "GET /?x-id=ListDirectoryBuckets"),
    unsupported("ListObjectAnnotations", "GET /{Bucket}/{Key+}?annotation"),
    unsupported("PutBucketAbac", "PUT /{Bucket}?abac"),
    unsupported("PutBucketAccelerateConfiguration", "PUT /{Bucket}?accelerate"),
    unsupported("PutBucketAnalyticsConfiguration", "PUT /{Bucket}?analytics&id"),
    unsupported("PutBucketEncryption", "PUT /{Bucket}?encryption"),
    unsupported("PutBucketIntelligentTieringConfiguration", "PUT /{Bucket}?intelligent-tiering&id"),
    unsupported("PutBucketInventoryConfiguration", "PUT /{Bucket}?inventory&id"),
    unsupported("PutBucketLifecycleConfiguration", "PUT /{Bucket}?lifecycle"),
    unsupported("PutBucketLogging", "PUT /{Bucket}?logging"),
    unsupported("PutBucketMetricsConfiguration", "PUT /{Bucket}?metrics&id"),
    unsupported("PutBucketNotificationConfiguration", "PUT /{Bucket}?notification"),
    unsupported("PutBucketReplication", "PUT /{Bucket}?replication"),
    unsupported("PutBucketRequestPayment", "PUT /{Bucket}?requestPayment"),
    unsupported("PutBucketWebsite", "PUT /{Bucket}?website"),
    unsupported("PutObjectAnnotation", "PUT /{Bucket}/{Key+}?annotation"),
    unsupported("RenameObject", "PUT /{Bucket}/{Key+}?renameObject"),
    unsupported("RestoreObject", "POST /{Bucket}/{Key+}?restore"),
    unsupported("SelectObjectContent", "POST /{Bucket}/{Key+}?select&select-type=2"),
    unsupported("UpdateBucketMetadataAnnotationTableConfiguration", "PUT /{Bucket}?metadataAnnotationTable"),
    unsupported("UpdateBucketMetadataInventoryTableConfiguration", "PUT /{Bucket}?metadataInventoryTable"),
    unsupported("UpdateBucketMetadataJournalTableConfiguration", "PUT /{Bucket}?metadataJournalTable"),
    unsupported("UpdateObjectEncryption", "PUT /{Bucket}/{Key+}?encryption"),
    unsupported("WriteGetObjectResponse", "POST /WriteGetObjectResponse"),
)
