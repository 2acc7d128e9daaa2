"""What people have in their files who come from another server: names of variables, and how those write values.

https://docs.min.io/community/minio-object-store/reference/minio-server/settings.html
https://github.com/adobe/S3Mock#configuration
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product

_S3MOCK = "COM_ADOBE_TESTING_S3MOCK_"
_PREFIXES = ("MINIO_", _S3MOCK, "LOCALSTACK_")
_LONE = ("GATEWAY_LISTEN", "initialBuckets")
_OF_A_SERVICE = re.compile(r"\w+_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_\w+)?)?)")
"""What Kubernetes gives to pods beside a Service."""

REGION = ("MINIO_REGION", "MINIO_SITE_REGION", f"{_S3MOCK}STORE_REGION")
BUCKETS = (
    "MINIO_DEFAULT_BUCKETS",
    f"{_S3MOCK}STORE_INITIAL_BUCKETS",
    f"{_S3MOCK}DOMAIN_INITIAL_BUCKETS",
    "initialBuckets",
)
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - what the command ``server`` listens on where it is not told
ADDRESSES = ("MINIO_ADDRESS", "MINIO_CONSOLE_ADDRESS")
"""Variables that stand for flags of the command ``server``."""

_RANGE = re.compile(r"\{(\d{1,4})\.\.\.(\d{1,4})\}")
_MOST_VOLUMES = 256


def expand(texts: Iterable[str]) -> tuple[str, ...]:
    """Return directories, each ``{1...4}`` in their names replaced by all numbers of the range.

    Numbers are as wide as the first one is: ``{01...12}``.

    Raises:
        ValueError: a range is none, there are too many, or a text names a directory of another server.
    """
    found = [each for text in texts for each in _expanded(text)]
    if len(found) > _MOST_VOLUMES:
        raise ValueError(f"{len(found)} volumes are more than {_MOST_VOLUMES}")
    return tuple(found)


def _expanded(text: str) -> Iterator[str]:
    if "://" in text:
        raise ValueError(f"{text} is on another server; all volumes must be directories of this machine")
    pieces = _RANGE.split(text)
    ranges = [_numbers(first, last) for first, last in zip(pieces[1::3], pieces[2::3], strict=True)]
    if sum(map(len, ranges)) > _MOST_VOLUMES or "..." in "".join(pieces[::3]):
        raise ValueError(f"{text} is not of the form DIR{{1...4}} with at most {_MOST_VOLUMES} directories")
    for number, numbers in enumerate(product(*ranges)):
        if number > _MOST_VOLUMES:
            return
        yield pieces[0] + "".join(it for pair in zip(numbers, pieces[3::3], strict=True) for it in pair)


def _numbers(first: str, last: str) -> list[str]:
    return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]


def _volumes(text: str) -> tuple[str, ...]:
    return expand(text.split())


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


FORMS: Mapping[str, Callable[[str], object]] = {"MINIO_VOLUMES": _volumes} | dict.fromkeys(BUCKETS, _names)
"""How variables write their values where that is not as ours do; each raises ValueError for what it cannot read."""


def split_address(text: str) -> tuple[str | None, int]:
    """Return the host, None if it is left out, and the port of ``[HOST]:PORT``. Raises ValueError."""
    host, separator, port = text.rpartition(":")
    if not separator or not (port.isascii() and port.isdigit()):
        raise ValueError(f"{text} is not of the form [HOST]:PORT")
    return host.removeprefix("[").removesuffix("]") or None, int(port)


def foreign(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that were set for another server."""
    return sorted(
        name
        for name in environment
        if (name.startswith(_PREFIXES) or name in _LONE) and not _OF_A_SERVICE.fullmatch(name)
    )
