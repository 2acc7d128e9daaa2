"""The page ``docs/compatibility.md``, written from the results of a full run."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from compat.features import FEATURES, title
from compat.harness import FAIL, NOT_OFFERED, PASS

MARKS = {PASS: "pass", FAIL: "**FAIL**", NOT_OFFERED: "not offered"}


@dataclass(frozen=True)
class Run:
    """What became of one client."""

    client: str
    note: str
    lines: Sequence[Mapping[str, Any]]

    @property
    def version(self) -> str:
        """The version that the client told."""
        return next((line["version"] for line in self.lines if line["version"]), "?")

    def line(self, feature: str) -> Mapping[str, Any]:
        """Return the result of a feature; a client that did not come so far has failed it."""
        found = [line for line in self.lines if line["feature"] == feature]
        missing = {"result": FAIL, "seconds": 0, "detail": "the client's script ended before", "refused": {}}
        return found[0] if found else missing

    def count(self, result: str) -> int:
        """Return how many features had a result."""
        return sum(self.line(feature.__name__)["result"] == result for feature in FEATURES)


def write(runs: Sequence[Run], version: str) -> str:
    """Return the page for s3ish's ``version``."""
    totals = {result: sum(run.count(result) for run in runs) for result in MARKS}
    about = (
        f"Stock S3 clients against a server of s3ish {version} with stock settings and one worker, whose counts are "
        f"exact, on {datetime.now(UTC):%Y-%m-%d}, "
        f"Python {platform.python_version()}. Each client is told the endpoint, the keys and the region and nothing "
        "else, except where a note says so. Contents are compared by SHA-256."
    )
    total = (
        f"**{sum(totals.values())} checks: {totals[PASS]} passed, {totals[FAIL]} failed, {totals[NOT_OFFERED]} not "
        "offered by the client.**"
    )
    parts = [
        "# Compatibility",
        "This page is written by `make compat` from a real run; do not edit it.",
        "[Programs](programs.md) has other programs, and SDKs of other languages.",
        about,
        total,
        _table(runs),
        *_section("Failed", _details(runs, FAIL)),
        *_section("Notes", [f"- {run.client}: {run.note}" for run in runs if run.note]),
        *_section("Not offered by the client", _details(runs, NOT_OFFERED)),
        *_section("What the server saw", _operations(runs)),
        *_section("Asked for, and not built yet (501)", _unbuilt(runs)),
    ]
    return "\n\n".join(parts) + "\n"


def _section(name: str, lines: Sequence[str]) -> list[str]:
    return [f"## {name}", "\n".join(lines)] if lines else []


def _table(runs: Sequence[Run]) -> str:
    head = [
        "| Check | " + " | ".join(f"{run.client} {run.version}" for run in runs) + " |",
        "|---" * (len(runs) + 1) + "|",
    ]
    rows = [
        f"| {title(feature)} | " + " | ".join(MARKS[run.line(feature.__name__)["result"]] for run in runs) + " |"
        for feature in FEATURES
    ]
    return "\n".join(head + rows)


def _details(runs: Sequence[Run], result: str) -> list[str]:
    """Return a line for each reason that a client had, with the features that it stands for."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for feature in FEATURES:
            line = run.line(feature.__name__)
            if line["result"] == result:
                reason = line["detail"].removeprefix(f"{NOT_OFFERED} by the client: ")
                reasons.setdefault((run.client, reason), []).append(title(feature).lower())
    return [f"- {client}: {'; '.join(features)} ({reason})" for (client, reason), features in reasons.items()]


def _operations(runs: Sequence[Run]) -> list[str]:
    requests: Counter[str] = Counter()
    clients: dict[str, list[str]] = {}
    for run in runs:
        for line in run.lines:
            requests.update(line["operations"])
            for name in line["operations"]:
                if run.client not in clients.setdefault(name, []):
                    clients[name].append(run.client)
    rows = [f"| {name} | {count:,} | {', '.join(clients[name])} |" for name, count in requests.most_common()]
    return ["| Operation | Requests | Clients |", "|---|---:|---|", *rows] if rows else []


def _unbuilt(runs: Sequence[Run]) -> list[str]:
    asked: dict[str, list[str]] = {}
    for run in runs:
        for name in sorted({name for line in run.lines for name in line["refused"] if name.endswith(" 501")}):
            asked.setdefault(name.split()[0], []).append(run.client)
    return [f"- {name}, by {', '.join(clients)}, which went on without it" for name, clients in sorted(asked.items())]
