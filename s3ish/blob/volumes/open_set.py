"""Opening a set of volumes: which directory is which volume, which is new, and which must be refused.

Rules, so that no data is ever written where it does not belong: an absent or empty directory becomes a volume of a new
set. An empty one takes the place of a lost volume of an existing set, unless more are lost than parity makes up for; an
absent one is a lost volume. A directory with other files in it, a volume of another set, or what looks like the mount
point of a drive that is not mounted is refused with a message that says why. A refusal makes and changes nothing.
"""

import os
import re
from collections.abc import Container, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from s3ish.blob.protocol import VolumeError
from s3ish.blob.volumes import identity as identities
from s3ish.blob.volumes import page_cache
from s3ish.blob.volumes.calls import reason
from s3ish.blob.volumes.identity import PRIVATE, Identity
from s3ish.blob.volumes.volume import Volume
from s3ish.blob.volumes.volume_set import PATIENCE_SECONDS, Volumes
from s3ish.clock import Clock
from s3ish.threads import each_within

_NO_VOLUME = "{} is not a volume of s3ish"


_LEFT_BY_OTHERS = re.compile(
    r"lost\+found|aquota\.(user|group)|desktop\.ini|Thumbs\.db|\._.*|\.nfs[0-9a-f]+|\.Trash-[0-9]+|"
    r"\.(DS_Store|localized|Spotlight-V100|Trashes|Trash|fseventsd|TemporaryItems|DocumentRevisions-V100|directory|"
    r"snapshots?|zfs|gitkeep|gitignore|keep)"
)
"""Names that file systems, desktops and version control make by themselves: a directory with these alone is empty."""

_ABSENT = -1


class _Root(NamedTuple):
    """A root directory, its descriptor (``_ABSENT`` if it is not there yet), and what it says it is."""

    path: str
    descriptor: int
    identity: Identity | None


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

    Raises:
        VolumeError: a root is unfit, of another set, or there are too few.
        NewerFormat: a volume was written by a later version.
    """
    found: list[_Root] = []
    failures: list[VolumeError] = []
    unexpected: list[Exception] = []
    try:
        tried = [path for path in roots if path not in silent]
        failures += [VolumeError(f"{path} does not answer") for path in roots if path in silent]
        seconds = patience_seconds if missing else None
        outcomes = each_within(seconds, [partial(_open_root, path, create=create) for path in tried])
        for path, outcome in zip(tried, outcomes, strict=True):
            if isinstance(outcome, _Root):
                found.append(outcome)
            elif isinstance(outcome, TimeoutError):
                failures.append(VolumeError(f"{path} does not answer"))
            elif isinstance(outcome, VolumeError):
                failures.append(outcome)
            else:
                unexpected.append(outcome)
        if unexpected:
            raise unexpected[0]
        known = [root for root in found if root.identity]
        for root in [root for root in found if known and not root.identity and not accept_loss]:
            if reason := _absence(root, known, create=create):
                failures.append(VolumeError(reason))
                found.remove(root)
                _close(root)
        fresh = [root for root in found if not root.identity]
        if known and create and not accept_loss and len(failures) + len(fresh) > missing:
            raise _too_many(failures, fresh, len(roots), missing)
        if failures and (len(failures) > missing or not known):
            raise failures[0]
        members = _assign(found, len(roots), clock, create=create, failed=len(failures))
    except BaseException:
        for root in found:
            _close(root)
        raise
    volumes: list[Volume | None] = [None] * len(roots)
    tells = each_within(seconds, [partial(page_cache.supported, identities.FILE, root.descriptor) for root in found])
    for root, member, told in zip(found, members, tells, strict=True):
        tells_cached = told is True
        volumes[member.position] = Volume(root.path, root.descriptor, member, fsync=fsync, tells_cached=tells_cached)
    opened = Volumes(volumes, tolerated=missing, patience_seconds=patience_seconds)
    opened.look_behind()
    return opened


def _open_root(path: str, *, create: bool) -> _Root:
    try:
        descriptor = _open_directory(path)
    except FileNotFoundError as error:
        if create and not os.path.islink(path):
            return _Root(path, _ABSENT, None)
        raise VolumeError(f"{path} does not exist") from error
    except OSError as error:
        raise VolumeError(f"{path} cannot be a volume: {reason(error)}") from error
    try:
        if os.path.samestat(os.fstat(descriptor), os.stat("/")):
            raise VolumeError(f"{path} is the root of the file system; give a directory of its own")
        return _Root(path, descriptor, identities.read(descriptor, path))
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError):
            raise VolumeError(f"{path} cannot be read: {reason(error)}") from error
        raise


def _open_directory(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _close(root: _Root) -> None:
    if root.descriptor != _ABSENT:
        os.close(root.descriptor)


def _too_many(failures: list[VolumeError], fresh: list[_Root], count: int, missing: int) -> VolumeError:
    """Return the refusal to go on with less than what can be read."""
    reasons = "; ".join([*map(str, failures), *(f"{root.path} is empty" for root in fresh)])
    return VolumeError(
        f"{len(failures) + len(fresh)} of the {count} volumes are lost, but parity makes up for {missing} only "
        f"({reasons}). Bring them back; or, to go on without what they held, start with --accept-loss"
    )


def _assign(found: list[_Root], count: int, clock: Clock, *, create: bool, failed: int) -> list[Identity]:
    """Return the identity of each root, after giving one to those that are new."""
    known = [root for root in found if root.identity]
    owners: dict[int, str] = {}
    set_id = known[0].identity.set if known and known[0].identity else clock.token()
    for root in known:
        member = root.identity
        assert member is not None
        if member.set != set_id:
            raise VolumeError(f"{root.path} belongs to another set of volumes than {known[0].path}")
        if member.count != count:
            raise VolumeError(f"{root.path} belongs to a set of {member.count} volumes, but {count} were given")
        if member.position in owners:
            raise VolumeError(f"{root.path} and {owners[member.position]} are the same volume or copies of it")
        owners[member.position] = root.path
    fresh = [root for root in found if not root.identity]
    if fresh and known and failed:
        raise VolumeError(f"{fresh[0].path} is empty, and which volume it replaces is unclear while others are missing")
    for root in fresh:
        _refuse_unfit(root, create=create)
    for number, root in enumerate(found):  # all of them first: a set of which a part was made would lack the rest
        if not root.identity:
            found[number] = _ready(root)
    free = (position for position in range(count) if position not in owners)
    members = []
    for root in found:
        member = root.identity
        if member is None:
            member = Identity(set_id, next(free), count, clock.token())
            try:
                identities.write(root.descriptor, member)
            except OSError as error:
                raise VolumeError(f"{root.path} cannot be written: {reason(error)}") from error
        members.append(member)
    return members


def _ready(root: _Root) -> _Root:
    """Make a root that can be a volume: a directory that takes files. Raises VolumeError."""
    try:
        if root.descriptor == _ABSENT:
            os.makedirs(root.path, 0o750, exist_ok=True)
            root = root._replace(descriptor=_open_directory(root.path))
        with suppress(FileExistsError):
            os.mkdir(PRIVATE, 0o750, dir_fd=root.descriptor)
    except OSError as error:
        raise VolumeError(f"{root.path} cannot be a volume: {reason(error)}") from error
    return root


def _absence(root: _Root, known: list[_Root], *, create: bool) -> str:
    """Return why a root without an identity stands for a volume that is out of reach; empty if it may be a new one."""
    if not create:
        return _NO_VOLUME.format(root.path)
    if root.descriptor == _ABSENT:
        return f"{root.path} does not exist"
    if not _others(root) and not _is_mounted(root) and all(_is_mounted(other) for other in known):
        return f"{root.path} is no mount point, unlike the other volumes: is its drive mounted?"
    return ""


def _refuse_unfit(root: _Root, *, create: bool) -> None:
    """Raise VolumeError if a root without an identity must not become a volume."""
    if not create:
        raise VolumeError(_NO_VOLUME.format(root.path))
    if others := _others(root):
        raise VolumeError(f"{root.path} holds other files ({min(others)!r} and more) and is not a volume of s3ish")


def _others(root: _Root) -> set[str]:
    """Return the names in a root that a volume without an identity would not have."""
    if root.descriptor == _ABSENT:
        return set()
    return {name for name in os.listdir(root.descriptor) if name != PRIVATE and not _LEFT_BY_OTHERS.fullmatch(name)}


def _is_mounted(root: _Root) -> bool:
    """Whether a root is on another file system than the directory that holds it."""
    return os.fstat(root.descriptor).st_dev != os.stat("..", dir_fd=root.descriptor).st_dev
