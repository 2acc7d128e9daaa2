"""The operations that are not built yet and belong to no file of a feature.

Each answers 501 NotImplemented until it is built. Its row goes when its feature comes.
"""

from s3ish.api.operation import unsupported

_FUNCTIONS = "there are no functions that answer for objects"
_DIRECTORIES = "there are no directory buckets"

NOT_BUILT = (
    unsupported("CreateSession", "GET /{Bucket}?session", because=_DIRECTORIES),
    unsupported(
        "GetObjectTorrent", "GET /{Bucket}/{Key+}?torrent", because="Amazon ended BitTorrent for S3 in April 2022"
    ),
    unsupported("ListDirectoryBuckets", "GET /?x-id=ListDirectoryBuckets", because=_DIRECTORIES),
    unsupported(
        "WriteGetObjectResponse",
        "POST /WriteGetObjectResponse",
        header="x-amz-request-route",
        because=_FUNCTIONS,
    ),
)
