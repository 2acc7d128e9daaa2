"""The commands that look after a store: its index, volumes, usage and jobs, while a server runs or not."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

import click

from s3ish.cli.shell import (
    EX_FAILURE,
    config_option,
    fail,
    json_option,
    load_settings,
    printable,
    say_none,
    show_json,
    volumes_argument,
    volumes_option,
)
from s3ish.clock import Clock
from s3ish.config import Settings

JOBS = ("garbage", "orphans", "lifecycle", "inventory")
"""The jobs of ``app.jobs``, by name, known without what they need."""


@click.group()
def index() -> None:
    """The index of the store."""


@index.command("rebuild")
@volumes_argument
@json_option
@config_option
def index_rebuild(volumes: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Build the index anew from the sidecars on the volumes; the server must be stopped."""
    from s3ish.blob.protocol import BlobError
    from s3ish.index.protocol import IndexFailure
    from s3ish.process import start

    settings = load_settings(config, storage__volumes=volumes or None)
    shown = sys.stderr.isatty()

    def progress(blobs: int) -> None:
        if shown:
            click.echo(f"\rrebuilding: {blobs:,} blobs read", err=True, nl=False)

    try:
        found = start.rebuild_index(settings, Clock(), progress)
    except (BlobError, IndexFailure, OSError) as error:
        fail(str(error))
    finally:
        if shown:
            click.echo("\r\033[K", err=True, nl=False)
    if as_json:
        show_json(**found)
        return
    click.echo(", ".join(f"{count} {kind}" for kind, count in sorted(found.items())) or "the volumes are empty")


@click.command()
@volumes_argument
@click.option("--repair", is_flag=True, help="Write anew what is damaged, remove what nothing names.")
@json_option
@config_option
def check(volumes: tuple[str, ...], repair: bool, as_json: bool, config: str | None) -> None:
    """Verify every shard, sidecar and row.

    Their checksums are verified, and each is held against the others. What buckets and owners hold is counted again.
    Works beside a running server. Exit code 1 if something is damaged and was not repaired.
    """
    _check(load_settings(config, storage__volumes=volumes or None), repair=repair, as_json=as_json)


@click.command()
@volumes_argument
@json_option
@config_option
def heal(volumes: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Give every drive what it should hold: check --repair.

    For a drive that was replaced by an empty directory.
    """
    _check(load_settings(config, storage__volumes=volumes or None), repair=True, as_json=as_json)


@click.command("volumes")
@volumes_argument
@json_option
@config_option
def list_volumes(volumes: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Show the state of each volume.

    Its place in the set, its state, its free space and what it lacks. The state is what writing a small file to it
    shows. What it lacks is what the last look at everything (a pass of the scrub, or a check) found, or the pass under
    way if that has found more. Exit code 1 if a volume is not ok or the index has gaps.
    """
    from s3ish.blob.protocol import BlobError
    from s3ish.cli import store as commands

    settings = load_settings(config, storage__volumes=volumes or None)
    try:
        states, known, gaps, reasons = commands.survey(settings, Clock())
    except BlobError as error:
        fail(str(error))
    looked = datetime.fromtimestamp(known.looked_ns / 1e9, UTC) if known and known.looked_ns else None
    for position, root, state, free in states:
        lacking = max(known.lacked.get(position, 0), known.lacking.get(position, 0)) if known else None
        if as_json:
            show_json(volume=position, root=root, state=state, free_bytes=free, incomplete_blobs=lacking)
            continue
        space = "" if free is None else f"{free / 2**30:10.1f} GiB free"
        shown = "unknown" if lacking is None else lacking
        click.echo(f"{position:3}  {state:12} {space:20}  {shown:>8} incomplete blobs  {root}")
    if as_json:
        scrubbed, count = known and known.ratio, None if gaps is None else len(gaps)
        show_json(out_of_reach=reasons, looked_at=looked, scrubbed_ratio=scrubbed, index_gaps=count)
    else:
        for reason in reasons:
            click.echo(f"out of reach: {reason}")
        if known:
            when = f"{looked:%Y-%m-%d %H:%M} UTC" if looked else "never"
            click.echo(f"everything was looked at: {when}; the pass of the scrub is at {known.ratio:.0%}")
        if gaps:
            click.echo(f"the index has {len(gaps)} gaps; s3ish check lists them")
    sys.exit(EX_FAILURE if gaps or any(volume.state != "ok" for volume in states) else 0)


@click.command()
@volumes_argument
@json_option
@config_option
def du(volumes: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Show how much each bucket and each owner holds.

    Bytes are those of all versions as clients sent them, without parity; those of the parts of unfinished uploads stand
    beside them. Buckets that hold nothing are left out. Nothing is walked: the numbers are counters.
    """
    from s3ish.blob.protocol import BlobError
    from s3ish.cli import reports
    from s3ish.index.protocol import IndexFailure

    settings = load_settings(config, storage__volumes=volumes or None)
    try:
        found = reports.holdings(settings)
    except (BlobError, IndexFailure, OSError) as error:
        fail(str(error))
    for line in reports.usage_lines(found, as_json=as_json):
        click.echo(printable(line))
    if not as_json and not found.owners:
        say_none("nothing is stored")
    if not found.counted:
        click.echo("s3ish: not all is counted yet; the next start of a server counts", err=True)


@click.command()
@volumes_argument
@json_option
@config_option
def jobs(volumes: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Show what each background job is at.

    When it ran last and runs next (UTC), how many steps it did and how many failed, and where it is. A job that works
    notes this every few seconds. What no server has runs when one is started. Exit code 1 if the last step of one
    failed.
    """
    from s3ish.blob.protocol import BlobError
    from s3ish.cli import reports
    from s3ish.index.protocol import IndexFailure

    settings = load_settings(config, storage__volumes=volumes or None)
    try:
        found = reports.jobs_of(settings)
    except (BlobError, IndexFailure, OSError) as error:
        fail(str(error))
    for line in reports.job_lines(found, as_json=as_json):
        click.echo(printable(line))
    if not as_json and not any(job.holder for job in found):
        say_none("no server runs here now; the next one does these jobs")
    sys.exit(EX_FAILURE if any(job.state.error for job in found) else 0)


def _check(settings: Settings, *, repair: bool, as_json: bool) -> NoReturn:
    from s3ish.blob.protocol import BlobError
    from s3ish.cli import store as commands
    from s3ish.index.protocol import IndexFailure
    from s3ish.integrity.inspect import Finding

    bar: Any = None

    def begin(rows: int) -> None:
        nonlocal bar
        bar = click.progressbar(length=rows, label="checking", file=sys.stderr)
        bar.render_progress()

    def report(finding: Finding) -> None:
        if as_json:
            show_json(**finding._asdict())
            return
        click.echo(f"{finding.state}: {printable(finding.name)}: {', '.join(finding.problems)}")

    try:
        done = commands.StoreCheck(
            settings, Clock(), repair=repair, report=report, begin=begin, advance=lambda: bar.update(1)
        ).run()
        bar.render_finish()
    except (BlobError, IndexFailure, OSError) as error:
        fail(str(error))

    for line in _counted(done.counts, done.volumes, as_json=as_json):
        click.echo(line)
    sys.exit(EX_FAILURE if done.counts["damaged"] or done.counts["lost"] else 0)


def _counted(counts: Counter[str], volumes: Mapping[int, Counter[str]], *, as_json: bool) -> Iterator[str]:
    """Yield the lines with what a check has counted: for each volume that lacked something, and in all."""
    states = ("damaged", "lost", "repaired", "orphan")
    if as_json:
        for position, lacked in sorted(volumes.items()):
            yield json.dumps(
                {"volume": position, "lacked": lacked.total()} | {state: lacked[state] for state in states}
            )
        yield json.dumps({name: counts[name] for name in ("blobs", "bytes", *states)})
        return

    def shown(found: Counter[str]) -> str:
        return ", ".join(f"{found[state]} {state}" for state in states if found[state]) or "all good"

    for position, lacked in sorted(volumes.items()):
        yield f"volume {position}: {lacked.total()} blobs lacked a shard or sidecar: {shown(lacked)}"
    yield f"{counts['blobs']} blobs of {counts['bytes']} bytes: {shown(counts)}"


@click.command()
@click.argument("name", type=click.Choice(JOBS))
@click.option("--once", is_flag=True, required=True, help="Run until there is nothing more to do.")
@volumes_option
@json_option
@config_option
def job(name: str, once: bool, volumes: tuple[str, ...], as_json: bool, config: str | None) -> None:  # noqa: ARG001
    """Run a background job now."""
    from s3ish.blob.protocol import BlobError
    from s3ish.cli import store as commands
    from s3ish.errors import S3Error
    from s3ish.index.protocol import IndexFailure

    try:
        steps = commands.run_job(load_settings(config, storage__volumes=volumes or None), Clock(), name)
    except (BlobError, IndexFailure, S3Error, OSError) as error:
        fail(str(error))
    if as_json:
        show_json(job=name, steps=steps)
        return
    click.echo(f"{name}: nothing more to do, after {steps} step{'s' if steps > 1 else ''}")


COMMANDS = (index, check, heal, list_volumes, du, jobs, job)
