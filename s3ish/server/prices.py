"""What Amazon charges for requests and transfer, by its price list: to estimate what a run of tests would have cost.

Prices change, and are others in other regions. Free tiers, storage, monitoring, retrieval, encryption keys and
acceleration are left out.

https://aws.amazon.com/s3/pricing/
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

REGION = "us-east-1"
AS_OF = "2025-06-01"
"""When the list was read."""

_DEAR = ("Complete", "Copy", "Create", "List", "Post", "Put", "Upload", "Write")
_FREE = ("Abort", "Delete")
_NO_REQUEST_OF_S3 = frozenset(("Unknown", "Preflight"))

PUT, GET = "PUT, COPY, POST and LIST", "GET and all others"
DOLLARS_PER_1000: Mapping[str, tuple[float, float]] = {
    "STANDARD": (0.005, 0.0004),
    "INTELLIGENT_TIERING": (0.005, 0.0004),
    "STANDARD_IA": (0.01, 0.001),
    "ONEZONE_IA": (0.01, 0.001),
    "GLACIER_IR": (0.02, 0.01),
    "GLACIER": (0.03, 0.0004),
    "DEEP_ARCHIVE": (0.05, 0.0004),
}
"""For a thousand requests of each of the two kinds, by storage class."""
DOLLARS_PER_GB_OUT = 0.09
"""For a GB sent to the internet, of the first 10 TB of a month."""
GB = 10**9


class Item(NamedTuple):
    """What is charged for, how much of it there was, and what that costs."""

    what: str
    amount: int
    dollars: float


def kind_of(operation: str) -> str:
    """Return the kind of request by which an operation is charged; empty if it is free."""
    if operation in _NO_REQUEST_OF_S3 or operation.startswith(_FREE):
        return ""
    return PUT if operation.startswith(_DEAR) else GET


def estimate(requests: Counter[tuple[str, str]], sent_bytes: int) -> list[Item]:
    """Return what requests would have cost.

    Args:
        requests: how many there were, by operation and storage class; "" where the request named none.
        sent_bytes: of all bodies of answers.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for (operation, storage_class), count in requests.items():
        known = storage_class if storage_class in DOLLARS_PER_1000 else "STANDARD"
        counts[kind_of(operation), known] += count
    items = [
        Item(f"{kind}: {storage_class}", count, count * DOLLARS_PER_1000[storage_class][kind == GET] / 1000)
        for (kind, storage_class), count in sorted(counts.items())
        if kind
    ]
    free = sum(count for (kind, _), count in counts.items() if not kind)
    return [
        *items,
        Item("free requests", free, 0.0),
        Item("bytes out", sent_bytes, sent_bytes * DOLLARS_PER_GB_OUT / GB),
    ]
