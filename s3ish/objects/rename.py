"""Renaming an object: one commit takes it away under its old name and puts it under the new one.

Nothing of it is another but its name; its bytes are not moved where they can be linked. The sidecar of the new version
says of which version it is the renamed one. So a rebuild that finds both, because a crash came between, shows one.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-rename.html
"""

from contextlib import AsyncExitStack

from msgspec import Struct
from msgspec.structs import replace

from s3ish.blob.protocol import Corrupt, Missing
from s3ish.errors import InvalidBucketState, InvalidRequest, NoSuchKey, PreconditionFailed
from s3ish.index.protocol import Change, RowIs
from s3ish.model import Origin, Part, Version
from s3ish.objects import annotations
from s3ish.objects import get as read
from s3ish.objects.client_tokens import ClientToken
from s3ish.objects.conditions import ReadConditions
from s3ish.objects.consequences import BY_SERVER, Cause, Happening
from s3ish.objects.linking import link
from s3ish.objects.lock import check_removal
from s3ish.objects.own_parts import make_each, seal_part
from s3ish.objects.put import publish
from s3ish.objects.store import Conflicted, Store, attempts, translated
from s3ish.objects.unreachable import garbage_of
from s3ish.tables.table import Held


class DestinationConditions(Struct, frozen=True):
    """What must be true of the object that stands under the new name, or of there being none."""

    conditions: ReadConditions
    now_ns: int

    def check(self, current: Version | None, key: str) -> None:  # noqa: ARG002 - the form of every condition
        """Compare with the version under the new name, if any. Raises PreconditionFailed."""
        if current is not None:
            self.conditions.check(current, self.now_ns, copy=True)
        elif self.conditions.if_match is not None:
            raise PreconditionFailed(Condition="If-Match")
        elif self.conditions.if_modified_since is not None:
            raise PreconditionFailed(Condition="If-Modified-Since")


async def rename_object(
    store: Store,
    bucket: str,
    source: str,
    key: str,
    *,
    of_source: ReadConditions,
    of_destination: ReadConditions,
    token: ClientToken | None = None,
    cause: Cause = BY_SERVER,
) -> None:
    """Give an object another name; what stood under that is replaced.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html

    Args:
        source, key: the old name and the new one.
        of_source, of_destination: what must be true of what stands under them.
        token: by which the client may repeat the request.
        cause: why.

    Raises:
        InvalidRequest: both names are the same, or one ends with a slash.
        InvalidBucketState: the bucket is or was versioned.
        NoSuchKey, PreconditionFailed, AccessDenied: there is no such object, a condition does not hold, one is locked.
        IdempotencyParameterMismatch: the token was used for another request.
    """
    if source == key:
        raise InvalidRequest("An object cannot be renamed to its own name.")
    if source.endswith("/") or key.endswith("/"):
        raise InvalidRequest("Objects whose names end with a slash cannot be renamed, nor get such a name.")
    with translated():
        for _ in attempts():
            if token and await token.was_used(store):
                return
            await _check_bucket(store, bucket)
            found = await store.newest(bucket, source)
            if not found:
                raise NoSuchKey(Key=source)
            now_ns = store.clock.service_ns()
            of_source.check(found[0].record, now_ns, copy=True)
            check_removal(found[0].record, now_ns, bypass=False)
            try:
                await _rename(store, found[0], key, DestinationConditions(of_destination, now_ns), token, cause)
            except (Conflicted, read.Replaced):
                continue
            except PreconditionFailed:  # of the new name, which was looked at later: was the object still there?
                again = await store.newest(bucket, source)
                if again and again[0].row == found[0].row:
                    raise
                continue
            return
    raise AssertionError  # attempts() raises before


async def _check_bucket(store: Store, name: str) -> None:
    """In a bucket with versions the older ones would come up under the old name. Raises InvalidBucketState."""
    if (await store.bucket(name)).record.versioning:
        raise InvalidBucketState("Objects are renamed in buckets that were never versioned alone.")


async def _rename(
    store: Store,
    held: Held[Version],
    key: str,
    conditions: DestinationConditions,
    token: ClientToken | None,
    cause: Cause,
) -> None:
    """Make the new version and take the old one away.

    Raises:
        Conflicted, Replaced: another writer was faster.
    """
    version, bucket = held.record, await store.bucket(held.record.bucket)
    newest = await store.newest(version.bucket, key)
    conditions.check(newest[0].record if newest else None, key)  # before anything is linked; publish() looks again
    changes, expect = await token.use(store) if token else (list[Change](), list[RowIs]())
    gone = Happening(bucket.record, version, None, cause, shown=(version, None))
    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(store.create(version.bucket, key, version.blob.size))
        draft = replace(
            version,
            key=key,
            id="",
            sequence=max(version.sequence, version.revision),
            upload="",
            revision=0,
            origin=Origin(key=version.key, sequence=version.sequence),
        )
        if version.annotations:
            carried = await annotations.carried(store, version, version.bucket, key, stack, changes)
            draft = replace(draft, annotations=carried)
        if version.parts:
            draft = replace(draft, parts=await _link_parts(store, version, key, stack, changes))
        try:
            draft = replace(draft, blob=await link(store, version.blob, writer))
        except (Missing, Corrupt) as error:
            raise await read.cause(store, version, error) from error
        expected = (bucket.row, held.row, *expect)
        made = await publish(store, draft, writer, conditions, (gone, *changes), expected, cause)
    await store.discard(gone.garbage, after=garbage_of(made))


async def _link_parts(
    store: Store, version: Version, key: str, stack: AsyncExitStack, rows: list[Change]
) -> tuple[Part, ...]:
    """Give each part a blob under the new name. ``rows`` collects the bytes of small ones, see ``seal_part``."""
    stack.enter_context(await read.hold_parts(store, version))

    async def linked(part: Part) -> Part:
        writer = await stack.enter_async_context(store.create(version.bucket, key, part.blob.size))
        made = replace(part, blob=await link(store, part.blob, writer), modified_ns=store.clock.service_ns())
        await seal_part(store, made, writer, version.bucket, key, stack, rows)
        return made

    return await make_each(linked, version.parts)
