"""Runs all checks with one client and prints a line of JSON for each: what a script in ``compat/clients`` ends with.

The endpoint and the keys come from the environment, under the names that AWS's tools read:
``AWS_ENDPOINT_URL=… AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… AWS_REGION=… python -m compat.clients.boto3``.
"""

import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from compat.client import Account, Client, NotOffered
from compat.features import FEATURES, Place
from compat.traffic import Traffic

PASS, FAIL, NOT_OFFERED = "pass", "fail", "not offered"


def _check(feature: Callable[[Client, Place], str], client: Client, place: Place) -> tuple[str, str]:
    try:
        detail = feature(client, place)
    except NotOffered as reason:
        return NOT_OFFERED, f"not offered by the client: {reason}"
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return FAIL, f"{type(error).__name__}: {error}"
    if place.traffic.broken():
        return FAIL, "the server failed by its own fault, which the client hid by trying again"
    return PASS, detail


def _run(client: Client, place: Place) -> bool:
    ok = True
    for feature in FEATURES:
        place.traffic.restart()
        start = time.monotonic()
        result, detail = _check(feature, client, place)
        line: dict[str, Any] = {
            "client": client.name,
            "version": client.version(),
            "feature": feature.__name__,
            "result": result,
            "seconds": round(time.monotonic() - start, 3),
            "detail": detail,
            "operations": dict(place.traffic.seen() or {}),
            "refused": place.traffic.refused(),
        }
        print(json.dumps(line, ensure_ascii=False), flush=True)
        ok = ok and result != FAIL
    return ok


def main(make: type[Client]) -> NoReturn:
    """Run the checks with a client and end with code 0 if none failed, else 1."""
    account = Account.from_environment()
    with tempfile.TemporaryDirectory(prefix="s3ish-compat-") as name:
        folder = Path(name)
        home = folder / "home"
        home.mkdir()
        bucket = f"compat-{make.name.replace('_', '-')}"
        ok = _run(make(account, home), Place(bucket, folder, Traffic(account.endpoint)))
    sys.exit(0 if ok else 1)
