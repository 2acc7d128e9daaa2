"""Cross-origin requests: what a browser asks before it sends one, and the headers that let a page see the answer.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from s3ish.api.cors import CORS, METHODS, CorsRule
from s3ish.errors import AccessForbidden, BadRequest
from s3ish.model import Bucket
from s3ish.wire.shape import Headers, Written

_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
"""Methods that can be asked for; rules may name fewer."""
_EXPOSED = ("ETag", "Content-Range", "x-amz-version-id", "x-amz-delete-marker", "x-amz-request-id")
"""Headers that pages see by the rules of settings, beside those that browsers always show."""
_LIMIT = 8192
"""So long, in bytes, an origin or a list of headers may be."""
_NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
    "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)


def rules_for(origins: Sequence[str]) -> Sequence[CorsRule]:
    """Return the rules of buckets that have none of their own, given the origins whose pages may do everything."""
    if not origins:
        return ()
    return (CorsRule(methods=list(METHODS), origins=list(origins), headers=["*"], exposed=list(_EXPOSED)),)


def preflight(
    bucket: Bucket | None, headers: Mapping[str, str], level: str, default: Sequence[CorsRule] = ()
) -> Written:
    """Answer what a browser asks before it sends a request to a bucket or an object.

    Args:
        level: what the request is about: ``service``, ``bucket`` or ``object``.
        default: the rules of buckets that have none.

    Raises:
        BadRequest: it does not say from where, or which method, or there is no such method.
        AccessForbidden: there is no bucket, it has no rules, or no rule allows it.
    """
    origin, method = headers.get("origin"), headers.get("access-control-request-method")
    if not origin:
        raise BadRequest("Insufficient information. Origin request header needed.")
    if method and method not in _METHODS:
        raise BadRequest(f"Invalid Access-Control-Request-Method: {method[:64]}")
    told = method or "OPTIONS"
    rules = _rules_of(bucket, default)
    if bucket is None and (not rules or level == "service"):
        raise AccessForbidden("CORSResponse: Bucket not found", Method=told, ResourceType="BUCKET")
    if not rules:
        raise AccessForbidden("CORSResponse: CORS is not enabled for this bucket.", Method=told, ResourceType="BUCKET")
    if not method:
        raise BadRequest("Invalid Access-Control-Request-Method: null")
    wanted = [name.strip().lower() for name in headers.get("access-control-request-headers", "").split(",")]
    wanted = [name for name in wanted if name]
    rule = _rule(rules, origin, method, wanted)
    if rule is None:
        raise AccessForbidden(_NOT_ALLOWED, Method=told, ResourceType=level.upper())
    answer = _shared(rule, origin)
    if wanted:
        answer.append(("access-control-allow-headers", ", ".join(wanted)))
    return Written(200, answer)


def share(written: Written, bucket: Bucket | None, origin: str, method: str, default: Sequence[CorsRule] = ()) -> None:
    """Add to an answer, be it an error, what lets a page of an origin see it; see ``preflight``."""
    rule = _rule(_rules_of(bucket, default), origin, method, ())
    if rule is not None:
        written.headers += _shared(rule, origin)


def _rules_of(bucket: Bucket | None, default: Sequence[CorsRule]) -> Sequence[CorsRule]:
    configuration = CORS.of(bucket) if bucket else None
    return configuration.rules if configuration else default


def _rule(rules: Sequence[CorsRule], origin: str, method: str, wanted: Sequence[str]) -> CorsRule | None:
    """Return the first rule that allows a request."""
    if len(origin) > _LIMIT or not origin.isprintable():
        return None
    for rule in rules:
        if (
            method in rule.methods
            and any(_fits(pattern, origin) for pattern in rule.origins)
            and all(any(_fits(pattern.lower(), name) for pattern in rule.headers) for name in wanted)
        ):
            return rule
    return None


def _shared(rule: CorsRule, origin: str) -> Headers:
    everybody = next(pattern for pattern in rule.origins if _fits(pattern, origin)) == "*"
    headers = [
        ("access-control-allow-origin", "*" if everybody else origin),
        ("access-control-allow-methods", ", ".join(rule.methods)),
    ]
    if not everybody:
        headers.append(("access-control-allow-credentials", "true"))
    if rule.exposed:
        headers.append(("access-control-expose-headers", ", ".join(rule.exposed)))
    if rule.max_age_seconds is not None:
        headers.append(("access-control-max-age", str(rule.max_age_seconds)))
    return [*headers, ("vary", _VARY)]


def _fits(pattern: str, text: str) -> bool:
    return pattern == text or ("*" in pattern and _compiled(pattern).fullmatch(text) is not None)


@lru_cache(512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*", 1))), re.DOTALL)
