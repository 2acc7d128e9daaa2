"""Which right a write or a deletion needs beside its own where its condition compares what an object holds.

An entity tag is most often the digest of the data: who may not read that could try one after the other.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
"""

from collections.abc import Iterable

from s3ish.auth.evaluator import Permit


def read_compared(condition: str | None, bucket: str, key: str, version_id: str | None = None) -> Iterable[Permit]:
    """Return the right to read the object, if a condition names an entity tag.

    Args:
        condition: If-Match; ``*`` compares nothing.
        bucket, key: the object.
        version_id: of the version that is compared, if the request names one.
    """
    if condition is not None and condition.strip() != "*":
        action = "s3:GetObject" if version_id is None else "s3:GetObjectVersion"
        yield Permit(action, bucket, key, version_id=version_id)
