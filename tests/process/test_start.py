"""What a start does without, so that the first answer comes soon."""

import subprocess
import sys

DEFERRED = (
    "anyio",
    "awscrt",
    "boto3",
    "jinja2",
    "lxml",
    "prometheus_client",
    "pydantic",
    "rich",
    "starlette",
    "tomllib",
    "zfec",
)
"""Packages that no first answer needs: each has cost a tenth of the start or more, or would."""


def test_what_no_first_answer_needs_is_not_imported():
    code = "import sys, s3ish.__main__, s3ish.app, s3ish.process.start, s3ish.process.serve; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "s3ish.api.catalogue" in found
    assert [name for name in DEFERRED if name in found] == []


def test_what_only_volumes_need_is_not_imported_for_tests():
    code = (
        "import sys, s3ish.__main__, s3ish.cli.main, s3ish.worlds.memory_app, s3ish.process.serve_memory;"
        "print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "s3ish.api.catalogue" in found
    volumes = ("s3ish.blob.erasure", "s3ish.blob.volumes", "s3ish.index.sqlite", "s3ish.process.supervisor", "apsw")
    assert [name for name in found if name.startswith((*volumes, *DEFERRED))] == []
