"""A request to replicate versions of a bucket that are there already; a job carries it out.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-batch.html
"""

from collections.abc import Sequence

from s3ish.errors import OperationAborted, ReplicationConfigurationNotFoundError
from s3ish.index.protocol import Conflict
from s3ish.objects.store import Store
from s3ish.tables.state import AGAIN, AgainProgress


async def replicate_again(store: Store, bucket: str, states: Sequence[str]) -> None:
    """Ask for another replication of the versions of a bucket; it takes the place of one that was asked for before.

    Args:
        states: how the replication of the versions ended that are meant: FAILED, COMPLETED, NONE if there was none.

    Raises:
        NoSuchBucket: there is no such bucket.
        ReplicationConfigurationNotFoundError: it has no rules.
        OperationAborted: another process asks at the same time.
    """
    held = (await store.bucket(bucket)).record
    if "replication" not in held.documents:
        raise ReplicationConfigurationNotFoundError(BucketName=bucket)
    row = AGAIN.of(bucket.encode())
    before = await row.value(store.index)
    wanted = tuple("" if state == "NONE" else state for state in states)
    asked = AgainProgress(created_ns=held.created_ns, states=wanted, asked_ns=store.clock.now_ns())
    try:
        await store.index.commit([row.put(asked)], [row.expect(before)])
    except Conflict as error:
        raise OperationAborted from error
