"""The command that says why a request was refused, or whether one would be."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from s3ish.cli.admin import asks_server, show_answer
from s3ish.cli.shell import fail


@click.command()
@click.argument("request", required=False, metavar="[REQUEST-ID]")
@click.option(
    "--canonical", metavar="FILE", help="The canonical request of the client: shows the first line that differs."
)
@click.option("--caller", help="Decide instead: for a user, an access key, root or anonymous.")
@click.option("--action", help="What is asked, like s3:GetObject.")
@click.option("--resource", metavar="ARN", help="Of what, like arn:aws:s3:::bucket/key.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header of the request; repeatable.")
@click.option(
    "--query", "queries", multiple=True, metavar="NAME=VALUE", help="A parameter, like prefix=a/; repeatable."
)
@click.option(
    "--context",
    multiple=True,
    metavar="KEY=VALUE",
    help="The value of a condition key, in place of the one that the request would have; repeatable.",
)
@click.option("--source-ip", default="", help="Where it comes from.")
@click.option("--secure", is_flag=True, help="That it comes over TLS.")
@asks_server
def explain(
    server: Any,
    *,
    as_json: bool,
    request: str | None,
    canonical: str | None,
    caller: str | None,
    action: str | None,
    resource: str | None,
    headers: tuple[str, ...],
    queries: tuple[str, ...],
    context: tuple[str, ...],
    source_ip: str,
    secure: bool,
) -> None:
    """Say why a request was refused, or whether one would be.

    REQUEST-ID is in every answer (x-amz-request-id), in the log and in the errors of SDKs. Without it, and without
    --caller, the newest refusals are listed.
    """
    if request and not caller:
        answer = server.call("GET", "explain", request)["refusal"]
        show_answer(answer, _lines(answer, canonical), as_json=as_json)
    elif caller and not request:
        if not (action and resource):
            raise click.UsageError("--caller comes with --action and --resource")
        asked = {
            "caller": caller,
            "action": action,
            "resource": resource,
            "headers": _pairs(headers),
            "query": _pairs(queries),
            "context": _pairs(context),
            "source_ip": source_ip,
            "secure": secure,
        }
        answer = server.call("POST", "explain", body=asked)
        show_answer(answer, (_decided(answer), *_doubts(answer)), as_json=as_json)
    elif not request:
        answer = server.call("GET", "explain")
        lines = (_short(refusal) for refusal in answer["refusals"])
        show_answer(answer, lines, as_json=as_json, if_none="nothing was refused since the server began")
    else:
        raise click.UsageError("give a REQUEST-ID or --caller, not both")


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if not all(equals for _, equals, _ in pairs):
        raise click.UsageError("write NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _decided(answer: dict[str, Any]) -> str:
    decision, by = answer["decision"], answer["by"]
    return by if by.startswith(f"{decision} by ") else f"{decision}: {by}"


def _doubts(answer: dict[str, Any]) -> Iterator[str]:
    if not answer["bucket_exists"]:
        yield "There is no such bucket: the policies of the caller decided alone."


def _short(refusal: dict[str, Any]) -> str:
    what = f"{refusal['operation']} {refusal.get('bucket', '')}/{refusal.get('key', '')}".rstrip("/")
    who = refusal.get("access_key") or "anonymous"
    return f"{refusal['at']}  {refusal['request_id']}  {refusal['status']} {refusal['error']}  {what}  {who}"


def _lines(answer: dict[str, Any], canonical: str | None) -> Iterator[str]:
    yield _short(answer)
    yield answer["message"]
    if "reason" in answer:
        yield f"Reason: {answer['reason']}"
    ours = answer.get("canonical_request")
    if ours and canonical is None:
        yield "The server signed this canonical request; compare it with the client's:"
        yield from ("  " + line for line in ours.split("\n"))
    if canonical is not None:
        yield from _difference(ours or "", canonical)


def _difference(ours: str, file: str) -> Iterator[str]:
    """Yield what tells the first line in which two canonical requests differ."""
    try:
        theirs = Path(file).read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read {file}: {error}")
    if not ours:
        yield "The server keeps no canonical request of it: its signature was not what was wrong."
        return
    own, other = ours.split("\n"), theirs.split("\n")
    for number, (one, two) in enumerate(zip(own, other, strict=False), 1):
        if one != two and not one.endswith("(not shown)"):
            yield from (f"Line {number} differs.", f"  server: {one}", f"  client: {two}")
            return
    if len(own) != len(other):
        yield f"The server's has {len(own)} lines, the client's {len(other)}."
    else:
        yield "They are the same: the secret keys differ, or the dates or regions in the strings to sign."
