"""Settings: one model, read from flags, environment, a TOML file and defaults, in that order of precedence.

The environment names a setting ``S3ISH_<SECTION>_<NAME>``; the commonest have short names, and the names that users of
other servers have in their files are understood too. A key that is not known is an error that names it.
"""

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

DEVELOPMENT_KEY = "s3ishadmin"
"""Access key and secret key where none are configured; such a server listens on loopback only."""


class ConfigError(Exception):
    """The settings cannot be used; the text says which and what to do."""


def _split(value: Any) -> Any:
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]


class Section(BaseModel):
    """A table of the configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(Section):
    """Where and how the server listens."""

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(9000, ge=0, le=65535, description="Port to listen on; 0 for any free one.")
    workers: int = Field(1, ge=1, le=256, description="Number of processes that serve requests.")
    region: str = Field("us-east-1", min_length=1, description="The region that requests are signed for.")
    domains: Names = Field((), description="Names under which bucket.name addresses a bucket (virtual-hosted style).")
    header_bytes: int = Field(16384, ge=1024, description="Longest header section of a request, in bytes.")
    header_timeout_seconds: float = Field(15.0, gt=0, description="How long a client may take to send its headers.")
    body_timeout_seconds: float = Field(60.0, gt=0, description="How long a client may send nothing within a body.")
    idle_timeout_seconds: int = Field(75, gt=0, description="How long an idle connection is kept.")
    shutdown_seconds: int = Field(8, gt=0, description="How long requests may take to finish after SIGTERM.")
    max_connections: int = Field(10_000, ge=1, description="Connections that a worker holds at once.")


class StorageSettings(Section):
    """Where data lives."""

    volumes: Names = Field(("./s3-data",), min_length=1, description="Directories that hold the data, one a drive.")
    index: str = Field("", description="File of the index; empty for .s3ish/index.db on the first volume.")
    fsync: bool = Field(True, description="Flush before answering; false only for throw-away test stacks.")
    inline_bytes: int = Field(32768, ge=0, le=1048576, description="Objects up to this size live in index and sidecar.")
    stripe_bytes: int = Field(1048576, ge=65536, description="Data in one stripe of an erasure-coded object.")
    default_buckets: Names = Field((), description="Buckets made at start: name or name:versioned.")


class ErasureSettings(Section):
    """How objects are coded."""

    data: int = Field(2, ge=1, le=32, description="Data shards of an object.")
    parity: int = Field(1, ge=0, le=32, description="Parity shards: how many drives or shards may be lost.")
    coder: Literal["rs-cauchy-11d", "rs-zfec", "zfec"] = Field(
        "rs-cauchy-11d", description="The code; zfec needs the extra s3ish[zfec]."
    )

    @property
    def code(self) -> str:
        """The code's name as sidecars carry it."""
        return "rs-zfec" if self.coder == "zfec" else self.coder


class UserSettings(Section):
    """A user beside the root user."""

    access_key: str = Field(min_length=1)
    secret_key: SecretStr = Field(min_length=1)
    id: str = Field(min_length=1)
    display_name: str = ""


class AuthSettings(Section):
    """Who may sign requests."""

    access_key: str = Field("", description="Access key of the root user.")
    secret_key: SecretStr = Field(SecretStr(""), description="Secret key of the root user.")
    users: tuple[UserSettings, ...] = Field((), description="Further users: access_key, secret_key, id, display_name.")


class JobsSettings(Section):
    """What is done in the background."""

    scrub_days: float = Field(30, ge=0.001, le=3650, description="Days in which all data is verified once.")


class LogSettings(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    format: Literal["auto", "json", "console"] = Field("auto", description="auto is JSON unless on a terminal.")


class MetricsSettings(Section):
    """Who may read metrics."""

    token: SecretStr = Field(SecretStr(""), description="Bearer token for /-/metrics; empty allows loopback only.")


class Settings(Section):
    """All settings."""

    server: ServerSettings = ServerSettings.model_validate({})
    storage: StorageSettings = StorageSettings.model_validate({})
    erasure: ErasureSettings = ErasureSettings.model_validate({})
    auth: AuthSettings = AuthSettings.model_validate({})
    jobs: JobsSettings = JobsSettings.model_validate({})
    log: LogSettings = LogSettings.model_validate({})
    metrics: MetricsSettings = MetricsSettings.model_validate({})

    @property
    def is_development(self) -> bool:
        """Whether the documented development pair is in use."""
        return not self.auth.access_key

    @property
    def root_keys(self) -> tuple[str, str]:
        """Access key and secret key of the root user."""
        if self.is_development:
            return DEVELOPMENT_KEY, DEVELOPMENT_KEY
        return self.auth.access_key, self.auth.secret_key.get_secret_value()

    @property
    def index_path(self) -> Path:
        """The file of the index."""
        return Path(self.storage.index or Path(self.storage.volumes[0]) / ".s3ish" / "index.db")


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

_META = ("S3ISH_CONFIG", "S3ISH_ENDPOINT")
"""Variables that are not settings."""


def fields() -> dict[str, tuple[type[Section], str]]:
    """Return every setting that a variable can name: its dotted name, its section and its own name."""
    found = {}
    for section, info in Settings.model_fields.items():
        kind = info.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, Section)
        for name in kind.model_fields:
            found[f"{section}.{name}"] = (kind, name)
    return found


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
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(item) for item in error.errors())) from None
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Refuse settings that are valid one by one but not together. Raises ConfigError."""
    auth, host = settings.auth, settings.server.host
    if bool(auth.access_key) != bool(auth.secret_key.get_secret_value()):
        raise ConfigError("set both S3ISH_ACCESS_KEY and S3ISH_SECRET_KEY, or neither")
    if settings.is_development and not _is_loopback(host):
        raise ConfigError(
            f"refusing to listen on {host} with the well-known development credentials: set S3ISH_ACCESS_KEY and "
            "S3ISH_SECRET_KEY, or listen on 127.0.0.1"
        )
    keys = [settings.root_keys[0], *(user.access_key for user in auth.users)]
    if len(set(keys)) != len(keys):
        raise ConfigError("auth.users: two users have the same access key")
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


def _explain(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown setting {where}; see config.toml for all settings"
    return f"{where}: {error['msg']}"
