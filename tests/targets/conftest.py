"""Certificates and folders for servers of others."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from s3ish.cli import cert


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A function that makes the files of a certificate for a name, by an authority of its own."""

    def make(name):
        folder = tmp_path_factory.mktemp("tls")
        files = cert.write(folder, [name], datetime.now(UTC), days=1)
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.chmod(0o644)  # brokers change to a user of their own
        return files

    return make


@pytest.fixture
def open_folder():
    """An empty folder for a server that runs as another user: pytest's own folders are closed to them."""
    with tempfile.TemporaryDirectory(prefix="s3ish-") as name:
        yield Path(name)
