"""The operations that are not built yet and belong to no file of a feature.

Each answers 501 NotImplemented until it is built. Its row goes when its feature comes.
"""

from s3ish.api.operation import unsupported

_TABLES = "there is no service of tables for the metadata of buckets"
_FUNCTIONS = "there are no functions that answer for objects"
_DIRECTORIES = "there are no directory buckets"

NOT_BUILT = (
    unsupported("CreateBucketMetadataConfiguration", "POST /{Bucket}?metadataConfiguration", because=_TABLES),
    unsupported("CreateBucketMetadataTableConfiguration", "POST /{Bucket}?metadataTable", because=_TABLES),
    unsupported("CreateSession", "GET /{Bucket}?session", because=_DIRECTORIES),
    unsupported("DeleteBucketMetadataConfiguration", "DELETE /{Bucket}?metadataConfiguration", because=_TABLES),
    unsupported("DeleteBucketMetadataTableConfiguration", "DELETE /{Bucket}?metadataTable", because=_TABLES),
    unsupported("GetBucketMetadataConfiguration", "GET /{Bucket}?metadataConfiguration", because=_TABLES),
    unsupported("GetBucketMetadataTableConfiguration", "GET /{Bucket}?metadataTable", because=_TABLES),
    unsupported("GetObjectTorrent", "GET /{Bucket}/{Key+}?torrent", because="S3 gives no torrents any more"),
    unsupported("ListDirectoryBuckets", "GET /?x-id=ListDirectoryBuckets", because=_DIRECTORIES),
    unsupported(
        "UpdateBucketMetadataAnnotationTableConfiguration", "PUT /{Bucket}?metadataAnnotationTable", because=_TABLES
    ),
    unsupported(
        "UpdateBucketMetadataInventoryTableConfiguration", "PUT /{Bucket}?metadataInventoryTable", because=_TABLES
    ),
    unsupported("UpdateBucketMetadataJournalTableConfiguration", "PUT /{Bucket}?metadataJournalTable", because=_TABLES),
    unsupported("WriteGetObjectResponse", "POST /WriteGetObjectResponse", because=_FUNCTIONS),
)
