"""A bucket as a website: the document.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html
"""

import re

from s3ish.api.documents import Effect, bucket_document
from s3ish.errors import InvalidArgument, InvalidRequest, MalformedXML, NoSuchWebsiteConfiguration
from s3ish.model import Bucket
from s3ish.wire.fields import element, elements
from s3ish.wire.shape import shape

MAX_RULES = 50
BODY_BYTES = 128 * 1024
MAX_KEY = 1024
_HOST = re.compile(r"[A-Za-z0-9._~\[\]:-]{1,255}")


@shape
class RedirectAll:
    """Where all requests are sent."""

    host: str = element("HostName", default=...)
    protocol: str | None = element("Protocol")


@shape
class IndexDocument:
    """What is shown of a folder."""

    suffix: str = element("Suffix", default=...)


@shape
class ErrorDocument:
    """What is shown of an error of the 4xx class."""

    key: str = element("Key", default=...)


@shape
class RoutingCondition:
    """When a rule applies: to all of it."""

    error_code: str | None = element("HttpErrorCodeReturnedEquals")
    key_prefix: str | None = element("KeyPrefixEquals")


@shape
class Redirect:
    """Where a rule sends a request."""

    host: str | None = element("HostName")
    redirect_code: str | None = element("HttpRedirectCode")
    protocol: str | None = element("Protocol")
    replace_prefix: str | None = element("ReplaceKeyPrefixWith")
    replace_key: str | None = element("ReplaceKeyWith")


@shape
class RoutingRule:
    """One rule."""

    condition: RoutingCondition | None = element("Condition")
    redirect: Redirect = element("Redirect", default=...)


@shape(root="WebsiteConfiguration")
class WebsiteConfiguration:
    """A website."""

    redirect_all: RedirectAll | None = element("RedirectAllRequestsTo")
    index: IndexDocument | None = element("IndexDocument")
    error: ErrorDocument | None = element("ErrorDocument")
    rules: list[RoutingRule] | None = elements(
        "RoutingRule", wrapper="RoutingRules", limit=MAX_RULES + 1, optional=True
    )


def _check(site: WebsiteConfiguration, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    if site.redirect_all:
        if site.index or site.error or site.rules is not None:
            raise InvalidArgument(
                "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
                ArgumentName="RedirectAllRequestsTo",
                ArgumentValue="not null",
            )
        _check_host(site.redirect_all.host, site.redirect_all.protocol)
        return
    if site.index is None:
        raise InvalidArgument(
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            ArgumentName="IndexDocument",
            ArgumentValue="null",
        )
    _check_key("IndexDocument Suffix", site.index.suffix)
    if "/" in site.index.suffix:
        raise _malformed_key("IndexDocument Suffix", site.index.suffix)
    if site.error:
        _check_key("ErrorDocument Key", site.error.key)
    if site.rules is None:
        return
    if not site.rules:
        raise MalformedXML
    if len(site.rules) > MAX_RULES:
        raise InvalidRequest(
            f"{len(site.rules)} routing rules provided, the number of routing rules in a website configuration is "
            f"limited to {MAX_RULES}."
        )
    for rule in site.rules:
        _check_rule(rule)


def _check_key(what: str, key: str) -> None:
    if not key or len(key.encode()) > MAX_KEY:
        raise _malformed_key(what, key)


def _malformed_key(what: str, key: str) -> InvalidArgument:
    return InvalidArgument(
        f"The {what} is not well formed", ArgumentName=what.partition(" ")[0], ArgumentValue=key[:MAX_KEY]
    )


def _check_rule(rule: RoutingRule) -> None:
    condition, redirect = rule.condition, rule.redirect
    if condition and condition.error_code is None and condition.key_prefix is None:
        raise InvalidRequest(
            "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't "
            "be present."
        )
    if condition and condition.error_code is not None and not re.fullmatch("[45][0-9]{2}", condition.error_code):
        raise InvalidRequest(
            f"The provided HTTP error code ({condition.error_code[:64]}) is not valid. Valid codes are 4XX or 5XX."
        )
    if redirect == Redirect():
        raise MalformedXML
    code = redirect.redirect_code
    if code is not None and (not re.fullmatch("3[0-9]{2}", code) or code == "300"):
        raise InvalidRequest(
            f"The provided HTTP redirect code ({code[:64]}) is not valid. Valid codes are 3XX except 300."
        )
    if redirect.replace_prefix is not None and redirect.replace_key is not None:
        raise InvalidRequest("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
    for part in (redirect.replace_prefix, redirect.replace_key, condition.key_prefix if condition else None):
        if part is not None and len(part.encode()) > MAX_KEY:
            raise InvalidRequest(f"Keys and prefixes of routing rules must not be longer than {MAX_KEY} bytes.")
    _check_host(redirect.host, redirect.protocol)


def _check_host(host: str | None, protocol: str | None) -> None:
    if host is not None and not _HOST.fullmatch(host):
        raise InvalidRequest("The HostName of a redirect is not a name or address of a host.")
    if protocol not in (None, "http", "https"):
        raise InvalidRequest(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected "
            "automatically."
        )


WEBSITE = bucket_document(
    WebsiteConfiguration,
    "website",
    "GetBucketWebsite PutBucketWebsite DeleteBucketWebsite",
    action="s3:{}BucketWebsite",
    delete_action="s3:DeleteBucketWebsite",
    effect=Effect.ACTED_UPON,
    missing=NoSuchWebsiteConfiguration,
    check=_check,
    body_bytes=BODY_BYTES,
)
