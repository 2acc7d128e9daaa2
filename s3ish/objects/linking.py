"""Giving a new blob what is stored of another one."""

from s3ish.blob.protocol import BlobWriter
from s3ish.model import BlobRef
from s3ish.objects.store import Store


async def link(store: Store, ref: BlobRef, writer: BlobWriter) -> BlobRef:
    """Finish a blob with the bytes of another one; they are copied, as they are stored, where they cannot be linked.

    Raises:
        Missing, Corrupt, Full, Unwritable: as reader and writer.
    """
    if not await writer.adopt(ref):
        data = await store.inline(ref) if ref.inline else None
        if data is not None:
            await writer.write(data)
        else:
            reader = await store.blobs.open(ref)
            try:
                async for piece in reader:
                    await writer.write(piece)
            finally:
                await reader.close()
    return await writer.finish()
