"""The formats of records and sidecars: how each of them was written, and the step from one format to the next.

A row and a sidecar carry the number of the format in which they were written. One of an older format is decoded as it
was written then and taken from step to step to what it is now; one of a newer format is refused. What stands in no step
has gained optional fields at most, which read as their defaults.

A new format is: a greater ``FORMAT``, the structure as it was until then, its step, and samples in ``tests/formats/``.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from msgspec import Struct

from s3ish.model import BlobRef, Garbage

FORMAT = 2
"""What is written now."""


class Step(NamedTuple):
    """How a record was written in a format, and what makes of it the record of the next one."""

    written_as: type
    migrate: Callable[[Any], Any]


class Garbage1(Struct, frozen=True, array_like=True):
    """In format 1 garbage was a reference to a blob with those to its parts behind it, so that neither could grow."""

    id: str
    size: int
    salt: int
    code: str
    k: int
    m: int
    stripe_bytes: int
    volumes: tuple[int, ...]
    inline: bool = False
    parts: tuple[BlobRef, ...] = ()

    def migrated(self) -> Garbage:
        """Return the same in format 2."""
        ref = BlobRef(
            self.id, self.size, self.salt, self.code, self.k, self.m, self.stripe_bytes, self.volumes, self.inline
        )
        return Garbage(ref, self.parts)


STEPS: Mapping[tuple[type, int], Step] = {(Garbage, 1): Step(Garbage1, Garbage1.migrated)}
"""The steps, by what a record is now and the format that it leads out of."""


@cache
def steps(kind: type, form: int) -> tuple[Step, ...]:
    """Return what leads from a record as it was written in a format to what it is now; nothing if it is the same."""
    return tuple(STEPS[kind, number] for number in range(form, FORMAT) if (kind, number) in STEPS)


def migrate(kind: type, form: int, decode: Callable[[Any], Any]) -> Any:
    """Return a record of any format as it is now.

    Args:
        kind: what it is now.
        form: the format in which it was written.
        decode: decodes it, given what it was written as.
    """
    chain = steps(kind, form)
    record = decode(chain[0].written_as if chain else kind)
    for step in chain:
        record = step.migrate(record)
    return record
