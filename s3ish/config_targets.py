"""What is wrong with a target of notifications or of replication, as the file of settings describes it."""

import importlib.util
import os
import re
from urllib.parse import urlsplit

from s3ish.config import ReplicaTargetSettings, TargetSettings
from s3ish.config_texts import is_address, is_path
from s3ish.wire.names import is_bucket_name, is_target_arn

BROKERS = {
    "redis": "redis",
    "nats": "nats",
    "mqtt": "aiomqtt",
    "kafka": "aiokafka",
    "amqp": "aio_pika",
    "postgresql": "asyncpg",
}
"""Kinds of targets that need a library, and which: the extra has the name of the kind."""
_SCHEMES = {
    "redis": ("redis", "rediss"),
    "nats": ("nats", "tls"),
    "mqtt": ("mqtt", "mqtts"),
    "kafka": ("kafka", "kafka+tls"),
    "amqp": ("amqp", "amqps"),
    "postgresql": ("postgresql", "postgresql+tls"),
}
"""Of their addresses: in the clear, and over TLS."""
_PATHS = {"redis": "/?[0-9]{0,4}", "amqp": "(/[^/]*)?", "postgresql": "(/[^/]*)?"}
"""What addresses may end with: the number of a database, a virtual host, the name of a database."""
_SASL = re.compile("sasl=(?i:plain|scram-sha-256|scram-sha-512)")
"""The query of an address of Kafka: how its user logs in."""
_TABLE = re.compile(r"[A-Za-z_]\w{0,62}(\.[A-Za-z_]\w{0,62})?", re.ASCII)


def wrong_target(target: TargetSettings) -> str:
    """Return what is wrong with a target, empty if nothing is."""
    if not is_target_arn(target.arn):
        return "arn is not of the form arn:PARTITION:SERVICE:REGION:ACCOUNT:NAME"
    if target.ca_file and not os.path.isfile(target.ca_file):
        return "ca_file is not a file"
    if target.kind == "webhook" and not is_address(target.url):
        return "url is not of the form http[s]://HOST[:PORT][/PATH]"
    if target.kind in BROKERS:
        return _wrong_broker(target)
    if target.kind == "file" and not is_path(target.path):
        return "path is empty"
    token = target.token.reveal()
    if not (token.isascii() and token.isprintable()):
        return "token has characters that no header can have"
    return ""


def _wrong_broker(target: TargetSettings) -> str:
    """Return what is wrong with a target that a library delivers to, empty if nothing is."""
    try:
        parts = urlsplit(target.url)
        good = parts.scheme in _SCHEMES[target.kind] and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    clear, secure = _SCHEMES[target.kind]
    if not good or not re.fullmatch(_PATHS.get(target.kind, "/?"), parts.path):
        return f"url is not of the form {clear}://[USER:PASSWORD@]HOST[:PORT], or {secure}:// for TLS"
    if parts.fragment or (parts.query and not (target.kind == "kafka" and _SASL.fullmatch(parts.query))):
        return "url ends with what is not understood; of kafka it may be ?sasl=plain, scram-sha-256 or scram-sha-512"
    if target.ca_file and parts.scheme != secure:
        return f"ca_file is for TLS, and url is not of the form {secure}://"
    if target.kind == "postgresql" and not _TABLE.fullmatch(target.topic):
        return "topic is not the name of a table: TABLE or SCHEMA.TABLE, of letters, digits and underscores"
    if target.kind == "postgresql" and not parts.username:
        return "url names no user"
    if not target.topic or not target.topic.isprintable() or re.search(r"[\s*>#+]", target.topic):
        return "topic is empty, or has characters that it must not have"
    if not importlib.util.find_spec(BROKERS[target.kind]):
        return f"{BROKERS[target.kind]} is not installed: pip install 's3ish[{target.kind}]'"
    return ""


def wrong_replica_target(target: ReplicaTargetSettings) -> str:
    """Return what is wrong with a target of replication, empty if nothing is."""
    if not is_target_arn(target.arn):
        return "arn is not of the form arn:PARTITION:SERVICE:REGION:ACCOUNT:NAME, of another service than s3"
    if not is_address(target.endpoint) or "?" in target.endpoint:
        return "endpoint is not of the form http[s]://HOST[:PORT][/PATH]"
    if not is_bucket_name(target.bucket):
        return "bucket is not the name of a bucket"
    if not (target.access_key.isascii() and target.access_key.isprintable()):
        return "access_key has characters that no header can have"
    if target.ca_file and not os.path.isfile(target.ca_file):
        return "ca_file is not a file"
    return "" if target.secret_key else "secret_key is empty"
