"""Servers that run already, to be measured beside ours: each with its endpoint and keys in the environment.

``BENCH_MINIO_ENDPOINT=http://127.0.0.1:9001`` with ``BENCH_MINIO_ACCESS_KEY`` and ``BENCH_MINIO_SECRET_KEY``, and
``BENCH_MINIO_REGION`` unless it is us-east-1, makes one that is called minio. As many as there are names.
"""

import os
import re
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from compat.bench.servers import REGION, Target, prepare

_ENDPOINT = re.compile("BENCH_([A-Z0-9_]+)_ENDPOINT")


class Peer(Target):
    """A server that runs already; the context makes the bucket ``bench`` on it, and removes it with all that is there.

    Raises:
        SystemExit: its endpoint is no ``http://host:port``, its keys are missing, or it has such a bucket already.
    """

    def __init__(self, variable, environment):
        name = _ENDPOINT.fullmatch(variable)[1]
        found = urlsplit(environment[variable])
        if found.scheme != "http" or not found.hostname or found.path.strip("/"):
            raise SystemExit(f"{variable} must be http://host:port, without TLS, which would be measured too")
        try:
            keys = [environment[f"BENCH_{name}_{kind}_KEY"] for kind in ("ACCESS", "SECRET")]
        except KeyError as error:
            raise SystemExit(f"{error.args[0]} is needed beside {variable}") from error
        region = environment.get(f"BENCH_{name}_REGION", REGION)
        super().__init__(name.lower(), found.hostname, found.port or 80, *keys, region)

    def __enter__(self):
        client = self.boto3()
        if "bench" in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
            raise SystemExit(f"{self.name} has a bucket named bench: what is in it would be removed afterwards")
        prepare(self)
        return self

    def __exit__(self, *_):
        client = self.boto3()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket="bench"):
            if keys := [{"Key": item["Key"]} for item in page.get("Contents", [])]:
                client.delete_objects(Bucket="bench", Delete={"Objects": keys, "Quiet": True})
        client.delete_bucket(Bucket="bench")


@contextmanager
def peers(environment=os.environ):
    """The servers that the environment names, each with an empty bucket ``bench`` but for its small object."""
    with ExitStack() as stack:
        named = sorted(filter(_ENDPOINT.fullmatch, environment))
        yield [stack.enter_context(Peer(variable, environment)) for variable in named]
