"""What becomes of a version that waited for a replica: its row goes, and the last one of them says how it ended.

Rows of several destinations are taken away by several jobs, in any process. Each commit expects those that it found, so
that of two the later one finds that it is the last.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from s3ish.index.protocol import Change, Damaged, Delete, RowIs
from s3ish.model import Bucket, Version
from s3ish.objects.amend import amend_version_once
from s3ish.objects.consequences import Cause, Happening, Occasion
from s3ish.objects.replication import JOB, ReplicationRule, waiting
from s3ish.objects.store import Store, attempts, translated
from s3ish.tables.catalogue import REPLICATIONS, SENDINGS, VERSIONS
from s3ish.tables.table import KeyedTable

THRESHOLD_NS = 15 * 60 * 10**9
"""After which time a replica is late where the rule has a time."""
_CAUSE = Cause(job=JOB)
_NONE: Mapping[str, str] = {}


async def settle(
    store: Store, version: Version, rules: Sequence[ReplicationRule], row: RowIs, failures: Mapping[str, str] = _NONE
) -> None:
    """Take away the row of a version; without further rows the version says COMPLETED, and FAILED in any case.

    It says nothing where no rule is about it any more.

    A row that was written again meanwhile stays: the version was amended, and waits once more.

    Args:
        rules: those that count for the version.
        row: as it was found.
        failures: the destinations that have refused the version, and what events call the reasons.
    """
    gone, failed = Delete(row.table, row.key), bool(failures)
    with translated():
        async with store.turn(version.bucket, version.key):
            for _ in attempts():
                if await store.index.get(row.table, row.key) != row.value:
                    return
                held = await store.get(VERSIONS, version.bucket, version.key, version.sequence)
                left = [] if failed else await _left(store, version, rules, row)
                if held is None:
                    await store.commit([gone], [row])
                    continue
                bucket = (await store.bucket(version.bucket)).record
                changes: list[Change] = [gone]
                for occasion in _occasions(store, bucket, held.record, rules, row, failures):
                    changes += store.consequences.tell(occasion)
                if held.record.replication != "PENDING" or left:
                    done = await store.commit(changes, [row, *left])
                else:
                    wanted = replace(
                        held.record,
                        replication="FAILED" if failed else "COMPLETED" if rules else "",
                        replicated=held.record.replicated or bool(rules and not failed),
                        revision=store.clock.sequence(held.record.revision),
                    )
                    happening = Happening(bucket, held.record, wanted, _CAUSE)
                    done = bool(await amend_version_once(store, held, happening, changes, [row]))
                if done:
                    return


def waits_since(table: KeyedTable[int, Any], sequence: int, row: bytes, value: bytes) -> int:
    """Return since when a version waits for a destination, in nanoseconds of machine time.

    Args:
        table: REPLICATIONS or SENDINGS; a damaged row of it tells nothing.
        sequence: of the version.
    """
    with suppress(Damaged):
        return max(sequence, table.decode(row, value))
    return sequence  # the row goes all the same


def _occasions(
    store: Store,
    bucket: Bucket,
    version: Version,
    rules: Sequence[ReplicationRule],
    row: RowIs,
    failures: Mapping[str, str],
) -> Iterator[Occasion]:
    """Yield what events report of the destinations of a row, where rules ask for that."""
    table = SENDINGS if row.table == SENDINGS.name else REPLICATIONS
    since_ns = waits_since(table, max(version.sequence, version.revision), row.key, row.value or b"")
    is_late = store.clock.now_ns() - since_ns > THRESHOLD_NS
    for rule in rules:
        if all((put.table, put.key) != (row.table, row.key) for put in waiting(version, [rule])):
            continue
        if rule.destination in failures:
            if rule.measured:
                reason = "DstDelObjNotPermitted" if version.marker else "DstPutObjectNotPermitted"
                name = "OperationFailedReplication"
                yield rule.occasion(name, bucket, version, failures[rule.destination] or reason)
        elif is_late and rule.timed:
            yield rule.occasion("OperationReplicatedAfterThreshold", bucket, version)


async def _left(store: Store, version: Version, rules: Sequence[ReplicationRule], own: RowIs) -> list[RowIs]:
    """Return the rows of other destinations of a version that are there."""
    left = []
    for put in waiting(version, rules):
        if (put.table, put.key) != (own.table, own.key):
            value = await store.index.get(put.table, put.key)
            if value is not None:
                left.append(RowIs(put.table, put.key, value))
    return left
