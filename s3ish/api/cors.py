"""Which pages of other origins may use a bucket: the document; ``server.cors`` acts upon it.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
"""

from s3ish.api.documents import Effect, bucket_document
from s3ish.errors import InvalidRequest, MalformedXML, NoSuchCORSConfiguration
from s3ish.model import Bucket
from s3ish.wire.fields import element, elements
from s3ish.wire.shape import shape

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
MAX_RULES = 100
BODY_BYTES = 64 * 1024


@shape
class CorsRule:
    """What pages of some origins may do."""

    id: str | None = element("ID")
    headers: list[str] = elements("AllowedHeader")
    methods: list[str] = elements("AllowedMethod")
    origins: list[str] = elements("AllowedOrigin")
    exposed: list[str] = elements("ExposeHeader")
    max_age_seconds: int | None = element("MaxAgeSeconds")


@shape(root="CORSConfiguration")
class CorsConfiguration:
    """The rules of a bucket, of which the first that fits counts."""

    rules: list[CorsRule] = elements("CORSRule")


def _check(configuration: CorsConfiguration, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    if not configuration.rules:
        raise MalformedXML
    if len(configuration.rules) > MAX_RULES:
        raise InvalidRequest(f"The number of CORS rules should not exceed allowed limit of {MAX_RULES} rules.")
    for rule in configuration.rules:
        _check_rule(rule)


def _check_rule(rule: CorsRule) -> None:
    if not rule.methods or not rule.origins or (rule.id is not None and len(rule.id) > 255):
        raise MalformedXML
    for method in rule.methods:
        if method not in METHODS:
            raise InvalidRequest(f"Found unsupported HTTP method in CORS config. Unsupported method is {method[:64]}")
    for kind, patterns in (("AllowedOrigin", rule.origins), ("AllowedHeader", rule.headers)):
        for pattern in patterns:
            if pattern.count("*") > 1:
                raise InvalidRequest(f'{kind} "{pattern[:256]}" can not have more than one wildcard.')
            if not pattern or not pattern.isprintable():
                raise MalformedXML
    for name in rule.exposed:
        if "*" in name:
            raise InvalidRequest(
                f'ExposeHeader "{name[:256]}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
            )
        if not name or not name.isascii() or not name.isprintable():
            raise MalformedXML
    if rule.max_age_seconds is not None and rule.max_age_seconds < 0:
        raise MalformedXML


CORS = bucket_document(
    CorsConfiguration,
    "cors",
    "GetBucketCors PutBucketCors DeleteBucketCors",
    action="s3:{}BucketCORS",
    effect=Effect.ACTED_UPON,
    missing=NoSuchCORSConfiguration,
    check=_check,
    body_bytes=BODY_BYTES,
    needs_digest=True,
)
