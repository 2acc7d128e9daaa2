"""The command line.

Errors are one line on standard error that says what to do. Exit codes: 0 a clean end, 1 a failure, 2 wrong usage, 78 a
configuration that cannot be used. What a command needs is imported when it runs.
"""

import functools
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from shlex import quote

import click
from msgspec.structs import replace

from s3ish import __version__, dropin
from s3ish.cli import admin, upkeep
from s3ish.cli.explain import explain
from s3ish.cli.keys import key
from s3ish.cli.manual import completion, man
from s3ish.cli.quotas import quota
from s3ish.cli.replicate import replicate
from s3ish.cli.shell import EX_CONFIG, EX_FAILURE
from s3ish.cli.shell import config_option as _config_option
from s3ish.cli.shell import endpoint_of as _endpoint
from s3ish.cli.shell import fail as _fail
from s3ish.cli.shell import folders as _folders
from s3ish.cli.shell import listening as _listening
from s3ish.cli.shell import load_settings as _load
from s3ish.cli.shell import named_settings as _named_settings
from s3ish.cli.shell import printable as _printable
from s3ish.cli.shell import volumes_argument as _volumes_argument
from s3ish.clock import Clock
from s3ish.config import Settings
from s3ish.config_sources import key_source, shell_secret, variables_used

_SERVE_EPILOG = """\b
Examples:
  s3ish serve
  s3ish serve /mnt/drive1 /mnt/drive2 /mnt/drive3 --port 9001
  S3ISH_ACCESS_KEY=root S3ISH_SECRET_KEY="$(openssl rand -hex 24)" \\
    s3ish serve /srv/s3 --host 0.0.0.0

\b
Environment:
  S3ISH_ACCESS_KEY, S3ISH_SECRET_KEY   keys of the root user; without them
                                       well-known ones, for this machine only
  S3ISH_SECRET_KEY_FILE                a file with it; so for every setting
  MINIO_ROOT_USER, MINIO_ROOT_PASSWORD, MINIO_VOLUMES and others of MinIO
  and S3Mock                           are understood: docs/replacing.md
  S3ISH_VOLUMES, S3ISH_HOST, S3ISH_PORT, S3ISH_WORKERS, S3ISH_REGION,
  S3ISH_URL, S3ISH_DOMAINS, S3ISH_FSYNC, S3ISH_DEFAULT_BUCKETS, S3ISH_SEED,
  S3ISH_ALLOW_WELL_KNOWN_KEYS, S3ISH_TEST, S3ISH_CORS_ORIGINS,
  S3ISH_ENCRYPT_EVERYTHING
  S3ISH_TLS_CERTIFICATES, S3ISH_TLS_KEYS
                                       PEM files: serve HTTPS (see s3ish cert)
  S3ISH_MASTER_KEY                     under which the keys of objects are
                                       encrypted
  S3ISH_TRACES_EXPORT                  true: spans of requests go where
                                       OTEL_EXPORTER_OTLP_ENDPOINT says
  S3ISH_CONFIG                         a TOML file of settings
  S3ISH_<SECTION>_<NAME>               any setting, like S3ISH_LOG_FORMAT=json
  NO_COLOR                             no colours on a terminal

Flags win over the environment, the environment over the file."""


_AS_MINIO = "s3ish.as_minio"


class _WithOptions(click.Command):
    """A command that takes options from ``MINIO_OPTS``, too; those of its line count where both are given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See ``click.Command``."""
        try:
            options = dropin.options_of(os.environ)
        except ValueError as error:
            raise click.UsageError(str(error), ctx) from error
        return super().parse_args(ctx, [*options, *args])


class _Commands(click.Group):
    """The commands, also with the word ``minio`` before them, as start lines for its image have it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See ``click.Command``."""
        ctx.meta[_AS_MINIO] = args[:1] == ["minio"]
        return super().parse_args(ctx, args[1:] if ctx.meta[_AS_MINIO] else args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="s3ish")
def main() -> None:
    """An S3-compatible object storage server."""


for _command in (key, quota, replicate, explain, *admin.GROUPS, *upkeep.COMMANDS, completion, man):
    main.add_command(_command)


@main.command(epilog=_SERVE_EPILOG)
@_volumes_argument
@click.option("--host", help="Address to listen on.  [env: S3ISH_HOST; default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on, 0 for any.  [env: S3ISH_PORT; default: 9000]")
@click.option("--workers", type=int, help="Processes that serve, 0 for one a core.  [env: S3ISH_WORKERS; default: 0]")
@click.option(
    "--bucket",
    "buckets",
    multiple=True,
    metavar="NAME[:public][:versioned][:lock]",
    help="A bucket made at start; repeatable.",
)
@click.option(
    "--seed",
    metavar="DIR",
    help="Folder of folders, one a bucket, whose files become objects at start.",
    shell_complete=_folders,
)
@click.option("--test", is_flag=True, help="For tests: all in memory, keys test/test, test controls under /-/test.")
@click.option("--accept-loss", is_flag=True, help="Begin though more drives are lost than parity makes up for.")
@_config_option
def serve(
    volumes: tuple[str, ...],
    host: str | None,
    port: int | None,
    workers: int | None,
    buckets: tuple[str, ...],
    seed: str | None,
    test: bool,
    accept_loss: bool,
    config: str | None,
) -> None:
    """Serve directories, one a drive.

    Each VOLUME is a directory on a drive of its own; without any it is ./s3-data.
    """
    _serve(
        _load(
            config,
            storage__volumes=volumes or None,
            server__host=host,
            server__port=port,
            server__workers=workers,
            storage__default_buckets=buckets or None,
            storage__seed=seed,
            test__profile=True if test else None,
        ),
        accept_loss=accept_loss,
    )


@main.command(cls=_WithOptions)
@_volumes_argument
@click.option(
    "--address", envvar="MINIO_ADDRESS", help="[HOST]:PORT to listen on; no HOST for all addresses.  [default: :9000]"
)
@click.option("--port", type=int, help="Port to listen on, in place of that of the address.")
@click.option("--console-address", help="There is no console: this is ignored.")
@click.option("--certs-dir", "-S", type=click.Path(), help="Folder of public.crt and private.key: serve HTTPS.")
@click.option("--quiet", is_flag=True, hidden=True)
@click.option("--anonymous", is_flag=True, hidden=True)
@click.option("--json", "as_json", is_flag=True, help="Log in JSON.")
@_config_option
def server(
    volumes: tuple[str, ...],
    address: str | None,
    port: int | None,
    console_address: str | None,
    certs_dir: str | None,
    quiet: bool,
    anonymous: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Serve directories, started as MinIO is.

    Each VOLUME is a directory on a drive of its own, or several: /mnt/drive{1...4}. Unlike serve it listens on all
    addresses unless one is named, and so wants keys of your own; it takes signatures for any region unless one is
    named; and it lets pages of this machine use buckets without CORS rules unless origins are named.
    """
    ignored = {"--console-address": console_address, "--quiet": quiet, "--anonymous": anonymous}
    if names := [name for name, given in ignored.items() if given]:
        click.echo(f"s3ish: ignored, for there is nothing like it: {', '.join(names)}", err=True)
    host, named = None, _named_settings(config)
    try:
        if address:
            host, given = dropin.split_address(address)
            host, port = host or dropin.ALL_ADDRESSES, given if port is None else port
        elif "server.host" not in named:
            host = dropin.ALL_ADDRESSES
        directories = dropin.expand(volumes)
        certificates, keys = dropin.certificates_in(certs_dir) if certs_dir is not None else ((), ())
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    settings = _load(
        config,
        storage__volumes=directories or None,
        server__host=host,
        server__port=port,
        tls__certificates=certificates or None,
        tls__keys=keys or None,
        server__any_region=None if {"server.region", "server.any_region"} & {*named} else True,
        server__cors_origins=None if "server.cors_origins" in named else dropin.OWN_PAGES,
        log__format="json" if as_json else None,
    )
    folders: list[Path] = []
    if click.get_current_context().meta[_AS_MINIO]:
        storage = settings.storage
        folders = dropin.folders_for_buckets(storage.volumes)
        names = sorted({folder.name for folder in folders})
        settings = replace(settings, storage=replace(storage, default_buckets=(*storage.default_buckets, *names)))
    _serve(settings, folders=folders, flags=dropin.FLAGS)


def _serve(
    settings: Settings, *, accept_loss: bool = False, folders: Iterable[Path] = (), flags: Iterable[str] = ()
) -> None:
    """Serve until the end.

    Args:
        folders: empty ones on the volumes, which are in the way there, and whose names buckets have instead.
        flags: variables that stand for flags.
    """
    if unused := [name for name in variables_used()[1] if name not in flags]:
        click.echo(f"s3ish: variables that are not used: {_printable(', '.join(unused))}", err=True)
    if settings.test.profile:
        _serve_memory(settings)
    else:
        _serve_volumes(settings, accept_loss=accept_loss, folders=folders)


def _serve_memory(settings: Settings) -> None:
    """Serve from memory, for tests."""
    from s3ish.engines import make_audit, make_traces
    from s3ish.http.certificates import CertificateError
    from s3ish.observe import audit
    from s3ish.observe.logs import set_up_logs
    from s3ish.process import serve as run
    from s3ish.process import serve_memory
    from s3ish.worlds.memory_app import MemoryApplication

    run.keep_memory_small()
    if settings.storage.volumes != Settings().storage.volumes:
        click.echo("s3ish: volumes are ignored: the profile for tests keeps everything in memory", err=True)
    try:
        certificates = run.certificates_of(settings, Clock())
        audit.require(settings.log.audit)
        with run.bind(settings.server.host, settings.server.port) as bound:
            port = bound.getsockname()[1]
            log = set_up_logs(settings.log.level, settings.log.format, Clock())
            application = MemoryApplication(settings, log, make_audit(settings), make_traces(settings, Clock()))
            serve_memory.serve(settings, application, bound, lambda: _greet(settings, port), certificates)
    except CertificateError as error:
        _fail(str(error), EX_CONFIG)
    except OSError as error:
        _fail(str(error))


def _serve_volumes(settings: Settings, *, accept_loss: bool, folders: Iterable[Path]) -> None:
    from s3ish import app
    from s3ish.blob.protocol import BlobError
    from s3ish.errors import S3Error
    from s3ish.http.certificates import CertificateError
    from s3ish.index.protocol import IndexFailure
    from s3ish.observe import audit
    from s3ish.process import predecessor, start
    from s3ish.process import serve as run
    from s3ish.process.init import initialize
    from s3ish.shared_mark import SharedMark

    run.keep_memory_small()
    settings, clock = run.with_workers(settings), Clock()
    try:
        certificates = run.certificates_of(settings, clock)
        audit.require(settings.log.audit)
        predecessor.await_end(settings, clock)
        # the port first: a server that cannot have it changes nothing on the volumes
        with run.bind(settings.server.host, settings.server.port) as bound:
            port = bound.getsockname()[1]
            for folder in folders:
                folder.rmdir()
            with (
                run.metrics_directory(settings.server.workers),
                start.prepare(settings, clock, accept_loss=accept_loss) as preparation,
            ):
                create = functools.partial(app.create, SharedMark.for_programs())
                initialize(settings, clock, create, preparation)
                greet = functools.partial(_greet, settings, port)
                run.run(settings, clock, create, app.create_standby, preparation, bound, greet, certificates)
    except CertificateError as error:
        _fail(str(error), EX_CONFIG)
    except (BlobError, IndexFailure, S3Error, run.CannotListen, OSError) as error:
        _fail(str(error))


def _greet(settings: Settings, port: int) -> None:
    """Print where the server is, and a line to paste; notify the service manager."""
    from s3ish.process.notify import notify_ready

    endpoint = _endpoint(settings, port)
    access_key, secret = settings.root_keys
    where = "from memory, for tests" if settings.test.profile else ", ".join(settings.storage.volumes)
    lines = [
        f"s3ish {__version__} serves {where}",
        f"  endpoint    {endpoint}",
        f"  access key  {access_key}",
        f"  keys        {key_source(settings)}",
    ]
    if settings.is_development:
        lines.insert(-1, f"  secret key  {secret}  (well known: for development and tests only)")
    used, _ = variables_used()
    if shown := [f"{dotted} by {name}" for dotted, name in used.items() if not dotted.startswith("auth.")]:
        lines.append(f"  settings    {', '.join(shown)}")
    if settings.auth.allow_well_known_keys:
        lines.append("  WARNING: well-known keys are allowed: any client that reaches this server may do anything")
    if settings.test.profile or settings.test.controls:
        allowed = "with test.token" if settings.test.token else "for this machine"
        lines.append(f"  controls    {endpoint}/-/test/…  ({allowed}): docs/testing.md")
    if not (settings.test.profile or settings.storage.fsync):
        lines.append("  WARNING: storage.fsync is off: a power cut loses what was answered as stored")
    variables = f"AWS_ACCESS_KEY_ID={quote(access_key)} AWS_SECRET_ACCESS_KEY={shell_secret(settings)}"
    lines.append(
        f"  try         {variables} AWS_DEFAULT_REGION={quote(settings.server.region)} "
        f"aws --endpoint-url {quote(endpoint)} s3 ls"
    )
    lines.append("Ready.")  # for those who wait for this word, as they do for LocalStack's
    click.echo("\n".join(map(_printable, lines)), err=False)
    sys.stdout.flush()
    notify_ready()


@main.command()
@click.argument("target", metavar="s3://BUCKET[/KEY]")
@click.option(
    "--method",
    type=click.Choice(("GET", "HEAD", "PUT", "POST", "DELETE"), case_sensitive=False),
    default="GET",
    show_default=True,
    help="The method that the URL allows.",
)
@click.option("--expires", default=3600, show_default=True, help="Seconds that the URL is valid, up to 604800.")
@click.option(
    "--endpoint-url",
    envvar=["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
    show_envvar=True,
    help="Where the server is reached; host and port of the settings if it is not given.",
)
@_config_option
def presign(target: str, method: str, expires: int, endpoint_url: str | None, config: str | None) -> None:
    """Print a URL that allows a client one request."""
    from s3ish.auth.credentials import User
    from s3ish.auth.presign import presign as make
    from s3ish.errors import S3Error
    from s3ish.model import Owner
    from s3ish.wire.names import check_bucket_name

    scheme, separator, path = target.partition("://")
    bucket, _, key = path.partition("/")
    if scheme != "s3" or not separator or not bucket:
        raise click.UsageError(f"{target} is not of the form s3://BUCKET/KEY")
    try:
        check_bucket_name(bucket)
    except S3Error as error:
        raise click.UsageError(f"{bucket} is no valid name of a bucket") from error
    settings = _load(config)
    if not endpoint_url and not settings.server.port:
        raise click.UsageError("server.port is 0, any free one: give --endpoint-url")
    access_key, secret_key = settings.root_keys
    user = User(access_key, secret_key, Owner(access_key), root=True)
    try:
        url = make(
            user,
            method,
            endpoint_url or _endpoint(settings),
            bucket,
            key,
            expires_seconds=expires,
            now=Clock().now(),
            region=settings.server.region,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(url)


@main.command()
@click.option("--endpoint-url", default="", help="The server to ask; if empty, that of the settings.")
@click.option("--timeout", default=4.0, show_default=True, metavar="SECONDS", help="How long it may take to answer.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@_config_option
def healthcheck(endpoint_url: str, timeout: float, as_json: bool, config: str | None) -> None:
    """Tell by the exit code whether the server is ready.

    It is 0 if the server is, else 1. It asks where the settings have the server listen, with TLS if they have
    certificates, of which it verifies none: it tells whether a server is ready, not whose it is.
    """
    import msgspec

    from s3ish.cli.health import ask

    settings = _load(config)
    if not endpoint_url and not settings.server.port:
        raise click.UsageError("server.port is 0, any free one: give --endpoint-url")
    try:
        health = ask(endpoint_url or _listening(settings), timeout, Clock())
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(msgspec.json.encode(health).decode())
        sys.exit(0 if health.ready else EX_FAILURE)
    if not health.ready:
        _fail(health.reason)


@main.command()
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A name or address of the server; repeatable.")
@click.option("--out", default="s3ish-tls", show_default=True, metavar="DIR", help="Where the files go.")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long it is valid.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
def cert(hosts: tuple[str, ...], out: str, days: int, force: bool) -> None:
    """Make a certificate for development.

    It is for localhost and the hosts that are named, and is vouched for by an authority of its own, whose key is not
    kept: clients that trust it trust this certificate and no other.
    """
    from pathlib import Path

    from s3ish.cli import cert as certificates

    names = list(dict.fromkeys(("localhost", "*.localhost", "127.0.0.1", "::1", *hosts)))
    try:
        written = certificates.write(Path(out).absolute(), names, Clock().now(), days, replace=force)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        _fail(f"{error.strerror or error}" + ("" if force else "; --force replaces files"))
    authority, certificate, key = (quote(str(path)) for path in written[:3])
    click.echo(f"a certificate for {', '.join(names)}, valid until {written.until:%Y-%m-%d}")
    click.echo(f"  serve  S3ISH_TLS_CERTIFICATES={certificate} S3ISH_TLS_KEYS={key} s3ish serve")
    click.echo(f"  trust  export AWS_CA_BUNDLE={authority}")
    click.echo(f"         curl --cacert {authority} https://localhost:9000/-/ready")
