"""What texts in settings have to be."""

import ipaddress
import os
import re
from urllib.parse import urlsplit

from s3ish.config import BUCKET_OPTIONS, read_bucket
from s3ish.wire.names import is_bucket_name

_DOMAIN = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_HOST = re.compile(rf"({_DOMAIN.pattern}|\[[0-9a-f:.]+\])(:[0-9]{{1,5}})?")
BASE_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+/?|")


def is_domain(text: str) -> bool:
    """Whether a text is the name of a host, in lower case."""
    return _DOMAIN.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Whether a text is the name or address of a host, with or without a port."""
    return _HOST.fullmatch(text) is not None


def is_origin(text: str) -> bool:
    """Whether a text is the origin of pages, or a pattern of such."""
    return re.fullmatch(r"[!-~]+(?<!/)", text) is not None and text.count("*") <= 1


def is_network(text: str) -> bool:
    """Whether a text is an address, or a network."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_region(text: str) -> bool:
    """Whether a text can be a region in a signature's scope: what a file of variables leaves around one is none."""
    return re.fullmatch(r"[A-Za-z0-9._-]+", text) is not None


def is_no_folder(text: str) -> bool:
    """Whether a text can be the path of a file: no folder is there."""
    return is_path(text) and not os.path.isdir(text)


def is_path(text: str) -> bool:
    """Whether a text can be a path."""
    return bool(text) and "\0" not in text


def is_default_bucket(text: str) -> bool:
    """Whether a text describes a bucket that is made at start."""
    name, options = read_bucket(text)
    return options <= BUCKET_OPTIONS and is_bucket_name(name)


def is_url(text: str) -> bool:
    """Whether a text is the address of a server."""
    try:
        found = urlsplit(text)
        return (
            found.scheme in ("http", "https")
            and bool(found.hostname)
            and found.path in ("", "/")
            and (found.port != 0 and not (found.query or found.fragment or found.username))
        )
    except ValueError:
        return False


def is_address(text: str) -> bool:
    """Whether a text is the address of something on a server."""
    try:
        found = urlsplit(text)
        return (
            found.scheme in ("http", "https")
            and bool(found.hostname)
            and text.isascii()
            and text.isprintable()
            and " " not in text
            and not (found.port == 0 or found.username or found.fragment)
        )
    except ValueError:
        return False


TEXTS = (
    ("server.domains", is_domain, "a host name in lower case without port"),
    ("server.website_domains", is_domain, "a host name in lower case without port"),
    (
        "server.cors_origins",
        is_origin,
        "an origin such as https://app.example, without a slash at its end and with at most one *",
    ),
    ("server.public_hosts", is_host, "a host with its port, such as localhost:9000"),
    ("server.trusted_proxies", is_network, "an address or network"),
    ("tls.certificates", is_path, "a path"),
    ("tls.keys", is_path, "a path"),
    ("storage.volumes", is_path, "a path"),
    (
        "storage.default_buckets",
        is_default_bucket,
        "of the form name, or name and some of :public, :versioned and :lock, with a name for a bucket",
    ),
    ("server.url", is_url, "of the form http[s]://HOST[:PORT]"),
    ("server.region", is_region, "a region such as eu-west-1"),
    ("storage.index", is_no_folder, "a file, with its folder, such as /fast/index.db"),
)
"""Settings that are lists of texts, or one that may be empty, what each text has to pass, and in words what it is."""
