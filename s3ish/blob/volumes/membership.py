"""Which root directory is which volume of a set, where what they say is damaged, contradictory or lost.

At most the volume is given up whose identity is unclear, never the set: it is out of reach then, and a reason says so.
What lies on a volume tells which one it is, for each sidecar names the volumes of its shards. A heal gives a volume its
identity back if that and the places of the others leave one possibility.
"""

import os
import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from s3ish.blob.protocol import VolumeError
from s3ish.blob.volumes.identity import COPY, FILE, PRIVATE, Found, Identity
from s3ish.clock import Clock

REMEDY = "Run: s3ish heal"

Evidence = Callable[["Root"], frozenset[int] | None]
"""Tells which positions the blobs on a root leave possible, None if there are none."""

ABSENT = -1

_LEFT_BY_OTHERS = re.compile(
    r"lost\+found|aquota\.(user|group)|desktop\.ini|Thumbs\.db|\._.*|\.nfs[0-9a-f]+|\.Trash-[0-9]+|"
    r"\.(DS_Store|localized|Spotlight-V100|Trashes|Trash|fseventsd|TemporaryItems|DocumentRevisions-V100|directory|"
    r"snapshots?|zfs|gitkeep|gitignore|keep)"
)
"""Names that file systems, desktops and version control make by themselves: a directory with these alone is empty."""


class Root(NamedTuple):
    """A root directory, its descriptor (``ABSENT`` if it is not there yet), and what it says it is."""

    path: str
    descriptor: int
    said: Found

    @property
    def identity(self) -> Identity | None:
        """Which volume it is, if that is known."""
        return self.said.identity

    def named(self, identity: Identity) -> "Root":
        """Return the root with an identity that its files do not have yet."""
        return self._replace(said=Found(identity))

    @property
    def others(self) -> set[str]:
        """The names that a volume without an identity would not have."""
        if self.descriptor == ABSENT:
            return set()
        names = set(os.listdir(self.descriptor)) - {PRIVATE}
        return {name for name in names if not _LEFT_BY_OTHERS.fullmatch(name)}


class Membership:
    """Sorts the roots of a set.

    Args:
        roots: those that could be opened.
        count: how many roots were given.
        evidence: tells what lies on one.

    ``known`` are those whose identity is clear, ``fresh`` those that are empty, ``unclear`` the others, each with the
    reason.

    Raises:
        VolumeError: it is unclear which of them belong together.
    """

    def __init__(self, roots: list[Root], count: int, evidence: Evidence) -> None:
        self._count, self._evidence = count, evidence
        self.known: list[Root] = []
        self.fresh: list[Root] = []
        self.unclear: list[tuple[Root, str]] = []
        for root in roots:
            self._take(root)
        self._part_sets()
        self._part_twins()

    def restore(self, clock: Clock, known_set: str) -> list[Root]:
        """Give identities back to unclear roots where one place is possible. Returns the roots that got one.

        Args:
            clock: mints ids.
            known_set: the id of the set, if it is known from elsewhere.
        """
        restored: list[Root] = []
        for root, reason in list(self.unclear):
            taken = {member.identity.position for member in self.known if member.identity}
            possible = set(range(self._count)) - taken
            evident = self._evidence(root)
            if evident is not None:
                possible &= evident
            elif root.others:
                continue
            if len(possible) == 1:
                set_id = self._set() or known_set or clock.token()
                member = root.named(Identity(set_id, possible.pop(), self._count, clock.token()))
                self.unclear.remove((root, reason))
                self.known.append(member)
                restored.append(member)
        return restored

    def _set(self) -> str:
        return next((root.identity.set for root in self.known if root.identity), "")

    def _take(self, root: Root) -> None:
        identity, rival, problem, _ = root.said
        if problem:
            self.unclear.append((root, f"{problem}. {REMEDY}"))
        elif identity and rival:
            self._choose(root, identity, rival)
        elif identity and self._count > 1 and identity.position not in (self._evidence(root) or {identity.position}):
            says = f"{root.path} says that it is volume {identity.position}, but what lies on it is of another one"
            self.unclear.append((root, f"{says}. {REMEDY}"))
        elif identity:
            self.known.append(root)
        elif root.others and self._evidence(root) is not None:
            self.unclear.append((root, f"{root.path} has lost what says which volume it is. {REMEDY}"))
        else:
            self.fresh.append(root)

    def _choose(self, root: Root, identity: Identity, rival: Identity) -> None:
        """Believe the file that fits to what lies on the volume."""
        evident = self._evidence(root) or frozenset()
        fitting = [said for said in (identity, rival) if said.count == self._count and said.position in evident]
        if len(fitting) == 1 or (fitting and identity.position == rival.position and identity.set == rival.set):
            self.known.append(root.named(fitting[0]))
        else:
            self.unclear.append((root, f"{root.path}: {FILE} and {COPY} say different things. {REMEDY}"))

    def _part_sets(self) -> None:
        """Set aside those that are of another set than most."""
        votes = Counter((root.identity.set, root.identity.count) for root in self.known if root.identity)
        most = votes.most_common(2)
        if len(most) == 2 and most[0][1] == most[1][1]:
            one, other = (next(r for r in self.known if _group(r) == group) for group, _ in most)
            raise VolumeError(f"{one.path} belongs to another set of volumes than {other.path}")
        for root in [root for root in self.known if _group(root) != most[0][0]]:
            self._set_aside(root, f"{root.path} belongs to another set of volumes than the others")
        if most and most[0][0][1] != self._count:
            raise VolumeError(
                f"{self.known[0].path} belongs to a set of {most[0][0][1]} volumes, but {self._count} were given"
            )

    def _part_twins(self) -> None:
        """Set aside those that say that they are a volume which is another one of them."""
        for position in range(self._count):
            twins = [root for root in self.known if root.identity and root.identity.position == position]
            if len(twins) < 2:
                continue
            fitting = [root for root in twins if position in (self._evidence(root) or ())]
            if len(fitting) != 1:
                raise VolumeError(f"{twins[1].path} and {twins[0].path} are the same volume or copies of it")
            for root in twins:
                if root is not fitting[0]:
                    says = f"{root.path} says that it is volume {position}, which is {fitting[0].path}"
                    self._set_aside(root, f"{says}. {REMEDY}")

    def _set_aside(self, root: Root, reason: str) -> None:
        self.known.remove(root)
        self.unclear.append((root, reason))


def _group(root: Root) -> tuple[str, int]:
    assert root.identity
    return root.identity.set, root.identity.count
