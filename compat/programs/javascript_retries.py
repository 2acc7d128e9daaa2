"""AWS's SDK for JavaScript against planned faults: ``javascript/retries.mjs``, and the server that plans them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from compat import environments
from s3ish.testing import Server

FOLDER = environments.FOLDER / "javascript_retries"
SCRIPT = Path(__file__).parent / "javascript" / "retries.mjs"


def main() -> int:
    """Serve for the script; return its exit code."""
    copied = shutil.copy(SCRIPT, FOLDER)  # beside the packages, where it finds them
    with Server(buckets=("made",)) as server:
        own = {"PATH": os.environ.get("PATH", ""), "BUCKET": "made", **server.environment}
        return subprocess.run(["node", copied], env=own, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
