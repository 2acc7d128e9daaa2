"""A server of s3ish for one run: on a free port, on a temporary folder, with keys of its own and stock settings."""

import contextlib
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from compat.client import Account

START_SECONDS = 30
STOP_SECONDS = 30
REGION = "us-east-1"
_ENDPOINT = re.compile(r"^ +endpoint +(https?://\S+)$", re.MULTILINE)


@contextlib.contextmanager
def serve(log: Path, **settings: str) -> Iterator[Account]:
    """Serve until the block ends; what the server says goes to ``log``.

    Args:
        settings: variables of the environment beside the keys.

    Raises:
        RuntimeError: the server did not start, or did not end cleanly.
    """
    access_key, secret_key = f"compat{secrets.token_hex(7)}", secrets.token_hex(20)
    keys = {"S3ISH_ACCESS_KEY": access_key, "S3ISH_SECRET_KEY": secret_key}
    own = {name: value for name, value in os.environ.items() if not name.startswith(("S3ISH_", "MINIO_", "AWS_"))}
    with tempfile.TemporaryDirectory(prefix="s3ish-compat-data-") as folder, log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "s3ish", "serve", folder, "--port", "0"],
            env=own | keys | settings,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Account(_endpoint(process, log), access_key, secret_key, REGION)
            process.terminate()
            code = process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()
    if code:
        raise RuntimeError(f"the server ended with code {code}")


def _endpoint(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := _ENDPOINT.search(log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text()[-600:]}")
