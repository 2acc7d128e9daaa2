"""Opening a set of volumes: which directory is which volume, which is new, and which must be refused.

Rules, so that no data is ever written where it does not belong: an absent or empty directory becomes a volume of a new
set. An empty one takes the place of a lost volume of an existing set, unless more are lost than parity makes up for; an
absent one is a lost volume. A directory with other files in it, a volume of another set, or what looks like the mount
point of a drive that is not mounted is refused with a message that says why. A refusal makes and changes nothing.
"""

import os
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from functools import partial

from s3ish.blob.protocol import VolumeError
from s3ish.blob.volumes import identity as identities
from s3ish.blob.volumes import page_cache
from s3ish.blob.volumes.calls import reason
from s3ish.blob.volumes.identity import PRIVATE, Found, Identity
from s3ish.blob.volumes.membership import ABSENT, Membership, Root
from s3ish.blob.volumes.volume import Volume
from s3ish.blob.volumes.volume_set import PATIENCE_SECONDS, Volumes
from s3ish.clock import Clock
from s3ish.threads import each_within

_NAMED = "name the volumes as for s3ish serve, or set S3ISH_VOLUMES"
_NO_VOLUME = "{} is not a volume of s3ish"


def open_volumes(
    roots: Sequence[str],
    *,
    clock: Clock,
    create: bool = True,
    fsync: bool = True,
    missing: int = 0,
    patience_seconds: float = PATIENCE_SECONDS,
    silent: Container[str] = (),
    accept_loss: bool = False,
    evidence: Callable[[Volume], frozenset[int] | None] | None = None,
    restore: bool = False,
    known_set: str = "",
) -> Volumes:
    """Open the volumes of one set, ordered by their positions.

    Args:
        roots: paths of their root directories, in any order once the set exists.
        clock: mints the ids of new sets and volumes.
        create: whether empty and absent directories may become volumes.
        fsync: False for throw-away stores.
        missing: how many of the volumes may be out of reach.
        patience_seconds: after which time a volume that does not answer counts as one of these.
        silent: roots that are known not to answer, and are not tried.
        accept_loss: whether empty and absent directories may take the places of more than ``missing`` lost volumes.
        evidence: tells which positions a volume can have for what lies on it, None if that is nothing.
        restore: give a volume its identity back whose files are damaged or lost, where that is beyond doubt.
        known_set: the id of the set, if it is known from elsewhere: for the only volume.

    Raises:
        VolumeError: a root is unfit, of another set, or there are too few.
        NewerFormat: a volume was written by a later version.
    """
    seconds = patience_seconds if missing else None
    found, failures = _open_all([path for path in roots if path not in silent], seconds, create=create)
    failures += [VolumeError(f"{path} does not answer") for path in roots if path in silent]
    fresh: list[Root] = []
    try:
        members = Membership(found, len(roots), partial(_look, evidence, seconds))
        restored = members.restore(clock, known_set) if restore else []
        failures += [VolumeError(reason) for _, reason in members.unclear]
        failures += [_nothing_to_heal(roots)] if restore and not (members.known or failures) else []
        for root in members.fresh:
            absence = _absence(root, members.known, create=create) if members.known and not accept_loss else ""
            if absence:
                failures.append(VolumeError(absence))
            else:
                fresh.append(root)
        if members.known and create and not accept_loss and len(failures) + len(fresh) > missing:
            raise _too_many(failures, fresh, len(roots), missing)
        if failures and (len(failures) > missing or not members.known):
            raise failures[0] if found or create else _misnamed(failures[0])
        chosen = _assign(members.known, fresh, len(roots), clock, create=create, failed=len(failures))
    except BaseException:
        _close([*found, *fresh])
        raise
    used = {root.descriptor for root in chosen}
    _close([root for root in found if root.descriptor not in used])
    volumes: list[Volume | None] = [None] * len(roots)
    tells = each_within(seconds, [partial(page_cache.supported, identities.FILE, root.descriptor) for root in chosen])
    for root, told in zip(chosen, tells, strict=True):
        member = root.said.identity
        assert member
        tells_cached = told is True
        volumes[member.position] = Volume(root.path, root.descriptor, member, fsync=fsync, tells_cached=tells_cached)
    opened = Volumes(volumes, tolerated=missing, patience_seconds=patience_seconds)
    opened.reasons = tuple(map(str, failures))
    opened.restored = tuple(root.path for root in restored)
    opened.look_behind()
    return opened


def _nothing_to_heal(roots: Sequence[str]) -> VolumeError:
    return VolumeError(f"{', '.join(roots)}: there is no store to heal; {_NAMED}")


def _misnamed(failure: VolumeError) -> VolumeError:
    """Return what to say where none of the roots can be opened: others were meant if there is no such directory."""
    if not isinstance(failure.__cause__, FileNotFoundError):
        return failure
    return VolumeError(f"{failure}; {_NAMED}")


def _open_all(paths: Sequence[str], seconds: float | None, *, create: bool) -> tuple[list[Root], list[VolumeError]]:
    """Return the roots that can be opened, and why others cannot. Raises what is no VolumeError."""
    found: list[Root] = []
    failures: list[VolumeError] = []
    unexpected: list[Exception] = []
    outcomes = each_within(seconds, [partial(_open_root, path, create=create) for path in paths])
    for path, outcome in zip(paths, outcomes, strict=True):
        if isinstance(outcome, Root):
            found.append(outcome)
        elif isinstance(outcome, TimeoutError):
            failures.append(VolumeError(f"{path} does not answer"))
        elif isinstance(outcome, VolumeError):
            failures.append(outcome)
        else:
            unexpected.append(outcome)
    if unexpected:
        _close(found)
        raise unexpected[0]
    return found, failures


def _open_root(path: str, *, create: bool) -> Root:
    try:
        descriptor = _open_directory(path)
    except FileNotFoundError as error:
        if create and not os.path.islink(path):
            return Root(path, ABSENT, Found(None))
        raise VolumeError(f"{path} does not exist") from error
    except OSError as error:
        raise VolumeError(f"{path} cannot be a volume: {reason(error)}") from error
    try:
        if os.path.samestat(os.fstat(descriptor), os.stat("/")):
            raise VolumeError(f"{path} is the root of the file system; give a directory of its own")
        return Root(path, descriptor, identities.read(descriptor, path))
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError):
            raise VolumeError(f"{path} cannot be read: {reason(error)}") from error
        raise


def _open_directory(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _close(roots: Sequence[Root]) -> None:
    for descriptor in {root.descriptor for root in roots} - {ABSENT}:
        os.close(descriptor)


def _too_many(failures: list[VolumeError], fresh: list[Root], count: int, missing: int) -> VolumeError:
    """Return the refusal to go on with less than what can be read."""
    holds = {root.path: "holds other files" if root.others else "is empty" for root in fresh}
    reasons = "; ".join([*map(str, failures), *(f"{path} {what}" for path, what in holds.items())])
    return VolumeError(
        f"{len(failures) + len(fresh)} of the {count} volumes are lost, but parity makes up for {missing} only "
        f"({reasons}). Bring them back; or, to go on without what they held, start with --accept-loss"
    )


def _look(
    evidence: Callable[[Volume], frozenset[int] | None] | None, seconds: float | None, root: Root
) -> frozenset[int] | None:
    """Return which positions the blobs on a root leave possible, None if there are none or that cannot be seen."""
    if evidence is None or root.descriptor == ABSENT:
        return None
    volume = Volume(root.path, os.dup(root.descriptor), Identity("", 0, 1, ""))
    (outcome,) = each_within(seconds, [partial(evidence, volume)])
    if isinstance(outcome, TimeoutError):  # the thread may still be using it
        return None
    volume.close()
    return outcome if isinstance(outcome, frozenset) else None


def _assign(known: list[Root], fresh: list[Root], count: int, clock: Clock, *, create: bool, failed: int) -> list[Root]:
    """Return all roots, each with an identity, after writing those that are new."""
    if fresh and known and failed:
        raise VolumeError(f"{fresh[0].path} is empty, and which volume it replaces is unclear while others are missing")
    _refuse_twins(fresh)
    for root in fresh:
        _refuse_unfit(root, create=create)
    taken = {root.identity.position for root in known if root.identity}
    set_id = next((root.identity.set for root in known if root.identity), "") or clock.token()
    free = (position for position in range(count) if position not in taken)
    for number, root in enumerate(fresh):  # all of them first: a set of which a part was made would lack the rest
        fresh[number] = _ready(root)
    new = [root.named(Identity(set_id, next(free), count, clock.token())) for root in fresh]
    for root in [*known, *new] if create else []:
        _write(root, new=root in new)
    return [*known, *new]


def _refuse_twins(fresh: list[Root]) -> None:
    """Raise VolumeError for a directory that is given twice, by two names or one."""
    seen: dict[object, str] = {}
    for root in fresh:
        place: object = os.path.realpath(root.path)
        if root.descriptor != ABSENT:
            status = os.fstat(root.descriptor)
            place = status.st_dev, status.st_ino
        if place in seen:
            raise VolumeError(f"{root.path} and {seen[place]} are the same directory; give each volume once")
        seen[place] = root.path


def _write(root: Root, *, new: bool) -> None:
    """Write what a root does not say yet. Raises VolumeError if it is new and cannot be written."""
    assert root.identity
    if root.said.whole:
        return
    try:
        if new:
            identities.write(root.descriptor, root.identity)
        else:
            identities.renew(root.descriptor, root.identity)
    except OSError as error:
        if new:
            raise VolumeError(f"{root.path} cannot be written: {reason(error)}") from error


def _ready(root: Root) -> Root:
    """Make a root that can be a volume: a directory that takes files. Raises VolumeError."""
    try:
        if root.descriptor == ABSENT:
            os.makedirs(root.path, 0o700, exist_ok=True)
            root = root._replace(descriptor=_open_directory(root.path))
        with suppress(FileExistsError):
            os.mkdir(PRIVATE, 0o700, dir_fd=root.descriptor)
    except OSError as error:
        raise VolumeError(f"{root.path} cannot be a volume: {reason(error)}") from error
    return root


def _absence(root: Root, known: list[Root], *, create: bool) -> str:
    """Return why a root without an identity stands for a volume that is out of reach; empty if it may be a new one."""
    if not create:
        return _NO_VOLUME.format(root.path)
    if root.descriptor == ABSENT:
        return f"{root.path} does not exist"
    if not root.others and not _is_mounted(root) and all(_is_mounted(other) for other in known):
        return f"{root.path} is no mount point, unlike the other volumes: is its drive mounted?"
    return ""


def _refuse_unfit(root: Root, *, create: bool) -> None:
    """Raise VolumeError if a root without an identity must not become a volume."""
    if not create:
        raise VolumeError(_NO_VOLUME.format(root.path))
    if others := root.others:
        raise VolumeError(f"{root.path} holds other files ({min(others)!r} and more) and is not a volume of s3ish")


def _is_mounted(root: Root) -> bool:
    """Whether a root is on another file system than the directory that holds it."""
    return os.fstat(root.descriptor).st_dev != os.stat("..", dir_fd=root.descriptor).st_dev
