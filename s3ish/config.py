"""Settings: one model, read from flags, environment, a TOML file and defaults, in that order of precedence.

The environment names a setting ``S3ISH_<SECTION>_<NAME>``; the commonest have short names, and the names that users of
other servers have in their files are understood too. A key that is not known is an error that names it.
"""

import functools
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, structs

DEVELOPMENT_KEY = "s3ishadmin"
"""Access key and secret key where none are configured; such a server listens on loopback only."""


class ConfigError(Exception):
    """The settings cannot be used; the text says which and what to do."""


class Secret:
    """A text that is not shown by accident: not in a log, not in a traceback."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)"


Names = tuple[str, ...]
"""In a variable, or where one text is given, separated by commas."""


class Section(msgspec.Struct, frozen=True):
    """A table of the configuration file."""


class ServerSettings(Section, frozen=True):
    """Where and how the server listens."""

    host: Annotated[str, "Address to listen on; 0.0.0.0 for all."] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), "Port to listen on; 0 for any free one."] = 9000
    workers: Annotated[int, Meta(ge=1, le=256), "Number of processes that serve requests."] = 1
    region: Annotated[str, Meta(min_length=1), "The region that requests are signed for."] = "us-east-1"
    domains: Annotated[Names, "Names under which bucket.name addresses a bucket (virtual-hosted style)."] = ()
    header_bytes: Annotated[int, Meta(ge=1024), "Longest header section of a request, in bytes."] = 16384
    header_timeout_seconds: Annotated[float, Meta(gt=0), "How long a client may take to send its headers."] = 15.0
    body_timeout_seconds: Annotated[float, Meta(gt=0), "How long a client may send nothing within a body."] = 60.0
    idle_timeout_seconds: Annotated[int, Meta(gt=0), "How long an idle connection is kept."] = 75
    shutdown_seconds: Annotated[int, Meta(gt=0), "How long requests may take to finish after SIGTERM."] = 8
    max_connections: Annotated[int, Meta(ge=1), "Connections that a worker holds at once."] = 10_000


class StorageSettings(Section, frozen=True):
    """Where data lives."""

    volumes: Annotated[Names, Meta(min_length=1), "Directories that hold the data, one a drive."] = ("./s3-data",)
    index: Annotated[
        str, "File of the index; empty for .s3ish/index.db on a volume, from where it moves if that fails."
    ] = ""
    fsync: Annotated[bool, "Flush before answering; false only for throw-away test stacks."] = True
    inline_bytes: Annotated[int, Meta(ge=0, le=1048576), "Objects up to this size live in index and sidecar."] = 32768
    stripe_bytes: Annotated[
        int, Meta(ge=65536), "Data in one stripe of an erasure-coded object; in a crowd of uploads at most 128 KiB."
    ] = 1048576
    drive_timeout_seconds: Annotated[
        float,
        Meta(ge=0.1, le=3600),
        "A drive that answers nothing for so long is done without, where parity allows it, until it does again.",
    ] = 30.0
    default_buckets: Annotated[Names, "Buckets made at start: name or name:versioned."] = ()


class ErasureSettings(Section, frozen=True):
    """How objects are coded."""

    data: Annotated[int, Meta(ge=1, le=32), "Data shards of an object."] = 2
    parity: Annotated[int, Meta(ge=0, le=32), "Parity shards: how many drives or shards may be lost."] = 1
    coder: Annotated[Literal["rs-cauchy-11d", "rs-zfec", "zfec"], "The code; zfec needs the extra s3ish[zfec]."] = (
        "rs-cauchy-11d"
    )

    @property
    def code(self) -> str:
        """The code's name as sidecars carry it."""
        return "rs-zfec" if self.coder == "zfec" else self.coder


class UserSettings(Section, frozen=True):
    """A user beside the root user."""

    access_key: Annotated[str, Meta(min_length=1)]
    secret_key: Secret
    id: Annotated[str, Meta(min_length=1)]
    display_name: str = ""


class AuthSettings(Section, frozen=True):
    """Who may sign requests."""

    access_key: Annotated[str, "Access key of the root user."] = ""
    secret_key: Annotated[Secret, "Secret key of the root user."] = Secret("")
    users: Annotated[tuple[UserSettings, ...], "Further users: access_key, secret_key, id, display_name."] = ()


class JobsSettings(Section, frozen=True):
    """What is done in the background."""

    scrub_days: Annotated[float, Meta(ge=0.001, le=3650), "Days in which all data is verified once."] = 30


class LogSettings(Section, frozen=True):
    """What is logged, and how."""

    level: Annotated[Literal["debug", "info", "warning", "error"], "Least level that is logged."] = "info"
    format: Annotated[Literal["auto", "json", "console"], "auto is JSON unless on a terminal."] = "auto"


class MetricsSettings(Section, frozen=True):
    """Who may read metrics."""

    token: Annotated[Secret, "Bearer token for /-/metrics; empty allows loopback only."] = Secret("")


class Settings(Section, frozen=True):
    """All settings."""

    server: ServerSettings = ServerSettings()
    storage: StorageSettings = StorageSettings()
    erasure: ErasureSettings = ErasureSettings()
    auth: AuthSettings = AuthSettings()
    jobs: JobsSettings = JobsSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()

    @property
    def is_development(self) -> bool:
        """Whether the documented development pair is in use."""
        return not self.auth.access_key

    @property
    def root_keys(self) -> tuple[str, str]:
        """Access key and secret key of the root user."""
        if self.is_development:
            return DEVELOPMENT_KEY, DEVELOPMENT_KEY
        return self.auth.access_key, self.auth.secret_key.reveal()


ALIASES: Mapping[str, tuple[str, ...]] = {
    "server.host": ("S3ISH_HOST",),
    "server.port": ("S3ISH_PORT",),
    "server.workers": ("S3ISH_WORKERS",),
    "server.region": ("S3ISH_REGION", "MINIO_REGION"),
    "server.domains": ("S3ISH_DOMAINS", "MINIO_DOMAIN"),
    "storage.volumes": ("S3ISH_VOLUMES", "MINIO_VOLUMES"),
    "storage.fsync": ("S3ISH_FSYNC",),
    "storage.default_buckets": ("S3ISH_DEFAULT_BUCKETS", "MINIO_DEFAULT_BUCKETS"),
    "auth.access_key": (
        "S3ISH_ACCESS_KEY",
        "MINIO_ROOT_USER",
        "MINIO_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
    ),
    "auth.secret_key": (
        "S3ISH_SECRET_KEY",
        "MINIO_ROOT_PASSWORD",
        "MINIO_SECRET_KEY",
        "AWS_SECRET_ACCESS_KEY",
    ),
}
"""Other names of a setting in the environment, the first that is set winning; ours come first."""

_PAIR = ("auth.access_key", "auth.secret_key")

_BOOLEANS = {"yes": True, "on": True, "y": True, "t": True, "no": False, "off": False, "n": False, "f": False}
"""Texts for true and false beside true, false, 1 and 0."""

_META = ("S3ISH_CONFIG", "S3ISH_ENDPOINT")
"""Variables that are not settings."""


@functools.cache
def _members(section: type[Section]) -> dict[str, structs.FieldInfo]:
    return {member.name: member for member in structs.fields(section)}


def fields() -> dict[str, str]:
    """Return every setting: its dotted name, and what it is."""
    return {
        f"{section}.{name}": next(text for text in get_args(member.type) if isinstance(text, str))
        for section, table in _members(Settings).items()
        for name, member in _members(table.type).items()
    }


def variables(dotted: str) -> tuple[str, ...]:
    """Return the environment variables of a setting, by precedence."""
    return (*(ALIASES.get(dotted, ())[:1]), "S3ISH_" + dotted.replace(".", "_").upper(), *ALIASES.get(dotted, ())[1:])


def load(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None, file: str | None = None
) -> Settings:
    """Return the settings.

    Args:
        flags: values by dotted name; None means not given.
        environment: the variables; the process's own if None.
        file: the TOML file; that of S3ISH_CONFIG if None, and none if that is not set.

    Raises:
        ConfigError: a key is unknown, a value is wrong, or a server would be open to others with well-known keys.
    """
    environment = os.environ if environment is None else environment
    values = _from_file(file or environment.get("S3ISH_CONFIG"))
    for dotted, value in _from_environment(environment).items():
        _put(values, dotted, value)
    for dotted, value in (flags or {}).items():
        if value is not None:
            _put(values, dotted, value)
    problems: list[str] = []
    settings: Settings = _read(Settings, values, "", problems)
    if problems:
        raise ConfigError("; ".join(problems))
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Refuse settings that are valid one by one but not together. Raises ConfigError."""
    auth, host = settings.auth, settings.server.host
    if bool(auth.access_key) != bool(auth.secret_key.reveal()):
        raise ConfigError("set both S3ISH_ACCESS_KEY and S3ISH_SECRET_KEY, or neither")
    if settings.is_development and not _is_loopback(host):
        raise ConfigError(
            f"refusing to listen on {host} with the well-known development credentials: set S3ISH_ACCESS_KEY and "
            "S3ISH_SECRET_KEY, or listen on 127.0.0.1"
        )
    keys = [settings.root_keys[0], *(user.access_key for user in auth.users)]
    if len(set(keys)) != len(keys):
        raise ConfigError("auth.users: two users have the same access key")
    if not all(user.secret_key for user in auth.users):
        raise ConfigError("auth.users: a secret key is empty")
    shards, volumes = settings.erasure.data + settings.erasure.parity, len(settings.storage.volumes)
    if 1 < volumes < shards:
        raise ConfigError(
            f"{volumes} volumes cannot hold {settings.erasure.data} + {settings.erasure.parity} shards on different "
            f"drives: give 1 or at least {shards} volumes, or set erasure.data and erasure.parity"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _from_file(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    import tomllib  # deferred: most servers are started without a file

    try:
        with Path(path).open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that variables give. Raises ConfigError for an unknown variable of ours."""
    found: dict[str, str] = {}
    known = set(_META)
    for dotted in fields():
        if dotted == "auth.users":
            continue
        names = variables(dotted)
        known.update(names)
        known.update(f"{name}_FILE" for name in names)
        if dotted in _PAIR:
            names = names[slice(*_family(environment))]
        for name in names:
            value = _value_of(environment, name)
            if value is not None:
                found[dotted] = value
                break
    unknown = sorted(name for name in environment if name.startswith("S3ISH_") and name not in known)
    if unknown:
        raise ConfigError(f"unknown variable {unknown[0]}; see config.toml for all settings")
    return found


def key_source(environment: Mapping[str, str] | None = None) -> str:
    """Return the variable that gives the root user's access key, empty if none does."""
    environment = os.environ if environment is None else environment
    names = variables(_PAIR[0])[slice(*_family(environment))]
    return next((name for name in names if name in environment or f"{name}_FILE" in environment), "")


def _family(environment: Mapping[str, str]) -> tuple[int, int]:
    """Return which of their variables the two keys are taken from: both of one program, never a mixture."""
    pairs = list(zip(*(variables(dotted) for dotted in _PAIR), strict=True))
    for index, pair in enumerate(pairs):
        if any(name in environment or f"{name}_FILE" in environment for name in pair):
            return index, index + 1
    return 0, 0


def _value_of(environment: Mapping[str, str], name: str) -> str | None:
    """Return a variable, or the content of the file that ``<name>_FILE`` names."""
    if name in environment:
        return environment[name]
    path = environment.get(f"{name}_FILE")
    if path is None:
        return None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ConfigError(f"cannot read {path} ({name}_FILE): {error.strerror}") from error


def _put(values: dict[str, Any], dotted: str, value: Any) -> None:
    section, name = dotted.split(".")
    table = values.setdefault(section, {})
    if isinstance(table, dict):
        table[name] = value


def _read(section: type[Section], values: Any, where: str, problems: list[str]) -> Any:
    """Return a table as its section; what is wrong with it is added to the problems."""
    if not isinstance(values, dict):
        problems.append(f"{where}: expected a table")
        return None
    members, given = _members(section), {}
    for name, value in values.items():
        dotted = f"{where}.{name}" if where else name
        if name in members:
            given[name] = _read_value(members[name].type, value, dotted, problems)
        else:
            problems.append(f"unknown setting {dotted}; see config.toml for all settings")
    missing = [name for name, member in members.items() if member.required and name not in given]
    problems += [f"{where}.{name} is missing" for name in missing]
    return None if missing else section(**given)


def _read_value(kind: Any, value: Any, dotted: str, problems: list[str]) -> Any:
    bare, limits = (get_args(kind)[0], get_args(kind)[1:]) if get_origin(kind) is Annotated else (kind, ())
    inner = get_args(bare)[0] if get_origin(bare) is tuple else bare
    if isinstance(inner, type) and issubclass(inner, Section):
        if inner is bare:
            return _read(inner, value, dotted, problems)
        if isinstance(value, list):
            return tuple(_read(inner, item, f"{dotted}.{number}", problems) for number, item in enumerate(value))
    elif isinstance(value, str):
        value = _read_text(bare, value)
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=_read_secret)
    except msgspec.ValidationError:
        problems.append(f"{dotted}: expected {_expected(bare, limits)}")
        return None


def _read_text(bare: Any, text: str) -> Any:
    """Prepare a text, as a variable has, for its conversion to a type."""
    if bare is Names:
        return tuple(item.strip() for item in text.split(",") if item.strip())
    if bare is bool:
        return _BOOLEANS.get(text.strip().lower(), text)
    return text.strip() if bare in (int, float) else text


def _read_secret(_kind: type, value: Any) -> Secret:
    if not isinstance(value, str):
        raise TypeError
    return Secret(value)


def _expected(bare: Any, limits: tuple[Any, ...]) -> str:
    """Return what a value should have been, in words; never the value, which may be a secret."""
    words = {int: "a whole number", float: "a number", bool: "true or false", Names: "names"}.get(bare, "a text")
    if get_origin(bare) is Literal:
        words = f"one of {', '.join(get_args(bare))}"
    elif get_origin(bare) is tuple and bare is not Names:
        words = "a list of tables"
    for limit in limits:
        if isinstance(limit, Meta):
            bounds = ((" from", limit.ge), (" above", limit.gt), (" to", limit.le))
            words += "".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
            words += ", not empty" if limit.min_length else ""
    return words
