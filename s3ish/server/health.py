"""The paths beside S3 on its port: which requests are for them, though a bucket or a key may have their names."""

from collections.abc import Mapping
from typing import Any

_OF_MINIO = "/minio/health/"
LIVE = ("/-/live", f"{_OF_MINIO}live", "/livez", "/health")
READY = (
    *("/-/ready", f"{_OF_MINIO}ready", f"{_OF_MINIO}cluster", f"{_OF_MINIO}cluster/read", "/readyz"),
    *("/moto-api/", "/favicon.ico"),  # what waits for moto asks for the first, and for S3Mock the second
)
LOCALSTACK = "/_localstack/health"
LOCALSTACK_INFO = "/_localstack/info"
LOCALSTACK_INIT = "/_localstack/init"
LOCALSTACK_INIT_READY = "/_localstack/init/ready"
METRICS = (
    "/-/metrics",
    *(f"/minio/v2/metrics/{of}" for of in ("cluster", "node", "bucket", "resource")),
    *("/minio/metrics/v3", "/minio/prometheus/metrics"),
)
ADMIN_OF_MINIO = "/minio/admin/"
"""Where ``mc admin`` asks; it is told that nothing is there."""
PATHS = frozenset((*LIVE, *READY, LOCALSTACK, LOCALSTACK_INFO, LOCALSTACK_INIT, LOCALSTACK_INIT_READY, *METRICS))
_OF_BUCKETS = frozenset(("/livez", "/readyz", "/health", "/moto-api/", "/favicon.ico"))
"""Paths that may be of a bucket: only what no client of S3 sends is for the probe."""


def is_beside(scope: Mapping[str, Any], domains: tuple[str, ...] = (), sites: tuple[str, ...] = ()) -> bool:
    """Whether a request is not for S3.

    It names one of the paths, byte for byte, and its host names no bucket. Where a bucket may have the name, it must be
    a GET or HEAD too, with no signature and no query.

    Args:
        domains, sites: see ``names_bucket``.
    """
    path = scope["raw_path"].decode("latin-1")
    if (path not in PATHS and not path.startswith(ADMIN_OF_MINIO)) or names_bucket(scope, domains, sites):
        return False
    if path not in _OF_BUCKETS:
        return True
    is_signed = any(name == b"authorization" for name, _ in scope["headers"])
    return scope["method"] in ("GET", "HEAD") and not is_signed and not scope["query_string"]


def names_bucket(scope: Mapping[str, Any], domains: tuple[str, ...], sites: tuple[str, ...]) -> bool:
    """Whether the host of a request names a bucket, so that its path is that of a key.

    Args:
        domains: names under which ``bucket.name`` addresses a bucket.
        sites: names under which ``bucket.name`` is a website, or which are one themselves.
    """
    if not domains and not sites:
        return False
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower().partition(":")[0].removesuffix(".")
    return host in sites or any(host.endswith(f".{domain}") for domain in (*domains, *sites))
