"""The command ``s3ish replicate``: what a bucket holds goes to its destinations again, while a server runs or not."""

import click

from s3ish.cli.shell import config_option, load_settings, on_store, volumes_option


@click.command()
@click.argument("bucket")
@click.option(
    "--status",
    "states",
    multiple=True,
    type=click.Choice(("NONE", "FAILED", "COMPLETED")),
    help="Which versions, by their replication status; again for several. Without: NONE and FAILED.",
)
@volumes_option
@config_option
def replicate(bucket: str, states: tuple[str, ...], volumes: tuple[str, ...], config: str | None) -> None:
    """Replicate what BUCKET holds already.

    The rules are those that it has now. What failed is replicated, what is older than the rules (NONE), or what a
    destination has lost since (COMPLETED). A running server, or the next one, does it; 's3ish jobs' shows
    how far it is.
    """
    from s3ish.objects.replicating_again import replicate_again

    settings = load_settings(config, storage__volumes=volumes or None)
    on_store(settings, lambda store: replicate_again(store, bucket, states or ("NONE", "FAILED")))
