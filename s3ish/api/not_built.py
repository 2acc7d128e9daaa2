"""The operations that are not built yet; each answers 501 NotImplemented until it is."""

from s3ish.api.operation import Operation, unsupported

_BUCKET_DOCUMENTS = (
    ("abac", "Abac", "GP"),
    ("accelerate", "AccelerateConfiguration", "GP"),
    ("acl", "Acl", "GP"),
    ("cors", "Cors", "GPD"),
    ("encryption", "Encryption", "GPD"),
    ("logging", "Logging", "GP"),
    ("notification", "NotificationConfiguration", "GP"),
    ("ownershipControls", "OwnershipControls", "GPD"),
    ("policy", "Policy", "GPD"),
    ("replication", "Replication", "GPD"),
    ("requestPayment", "RequestPayment", "GP"),
    ("tagging", "Tagging", "GPD"),
    ("website", "Website", "GPD"),
)
"""Query key, name, and which of Get, Put and Delete exist."""

_NUMBERED_DOCUMENTS = (
    ("analytics", "AnalyticsConfiguration"),
    ("intelligent-tiering", "IntelligentTieringConfiguration"),
    ("inventory", "InventoryConfiguration"),
    ("metrics", "MetricsConfiguration"),
)
_VERBS = {"G": ("Get", "GET"), "P": ("Put", "PUT"), "D": ("Delete", "DELETE")}

_OTHERS = (
    ("CreateBucketMetadataConfiguration", "POST /{Bucket}?metadataConfiguration"),
    ("CreateBucketMetadataTableConfiguration", "POST /{Bucket}?metadataTable"),
    ("CreateSession", "GET /{Bucket}?session"),
    ("DeleteBucketLifecycle", "DELETE /{Bucket}?lifecycle"),
    ("DeleteBucketMetadataConfiguration", "DELETE /{Bucket}?metadataConfiguration"),
    ("DeleteBucketMetadataTableConfiguration", "DELETE /{Bucket}?metadataTable"),
    ("DeleteObjectAnnotation", "DELETE /{Bucket}/{Key+}?annotation"),
    ("DeleteObjectTagging", "DELETE /{Bucket}/{Key+}?tagging"),
    ("DeletePublicAccessBlock", "DELETE /{Bucket}?publicAccessBlock"),
    ("GetBucketLifecycleConfiguration", "GET /{Bucket}?lifecycle"),
    ("GetBucketMetadataConfiguration", "GET /{Bucket}?metadataConfiguration"),
    ("GetBucketMetadataTableConfiguration", "GET /{Bucket}?metadataTable"),
    ("GetBucketPolicyStatus", "GET /{Bucket}?policyStatus"),
    ("GetObjectAcl", "GET /{Bucket}/{Key+}?acl"),
    ("GetObjectAnnotation", "GET /{Bucket}/{Key+}?annotation&annotationName"),
    ("GetObjectLegalHold", "GET /{Bucket}/{Key+}?legal-hold"),
    ("GetObjectLockConfiguration", "GET /{Bucket}?object-lock"),
    ("GetObjectRetention", "GET /{Bucket}/{Key+}?retention"),
    ("GetObjectTagging", "GET /{Bucket}/{Key+}?tagging"),
    ("GetObjectTorrent", "GET /{Bucket}/{Key+}?torrent"),
    ("GetPublicAccessBlock", "GET /{Bucket}?publicAccessBlock"),
    ("ListDirectoryBuckets", "GET /?x-id=ListDirectoryBuckets"),
    ("ListObjectAnnotations", "GET /{Bucket}/{Key+}?annotation"),
    ("PostObject", "POST /{Bucket}"),
    ("PutBucketLifecycleConfiguration", "PUT /{Bucket}?lifecycle"),
    ("PutObjectAcl", "PUT /{Bucket}/{Key+}?acl"),
    ("PutObjectAnnotation", "PUT /{Bucket}/{Key+}?annotation"),
    ("PutObjectLegalHold", "PUT /{Bucket}/{Key+}?legal-hold"),
    ("PutObjectLockConfiguration", "PUT /{Bucket}?object-lock"),
    ("PutObjectRetention", "PUT /{Bucket}/{Key+}?retention"),
    ("PutObjectTagging", "PUT /{Bucket}/{Key+}?tagging"),
    ("PutPublicAccessBlock", "PUT /{Bucket}?publicAccessBlock"),
    ("RenameObject", "PUT /{Bucket}/{Key+}?renameObject"),
    ("RestoreObject", "POST /{Bucket}/{Key+}?restore"),
    ("SelectObjectContent", "POST /{Bucket}/{Key+}?select&select-type=2"),
    ("UpdateBucketMetadataAnnotationTableConfiguration", "PUT /{Bucket}?metadataAnnotationTable"),
    ("UpdateBucketMetadataInventoryTableConfiguration", "PUT /{Bucket}?metadataInventoryTable"),
    ("UpdateBucketMetadataJournalTableConfiguration", "PUT /{Bucket}?metadataJournalTable"),
    ("UpdateObjectEncryption", "PUT /{Bucket}/{Key+}?encryption"),
    ("WriteGetObjectResponse", "POST /WriteGetObjectResponse"),
)


def unbuilt() -> list[Operation]:
    """Return the operations that answer 501."""
    operations = [unsupported(name, route) for name, route in _OTHERS]
    for query, name, verbs in _BUCKET_DOCUMENTS:
        for verb in verbs:
            prefix, method = _VERBS[verb]
            operations.append(unsupported(f"{prefix}Bucket{name}", f"{method} /{{Bucket}}?{query}"))
    for query, name in _NUMBERED_DOCUMENTS:
        operations.append(unsupported(f"ListBucket{name}s", f"GET /{{Bucket}}?{query}"))
        for prefix, method in _VERBS.values():
            operations.append(unsupported(f"{prefix}Bucket{name}", f"{method} /{{Bucket}}?{query}&id"))
    return operations
