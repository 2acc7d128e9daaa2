"""What becomes of a version that waited for a replica: its row goes, and the last one of them says how it ended.

Rows of several destinations are taken away by several jobs, in any process. Each commit expects those that it found, so
that of two the later one finds that it is the last.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from s3ish.index.protocol import Delete, RowIs
from s3ish.model import Version
from s3ish.objects.amend import amend_version_once
from s3ish.objects.consequences import Cause, Happening
from s3ish.objects.replication import JOB, ReplicationRule, waiting
from s3ish.objects.store import Store, attempts, translated
from s3ish.tables.catalogue import VERSIONS

_CAUSE = Cause(job=JOB)


async def settle(
    store: Store, version: Version, rules: Sequence[ReplicationRule], row: RowIs, *, failed: bool = False
) -> None:
    """Take away the row of a version; without further rows the version says COMPLETED, and FAILED in any case.

    It says nothing where no rule is about it any more.

    A row that was written again meanwhile stays: the version was amended, and waits once more.

    Args:
        rules: those that count for the version.
        row: as it was found.
        failed: whether a destination has refused the version.
    """
    gone = Delete(row.table, row.key)
    with translated():
        async with store.turn(version.bucket, version.key):
            for _ in attempts():
                if await store.index.get(row.table, row.key) != row.value:
                    return
                held = await store.get(VERSIONS, version.bucket, version.key, version.sequence)
                left = [] if failed else await _left(store, version, rules, row)
                if held is None or held.record.replication != "PENDING" or left:
                    done = await store.commit([gone], [row, *left])
                else:
                    bucket = (await store.bucket(version.bucket)).record
                    wanted = replace(
                        held.record,
                        replication="FAILED" if failed else "COMPLETED" if rules else "",
                        replicated=held.record.replicated or bool(rules and not failed),
                        revision=store.clock.sequence(held.record.revision),
                    )
                    happening = Happening(bucket, held.record, wanted, _CAUSE)
                    done = bool(await amend_version_once(store, held, happening, [gone], [row]))
                if done:
                    return


async def _left(store: Store, version: Version, rules: Sequence[ReplicationRule], own: RowIs) -> list[RowIs]:
    """Return the rows of other destinations of a version that are there."""
    left = []
    for put in waiting(version, rules):
        if (put.table, put.key) != (own.table, own.key):
            value = await store.index.get(put.table, put.key)
            if value is not None:
                left.append(RowIs(put.table, put.key, value))
    return left
