"""What settings describe: the users, the volumes, and a store on them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from s3ish.auth.credentials import User
from s3ish.auth.ready_policies import policy_of
from s3ish.blob.protocol import BlobStore
from s3ish.blob.upkeep import NoUpkeep, Upkeep
from s3ish.clock import Clock
from s3ish.config import Settings, UserSettings
from s3ish.index.protocol import Index, IndexFailure, IndexPlace, Monitor, RowIs
from s3ish.model import Link, Owner
from s3ish.objects.consequences import Consequences
from s3ish.objects.encodings import cipher
from s3ish.objects.encodings.chain import Encodings
from s3ish.objects.encodings.keyring import Keyring, read_master_key
from s3ish.objects.quotas import Limits, Quotas
from s3ish.objects.store import Store
from s3ish.observe.audit import AuditLog
from s3ish.observe.spans import Traces
from s3ish.select.running import Selects
from s3ish.tables.catalogue import TABLES
from s3ish.threads import ThreadPool

if TYPE_CHECKING:  # what is on volumes is imported when it is opened: the profile for tests has none
    from s3ish.blob.erasure.core import Reporter, StateReporter
    from s3ish.blob.volumes.volume_set import Volumes

ROOT_ID = "s3ish-root"


def users(settings: Settings) -> list[User]:
    """Return all users, the root user first."""
    access_key, secret_key = settings.root_keys
    root = User(access_key, secret_key, Owner(ROOT_ID, access_key), root=True)
    return [root, *(_user(user, root.owner) for user in settings.auth.users)]


def _user(user: UserSettings, account: Owner) -> User:
    """Return a user; one with policies is of the root user's account, which what it makes belongs to."""
    owner = account if user.policies else Owner(user.id, user.display_name or user.id)
    policies = tuple(map(policy_of, user.policies)) if user.policies else None
    return User(user.access_key, user.secret_key.reveal(), owner, name=user.id, policies=policies)


def make_audit(settings: Settings) -> AuditLog | None:
    """Return where it is written down who did what; None if that is not wanted."""
    return AuditLog(Path(settings.log.audit)) if settings.log.audit else None


def make_traces(settings: Settings, clock: Clock) -> Traces | None:
    """Return where spans go; None if they are not wanted, and nothing of the extra is loaded."""
    if not settings.traces.export:
        return None
    from s3ish.observe.traces import OtelTraces

    return OtelTraces(clock, settings.traces.endpoint, settings.traces.sample_ratio)


def open_volumes(
    settings: Settings,
    clock: Clock,
    *,
    create: bool,
    accept_loss: bool = False,
    restore: bool = False,
    known_set: str = "",
) -> "Volumes":
    """Open the volumes; see ``open_set``.

    Raises:
        VolumeError: they do not belong together, or too many are out of reach.
    """
    from s3ish.blob.erasure.evidence import positions_of
    from s3ish.blob.volumes.open_set import open_volumes as open_set

    return open_set(
        settings.storage.volumes,
        clock=clock,
        create=create,
        fsync=settings.storage.fsync,
        missing=settings.erasure.parity if len(settings.storage.volumes) > 1 else 0,
        patience_seconds=settings.storage.drive_timeout_seconds,
        accept_loss=accept_loss,
        evidence=positions_of,
        restore=restore,
        known_set=known_set,
    )


def _ignore(*_: object) -> None:
    pass


def make_store(
    settings: Settings,
    volumes: "Volumes",
    place: IndexPlace,
    clock: Clock,
    on_damage: "Reporter" = _ignore,
    on_broken_row: Callable[[RowIs], None] | None = None,
    *,
    on_state: "StateReporter" = _ignore,
    monitor: Monitor | None = None,
    contended: bool = False,
    unfinished: bool = False,
    consequences: Consequences = Consequences(),  # noqa: B008 - immutable
) -> Store:
    """Return a store on volumes, which it owns from now on, with the index in a place.

    Args:
        on_damage, on_broken_row, on_state: called with what is met.
        monitor: notified of how the index is.
        contended: several processes write to the index all the time.
        consequences: what follows from changes of versions.
        unfinished: the index is being built: nothing of it need be flushed, and it goes on counting where the one that
            it will replace has come to.

    Raises:
        IndexFailure: the index cannot be used.
    """
    from s3ish.blob.erasure.core import BlobSettings
    from s3ish.blob.erasure.store import ErasureStore

    erasure, storage = settings.erasure, settings.storage
    offload = ThreadPool()
    blobs = ErasureStore(
        volumes,
        BlobSettings(erasure.code, erasure.data, erasure.parity, storage.stripe_bytes, storage.inline_bytes),
        clock=clock,
        offload=offload,
        on_damage=on_damage,
        on_state=on_state,
        index_volume=place.volume,
    )
    try:
        rows = place.open(
            TABLES.layouts,
            durable=storage.fsync and not unfinished,
            contended=contended,
            monitor=monitor,
            first=volumes.commits if unfinished else 0,
            on_commit=None if unfinished else blobs.note_commits,
            reserved=not unfinished,
        )
    except IndexFailure:
        volumes.close()  # a caller that tries another place opens them again
        raise
    return put_together(
        settings,
        rows,
        blobs,
        clock,
        offload,
        on_damage,
        on_broken_row,
        upkeep=blobs.upkeep,
        consequences=consequences,
    )


def put_together(
    settings: Settings,
    index: Index,
    blobs: BlobStore,
    clock: Clock,
    offload: ThreadPool,
    on_damage: "Reporter" = _ignore,
    on_broken_row: Callable[[RowIs], None] | None = None,
    *,
    upkeep: Upkeep = NoUpkeep(),  # noqa: B008 - immutable
    consequences: Consequences = Consequences(),  # noqa: B008 - immutable
) -> Store:
    """Return the store that settings describe, of engines of any kind; see ``Store``."""
    keys = keyring(settings, clock)
    return Store(
        index,
        blobs,
        clock,
        offload,
        settings.server.region,
        on_damage,
        on_broken_row,
        encodings=encodings(settings, keys),
        keyring=keys,
        upkeep=upkeep,
        piece_bytes=settings.storage.stripe_bytes,
        any_region=settings.server.any_region,
        tables_active=settings.test.tables_active,
        keys_need_tls=settings.encryption.customer_keys_need_tls,
        consequences=consequences,
        quotas=quotas(settings),
        selects=Selects(clock, settings.select.memory_mib, settings.select.seconds, settings.select.at_once),
    )


def quotas(settings: Settings) -> Quotas:
    """Return the quotas of buckets and owners that have none of their own."""
    found = settings.quotas
    return Quotas(Limits(found.bucket_bytes, found.bucket_objects), Limits(found.owner_bytes, found.owner_objects))


def keyring(settings: Settings, clock: Clock) -> Keyring | None:
    """Return what encrypts keys, if there is a master key."""
    encryption = settings.encryption
    keys = [key.reveal() for key in (encryption.master_key, encryption.previous_master_key) if key]
    return Keyring([read_master_key(key) for key in keys], clock.random_bytes) if keys else None


def encodings(settings: Settings, keys: Keyring | None) -> Encodings:
    """Return how an object's bytes become those that are stored: encrypted, where there is a key for that."""
    if keys is None:
        return Encodings()
    default = (Link(cipher.NAME, {}),) if settings.encryption.everything else ()
    return Encodings({cipher.NAME: cipher.codec_of(keys)}, default)


async def close(store: Store) -> None:
    """End what a store has under way, and release its files."""
    await store.settle()
    await store.blobs.close()
    await store.index.close()
    store.offload.close()
