"""Objects that the server itself makes in a bucket of its users: access logs, lists of objects."""

from s3ish.api.encrypting import encodings_with, encrypted_in
from s3ish.model import Attributes, Bucket, Version
from s3ish.objects import put
from s3ish.objects.consequences import BY_SERVER, Cause
from s3ish.objects.digests import Claims
from s3ish.objects.store import Store


class _Bytes:
    """Bytes that are all there, as ``put_object`` wants them."""

    algorithm = None
    expects_sha256 = False

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    async def gather(self, count: int) -> None:
        """Wait for nothing."""

    async def read(self, limit: int) -> bytes:
        """Return the next bytes."""
        piece, self._data = self._data[:limit], self._data[limit:]
        return piece

    def claims(self) -> Claims:
        """Claim nothing."""
        return Claims()


async def put_own(
    store: Store, bucket: Bucket, key: str, data: bytes, attributes: Attributes, cause: Cause = BY_SERVER
) -> Version:
    """Store an object that belongs to the owner of its bucket, encrypted as the bucket says. Raises S3Error."""
    encryption = await encrypted_in(store, bucket, key, attributes)
    return await put.put_object(
        store,
        bucket.name,
        key,
        _Bytes(data),
        owner=bucket.owner,
        attributes=encryption.attributes,
        encoding=encryption.links,
        encodings=encodings_with(store, encryption.keys),
        cause=cause,
    )
