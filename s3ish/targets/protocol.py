"""What a target is: something outside that takes the messages of events."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class Undelivered(Exception):
    """A target has not taken a message; the text says why."""


class Message(Struct, frozen=True):
    """What a target is sent of an event: its body in JSON, and an id that each attempt to send it has.

    ``order`` is what it is about: messages of the same order arrive one after the other.
    """

    id: str
    order: str
    body: bytes


class Target(Protocol):
    """Takes messages.

    ``batch`` is how many messages ``send`` is given at most, ``in_flight`` how many calls of it may be under way.
    """

    batch: int
    in_flight: int

    async def send(self, messages: Sequence[Message]) -> None:
        """Send messages, in order. They are taken for good when it returns; any of them may be sent again otherwise.

        Raises Undelivered.
        """

    async def close(self) -> None:
        """End what is open; a later ``send`` opens it again."""
