"""What people have in their files who come from another server: names of variables, and how those write values.

https://docs.min.io/community/minio-object-store/reference/minio-server/settings.html
https://github.com/adobe/S3Mock#configuration
https://docs.localstack.cloud/references/configuration/
https://docs.getmoto.org/en/latest/docs/server_mode.html
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import product
from pathlib import Path

_S3MOCK = "COM_ADOBE_TESTING_S3MOCK_"
_PREFIXES = ("MINIO_", _S3MOCK, "LOCALSTACK_", "MOTO_")
_LONE = (
    *("GATEWAY_LISTEN", "EDGE_PORT", "S3_SKIP_SIGNATURE_VALIDATION"),
    *("initialBuckets", "retainFilesOnExit", "validKmsKeys"),
)
_OF_A_SERVICE = re.compile(r"\w+_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_\w+)?)?)")
"""What Kubernetes gives to pods beside a Service."""

REGION = ("MINIO_REGION", "MINIO_SITE_REGION", f"{_S3MOCK}STORE_REGION")
BUCKETS = (
    "MINIO_DEFAULT_BUCKETS",
    f"{_S3MOCK}STORE_INITIAL_BUCKETS",
    f"{_S3MOCK}DOMAIN_INITIAL_BUCKETS",
    "initialBuckets",
)
ROOTS = (f"{_S3MOCK}STORE_ROOT", f"{_S3MOCK}DOMAIN_ROOT")
"""Folders, each for one volume."""
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - what the command ``server`` listens on where it is not told
OWN_PAGES = tuple(
    f"{scheme}://{host}{port}"
    for scheme in ("http", "https")
    for host in ("localhost", "127.0.0.1")
    for port in ("", ":*")
)
"""The origins of this machine, whose pages may use all buckets of what is started by the command ``server``."""
FLAGS = ("MINIO_OPTS", "MINIO_ADDRESS", "MINIO_CONSOLE_ADDRESS")
"""Variables that stand for flags of the command ``server``; of the first one, its service file makes a command line."""

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


def certificates_in(folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the certificates, and their keys, of a folder as MinIO has it: its own pair, and one a host in folders.

    Raises:
        ValueError: there is none, so that clients would be served without TLS.
    """
    found = [*Path(folder).glob("public.crt"), *sorted(Path(folder).glob("*/public.crt"))]
    if not found:
        raise ValueError(f"there is no public.crt in {folder}")
    return tuple(map(str, found)), tuple(str(it.with_name("private.key")) for it in found)


def folders_for_buckets(volumes: Iterable[str]) -> list[Path]:
    """Return the empty folders of directories that hold nothing else.

    To MinIO a folder is a bucket, so that start lines make some first:
    ``mkdir -p /data/uploads && minio server /data``.
    """
    from s3ish.wire.names import is_bucket_name  # deferred: few start lines have it

    def is_bucket(path: Path) -> bool:
        return is_bucket_name(path.name) and path.is_dir() and not path.is_symlink() and not any(path.iterdir())

    folders: list[Path] = []
    for volume in volumes:
        with suppress(OSError):  # said when it is opened
            found = list(Path(volume).iterdir())
            folders += found if all(map(is_bucket, found)) else ()
    return folders


def options_of(environment: Mapping[str, str]) -> list[str]:
    """Return the words of ``MINIO_OPTS``. Raises ValueError: a quotation in it has no end."""
    try:
        return shlex.split(environment.get("MINIO_OPTS", ""))
    except ValueError as error:
        raise ValueError(f"MINIO_OPTS: {error}") from error


def _volumes(text: str) -> tuple[str, ...]:
    return expand(text.split())


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def split_address(text: str) -> tuple[str | None, int]:
    """Return the host, None if it is left out, and the port of ``[HOST]:PORT``. Raises ValueError."""
    host, separator, port = text.rpartition(":")
    if not separator or not (port.isascii() and port.isdigit()):
        raise ValueError(f"{text} is not of the form [HOST]:PORT")
    return host.removeprefix("[").removesuffix("]") or None, int(port)


def _listens(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT`` or ``PORT``; of several, separated by commas, the first."""
    first = text.partition(",")[0].strip()
    host, port = split_address(first if ":" in first else f":{first}")
    return host or ALL_ADDRESSES, port


def _named_key(text: str) -> str:
    """Return the key of ``NAME:KEY``; whether it is one is seen as with others. Raises ValueError."""
    name, _, key = text.partition(":")
    if not (name and key):
        raise ValueError("it is not of the form NAME:KEY, with a key of 32 bytes in base64")
    return key


def _alone(text: str) -> tuple[str, ...]:
    return (text,)


Form = Callable[[str], object]
FORMS: Mapping[str, Form | Mapping[str, Form]] = {
    "MINIO_VOLUMES": _volumes,
    "MINIO_KMS_SECRET_KEY": _named_key,
    "GATEWAY_LISTEN": {"server.host": lambda text: _listens(text)[0], "server.port": lambda text: _listens(text)[1]},
    **dict.fromkeys(BUCKETS, _names),
    **dict.fromkeys(ROOTS, _alone),
}
"""How variables write their values where that is not as ours do, of one that gives several settings by setting. Each
raises ValueError for what it cannot read."""


def formed(name: str, dotted: str, text: str) -> object:
    """Return what a variable says of a setting. Raises ValueError: it is not of the form that it has."""
    form = FORMS.get(name)
    if isinstance(form, Mapping):
        form = form[dotted]
    return form(text) if form else text


def foreign(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that were set for another server."""
    return sorted(
        name
        for name in environment
        if (name.startswith(_PREFIXES) or name in _LONE) and not _OF_A_SERVICE.fullmatch(name)
    )
