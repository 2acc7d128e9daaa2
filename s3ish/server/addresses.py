"""Under which hosts and paths clients know the server, where those that arrive here are others.

A signature covers the host and the path that the client sent. What lies in between may change both: a proxy, the
forwarded port of a container. So a signature may be for any of the addresses that the settings name, as long as the
request would be about the same there.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from s3ish.auth.request import HttpRequest
from s3ish.server.proxies import Origin


class Addresses:
    """The addresses of the server.

    Args:
        public_hosts: hosts, with their ports, that name no bucket.
        base_path: what the paths begin with, without a slash at its end; empty for nothing. Where the host names a
            bucket, or is a website, the path is that of a key and begins with nothing else.
        domains: names whose subdomains name buckets, or which are websites.
    """

    def __init__(self, public_hosts: tuple[str, ...] = (), base_path: str = "", domains: tuple[str, ...] = ()) -> None:
        self._hosts, self._base, self._domains = public_hosts, base_path, domains

    def split(self, path: str, host: str, origin: Origin) -> tuple[str, str]:
        """Return what a path begins with and is not part of the bucket or key, and the path that the request is for.

        Only the base path can be taken off by a proxy, not all that a proxy names: a signature for ``/a/b/c`` must not
        count for ``/b/c``.

        Args:
            path: as it arrived here.
            host: as the client named it.
            origin: says what a proxy took off.
        """
        base = self._base
        if not base or self._names_bucket(host):
            return "", path
        if origin.prefix == base:
            return base, path
        if path == base or path.startswith(base + "/"):
            return base, path[len(base) :] or "/"
        return "", path

    def others(self, request: HttpRequest, path: str, origin: Origin, *, by_host: bool) -> Iterator[HttpRequest]:
        """Yield a request as it may have been signed, where it is about the same bucket and key.

        Args:
            request: as it is signed first of all.
            path: the path that it is for.
            origin: what proxies say.
            by_host: whether its host names the bucket: then it is signed for this host, with any port, and this path.
        """
        host = request.headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        hosts = [host, name, *([f"{name}:{origin.port}"] if origin.port else [])]
        paths = [request.raw_path]
        if not by_host:
            hosts += self._hosts
            paths += [path, self._base + path]
            paths += [self._base] if path == "/" and self._base else []  # clients sign no slash behind it
        for each in dict.fromkeys(hosts):
            for raw_path in dict.fromkeys(paths):
                if (each, raw_path) != (host, request.raw_path):
                    yield replace(request, raw_path=raw_path, headers={**request.headers, "host": each})

    def _names_bucket(self, host: str) -> bool:
        name = host.lower().partition(":")[0].removesuffix(".")
        return any(name == domain or name.endswith(f".{domain}") for domain in self._domains)
