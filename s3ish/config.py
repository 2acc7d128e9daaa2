"""Settings: every one declared here, once, with its limits, its default and what it is.

The environment names a setting ``S3ISH_<SECTION>_<NAME>``; the commonest have short names, and the names that users of
other servers have in their files are understood too. ``config_sources`` reads them.
"""

import functools
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, structs

from s3ish import dropin

DEVELOPMENT_KEY = "s3ishadmin"
"""Access key and secret key where none are configured; such a server listens on loopback only."""


TEST_KEY = "test"
"""The same in the profile for tests, as test suites have it in their files."""
TEST_DOMAIN = "s3.localhost.localstack.cloud"
"""A name that leads to this machine for everybody, and that test suites have in their endpoints."""


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
MASTER_KEY_BYTES = 32
"""The length of a key that encrypts."""


class Section(msgspec.Struct, frozen=True):
    """A table of the configuration file."""


class ServerSettings(Section, frozen=True):
    """Where and how the server listens."""

    host: Annotated[str, Meta(min_length=1), "Address to listen on; 0.0.0.0 for all."] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), "Port to listen on; 0 for any free one."] = 9000
    workers: Annotated[
        int, Meta(ge=0, le=256), "Number of processes that serve requests; 0 for one a core, at most 8."
    ] = 0
    region: Annotated[str, Meta(min_length=1), "The region that requests are signed for."] = "us-east-1"
    any_region: Annotated[bool, "Take signatures for any region, and make buckets of any."] = False
    domains: Annotated[Names, "Names under which bucket.name addresses a bucket (virtual-hosted style)."] = ()
    url: Annotated[str, "The address that clients use, if it is another: of presigned URLs, and shown at start."] = ""
    website_domains: Annotated[
        Names, "Names under which bucket.name is the website of a bucket, or that are themselves the name of one."
    ] = ()
    cors_origins: Annotated[
        Names, "Origins whose pages may use buckets that have no CORS rules of their own; * stands for any text."
    ] = ()
    trusted_proxies: Annotated[
        Names, "Addresses or networks of proxies whose X-Forwarded headers (-For, -Proto, -Host, -Port, -Prefix) count."
    ] = ()
    public_hosts: Annotated[
        Names,
        Meta(max_length=16),
        "Hosts with their ports that signatures may be for beside the Host that arrives: localhost:9000.",
    ] = ()
    base_path: Annotated[str, "What paths begin with where a proxy serves the server under a path: /s3."] = ""
    init_folders: Annotated[
        Names, "Folders of scripts, .sh and .py, that are run against the server before others reach it."
    ] = ("/docker-entrypoint-init.d", "/etc/localstack/init/ready.d")
    init_timeout_seconds: Annotated[float, Meta(gt=0, le=86_400), "How long each of these scripts may take."] = 300
    header_bytes: Annotated[int, Meta(ge=1024), "Longest header section of a request, in bytes."] = 16384
    header_timeout_seconds: Annotated[float, Meta(gt=0), "How long a client may take to send its headers."] = 15.0
    body_timeout_seconds: Annotated[float, Meta(gt=0), "How long a client may send nothing within a body."] = 60.0
    idle_timeout_seconds: Annotated[int, Meta(gt=0), "How long an idle connection is kept."] = 75
    shutdown_seconds: Annotated[int, Meta(gt=0), "How long requests may take to finish after SIGTERM."] = 8
    max_connections: Annotated[
        int, Meta(ge=1), "Connections that a worker holds at once; a newcomer takes the place of the longest idle."
    ] = 10_000


class TlsSettings(Section, frozen=True):
    """TLS on the server's port."""

    certificates: Annotated[Names, "PEM files, each a certificate and its chain; several are chosen by host name."] = ()
    keys: Annotated[Names, "PEM files of their private keys, in the same order; empty if they hold the keys too."] = ()
    least_version: Annotated[Literal["1.2", "1.3"], "Oldest version of TLS that is spoken."] = "1.2"


class LimitsSettings(Section, frozen=True):
    """How much callers may ask of each worker; 0 for no limit."""

    requests: Annotated[int, Meta(ge=0), "Requests that a worker answers at once."] = 0
    uploads: Annotated[int, Meta(ge=0), "Of these, uploads of data."] = 0
    downloads: Annotated[int, Meta(ge=0), "Of these, downloads."] = 0
    user_requests: Annotated[int, Meta(ge=0), "Requests of one user that a worker answers at once."] = 0
    user_uploads: Annotated[int, Meta(ge=0), "Of these, uploads of data."] = 0
    user_downloads: Annotated[int, Meta(ge=0), "Of these, downloads."] = 0
    user_requests_per_second: Annotated[float, Meta(ge=0), "Requests a second that a user may begin on a worker."] = 0.0
    user_burst: Annotated[int, Meta(ge=0), "Requests that may come at once after a rest; 0 for those of a second."] = 0
    body_bytes: Annotated[int, Meta(ge=0), "Longest body of a request, in bytes; S3's own limit is 5 GiB."] = 0


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
    default_buckets: Annotated[Names, "Buckets made at start: name, then any of :public, :versioned and :lock."] = ()
    seed: Annotated[str, "Folder of folders, one a bucket, whose files become objects at start."] = ""


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
    policies: Names = ()


class OidcSettings(Section, frozen=True):
    """An identity provider (OpenID Connect) whose tokens are exchanged for temporary credentials.

    ``jwks_url`` is where its keys are; without it the provider says so itself.
    """

    issuer: Annotated[str, Meta(min_length=1)]
    audiences: Annotated[Names, Meta(min_length=1)]
    jwks_url: str = ""
    algorithms: Annotated[Names, Meta(min_length=1)] = ("RS256", "ES256")


class AuthSettings(Section, frozen=True):
    """Who may sign requests."""

    access_key: Annotated[str, "Access key of the root user."] = ""
    secret_key: Annotated[Secret, "Secret key of the root user."] = Secret("")
    from_aws_environment: Annotated[
        bool,
        "Whether AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY give the root user's keys where no other variable does.",
    ] = False
    allow_well_known_keys: Annotated[
        bool, "Listen to other machines with well-known keys: any client that reaches the server may do anything."
    ] = False
    signature_v2: Annotated[bool, "Accept Signature Version 2, by which boto3 and AWS CLI 1 presign by default."] = True
    users: Annotated[tuple[UserSettings, ...], "Further users: access_key, secret_key, id, display_name."] = ()
    oidc: Annotated[
        tuple[OidcSettings, ...],
        "Identity providers whose tokens are taken for sessions: issuer, audiences, jwks_url, algorithms.",
    ] = ()


class JobsSettings(Section, frozen=True):
    """What is done in the background."""

    scrub_days: Annotated[float, Meta(ge=0.001, le=3650), "Days in which all data is verified once."] = 30
    day_seconds: Annotated[
        float, Meta(ge=1, le=86_400), "How long a day of lifecycle rules is; less than 86400 is for tests."
    ] = 86_400
    restore_seconds: Annotated[
        float, Meta(ge=0, le=1_209_600), "How long a restore from GLACIER or DEEP_ARCHIVE takes; 0 is at once."
    ] = 0
    access_log_seconds: Annotated[
        float, Meta(ge=0.1, le=86400), "Seconds for which lines of an access log are gathered before they are stored."
    ] = 300


class QuotaSettings(Section, frozen=True):
    """How much buckets and owners may hold that have no quota of their own; 0 is any number."""

    bucket_bytes: Annotated[int, Meta(ge=0), "Most bytes in a bucket, all versions and parts of uploads; 0: any."] = 0
    bucket_objects: Annotated[int, Meta(ge=0), "Most objects in a bucket, with all their versions; 0: any."] = 0
    owner_bytes: Annotated[int, Meta(ge=0), "Most bytes in all buckets of an owner; 0: any."] = 0
    owner_objects: Annotated[int, Meta(ge=0), "Most objects in all buckets of an owner; 0: any."] = 0


class SelectSettings(Section, frozen=True):
    """What a query on an object (SelectObjectContent) may take; it needs the extra s3ish[select]."""

    memory_mib: Annotated[int, Meta(ge=64, le=65_536), "Most memory that the engine of a query may use, in MiB."] = 256
    seconds: Annotated[float, Meta(ge=0.1, le=3600), "How long a query may work, in seconds."] = 60
    at_once: Annotated[int, Meta(ge=1, le=256), "Queries that a worker runs at once; others wait."] = 2


class TargetSettings(Section, frozen=True):
    """A target of event notifications.

    ``arn`` is what configurations of buckets call it. ``url``, ``path`` and ``topic`` say where it is, as its kind
    needs it; ``secret`` signs what a webhook is sent, ``token`` is its bearer token, ``password`` that of the user in
    ``url``. ``ca_file`` has the authorities that are trusted for TLS, if not those of the system.
    """

    arn: Annotated[str, Meta(min_length=1)]
    kind: Literal["webhook", "file", "redis", "nats", "mqtt", "kafka", "amqp", "postgresql"]
    url: str = ""
    path: str = ""
    topic: str = ""
    secret: Secret = Secret("")
    token: Secret = Secret("")
    password: Secret = Secret("")
    ca_file: str = ""
    timeout_seconds: Annotated[float, Meta(gt=0, le=20)] = 10.0
    allow_link_local: bool = False


class NotificationsSettings(Section, frozen=True):
    """Where the events of buckets go."""

    backlog_events: Annotated[
        int, Meta(ge=1, le=100_000_000), "Most events that wait for a target; beyond that the oldest are dropped."
    ] = 100_000
    targets: Annotated[
        tuple[TargetSettings, ...],
        "Targets: arn, kind, url, path, topic, secret, token, password, ca_file, timeout_seconds, allow_link_local.",
    ] = ()


class ReplicaTargetSettings(Section, frozen=True):
    """A bucket of another server to which rules of replication may send.

    ``arn`` is what rules call it. Replicas in another ``s3ish`` keep their version ids; ``s3`` is any other server.
    ``ca_file`` has the authorities that are trusted for TLS, if not those of the system.
    """

    arn: Annotated[str, Meta(min_length=1)]
    endpoint: Annotated[str, Meta(min_length=1)]
    bucket: Annotated[str, Meta(min_length=1)]
    access_key: Annotated[str, Meta(min_length=1)]
    secret_key: Secret
    kind: Literal["s3ish", "s3"] = "s3ish"
    region: Annotated[str, Meta(min_length=1)] = "us-east-1"
    style: Literal["path", "virtual"] = "path"
    ca_file: str = ""
    timeout_seconds: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    allow_link_local: bool = False


class ReplicationSettings(Section, frozen=True):
    """Where objects are replicated to beside the buckets of this server."""

    targets: Annotated[
        tuple[ReplicaTargetSettings, ...],
        "Buckets of other servers: arn, kind, endpoint, bucket, region, access_key, secret_key, style.",
    ] = ()
    missing_target_seconds: Annotated[
        int, Meta(ge=0), "How long versions wait for a target that is not in the settings any more before they FAILED."
    ] = 604_800


class LogSettings(Section, frozen=True):
    """What is logged, and how."""

    level: Annotated[Literal["debug", "info", "warning", "error"], "Least level that is logged."] = "info"
    format: Annotated[Literal["auto", "json", "console"], "auto is JSON unless on a terminal."] = "auto"
    slow_request_ms: Annotated[
        int, Meta(ge=0), "A request that takes longer is logged with the time of its stages, in ms; 0 for none."
    ] = 0
    audit: Annotated[str, "File for one JSON line a request: who did what, and which rule decided. Empty: none."] = ""


class TracesSettings(Section, frozen=True):
    """Where it is sent how long each request took, stage by stage."""

    export: Annotated[
        bool, "Send a span for each request and its stages to an OpenTelemetry collector; needs the extra s3ish[otel]."
    ] = False
    endpoint: Annotated[
        str, "Where spans go: http://localhost:4318/v1/traces; empty: what OTEL_EXPORTER_OTLP_* variables say."
    ] = ""
    sample_ratio: Annotated[
        float,
        Meta(ge=0, le=1),
        "Share of requests that are traced; a caller that sends traceparent decides for its own.",
    ] = 1.0


class MetricsSettings(Section, frozen=True):
    """Who may read metrics."""

    token: Annotated[Secret, "Bearer token for /-/metrics; empty allows loopback only."] = Secret("")


class KeySettings(Section, frozen=True):
    """A named key that is made at start if there is none of its alias; ``id`` is a random one where it is not given."""

    alias: Annotated[str, Meta(pattern=r"^alias/(?!aws/)[a-zA-Z0-9/_-]{1,128}$")]
    id: Annotated[str, Meta(pattern=r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$")] = ""
    description: Annotated[str, Meta(max_length=8192)] = ""


class EncryptionSettings(Section, frozen=True):
    """Encryption of what is stored."""

    master_key: Annotated[
        Secret, "32 random bytes in base64 that encrypt what asks for encryption; empty: nothing is."
    ] = Secret("")
    previous_master_key: Annotated[Secret, "The master key before this one; what it encrypted stays readable."] = (
        Secret("")
    )
    everything: Annotated[bool, "Encrypt every new object, whether it asks for that or not."] = False
    customer_keys_need_tls: Annotated[
        bool, "Refuse keys of clients (SSE-C) that did not come over TLS, as a trusted proxy tells."
    ] = False
    keys: Annotated[
        tuple[KeySettings, ...],
        "Named keys (SSE-KMS) that are made at start if they are not there: alias, id, description.",
    ] = ()


class TestSettings(Section, frozen=True):
    """What stacks for tests are given."""

    profile: Annotated[
        bool, "Keep everything in memory, take signatures of any region, and answer test controls under /-/test."
    ] = False
    controls: Annotated[
        bool, "Answer test controls beside data on volumes, by one worker: snapshots, worlds, clock, faults, harm."
    ] = False
    token: Annotated[Secret, "Bearer token for the test controls; empty allows loopback only."] = Secret("")
    tables_active: Annotated[
        bool, "Say that metadata tables are ACTIVE, though none is made: Terraform waits for that, and fails without."
    ] = False
    memory_mib: Annotated[int, Meta(ge=1, le=1_048_576), "Most that objects may take in memory, in MiB."] = 1024
    worlds: Annotated[
        int, Meta(ge=0, le=100_000), "Most access keys test-<name> that have buckets, a clock and faults of their own."
    ] = 1000
    world_idle_seconds: Annotated[
        float, Meta(ge=1, le=1e7), "Seconds without a request after which what such a key has is removed."
    ] = 3600


class Settings(Section, frozen=True):
    """All settings."""

    server: ServerSettings = ServerSettings()
    tls: TlsSettings = TlsSettings()
    limits: LimitsSettings = LimitsSettings()
    storage: StorageSettings = StorageSettings()
    erasure: ErasureSettings = ErasureSettings()
    auth: AuthSettings = AuthSettings()
    encryption: EncryptionSettings = EncryptionSettings()
    jobs: JobsSettings = JobsSettings()
    quotas: QuotaSettings = QuotaSettings()
    select: SelectSettings = SelectSettings()
    notifications: NotificationsSettings = NotificationsSettings()
    replication: ReplicationSettings = ReplicationSettings()
    log: LogSettings = LogSettings()
    traces: TracesSettings = TracesSettings()
    metrics: MetricsSettings = MetricsSettings()
    test: TestSettings = TestSettings()

    @property
    def is_development(self) -> bool:
        """Whether the documented development pair is in use."""
        return not self.auth.access_key

    @property
    def root_keys(self) -> tuple[str, str]:
        """Access key and secret key of the root user."""
        if self.is_development:
            return (TEST_KEY, TEST_KEY) if self.test.profile else (DEVELOPMENT_KEY, DEVELOPMENT_KEY)
        return self.auth.access_key, self.auth.secret_key.reveal()

    @property
    def domains(self) -> tuple[str, ...]:
        """Names under which ``bucket.name`` addresses a bucket; in the profile for tests those of LocalStack too."""
        return (*self.server.domains, TEST_DOMAIN) if self.test.profile else self.server.domains


TABLE_LISTS = ("auth.oidc", "auth.users", "encryption.keys", "notifications.targets", "replication.targets")
"""Settings that are lists of tables, which only a file can give."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "server.host": ("S3ISH_HOST", "GATEWAY_LISTEN", "MOTO_HOST"),
    "server.port": ("S3ISH_PORT", "GATEWAY_LISTEN", "MOTO_PORT"),
    "server.workers": ("S3ISH_WORKERS",),
    "server.region": ("S3ISH_REGION", *dropin.REGION),
    "server.url": ("S3ISH_URL", "MINIO_SERVER_URL"),
    "server.domains": ("S3ISH_DOMAINS", "MINIO_DOMAIN"),
    "server.cors_origins": ("S3ISH_CORS_ORIGINS", "MINIO_API_CORS_ALLOW_ORIGIN"),
    "storage.volumes": ("S3ISH_VOLUMES", "MINIO_VOLUMES", *dropin.ROOTS),
    "storage.fsync": ("S3ISH_FSYNC",),
    "storage.default_buckets": ("S3ISH_DEFAULT_BUCKETS", *dropin.BUCKETS),
    "storage.seed": ("S3ISH_SEED",),
    "test.profile": ("S3ISH_TEST",),
    "auth.allow_well_known_keys": ("S3ISH_ALLOW_WELL_KNOWN_KEYS",),
    "encryption.master_key": ("S3ISH_MASTER_KEY", "MINIO_KMS_SECRET_KEY"),
    "encryption.everything": ("S3ISH_ENCRYPT_EVERYTHING", "MINIO_KMS_AUTO_ENCRYPTION"),
    "auth.access_key": (
        "S3ISH_ACCESS_KEY",
        "MINIO_ROOT_USER",
        "MINIO_ACCESS_KEY",
    ),
    "auth.secret_key": (
        "S3ISH_SECRET_KEY",
        "MINIO_ROOT_PASSWORD",
        "MINIO_SECRET_KEY",
    ),
}
"""Other names of a setting in the environment, the first that is set winning; ours come first."""


BUCKET_OPTIONS = frozenset(("lock", "public", "versioned"))
"""What a bucket that is made at start can be: read by everybody, keeping all versions, having locks."""


def read_bucket(text: str) -> tuple[str, frozenset[str]]:
    """Return the name and the options of ``name:option:option``; what is none of the options is among them."""
    name, *options = text.split(":")
    return name, frozenset(options)


@functools.cache
def members(section: type[Section]) -> dict[str, structs.FieldInfo]:
    """Return the settings of a section, or the sections of all settings, by name."""
    return {member.name: member for member in structs.fields(section)}


def fields() -> dict[str, str]:
    """Return every setting: its dotted name, and what it is."""
    return {
        f"{section}.{name}": next(text for text in get_args(member.type) if isinstance(text, str))
        for section, table in members(Settings).items()
        for name, member in members(table.type).items()
    }


def variables(dotted: str) -> tuple[str, ...]:
    """Return the environment variables of a setting, by precedence."""
    return (*(ALIASES.get(dotted, ())[:1]), "S3ISH_" + dotted.replace(".", "_").upper(), *ALIASES.get(dotted, ())[1:])
