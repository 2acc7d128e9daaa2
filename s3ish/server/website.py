"""Buckets as websites: pages for browsers, redirects, and errors as HTML.

Every visitor is anonymous, whatever a request is signed with. A bucket is reached by its name before one of the website
domains, or as a host name of its own that is one of them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteEndpoints.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/IndexDocumentSupport.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-page-redirect.html
"""

from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from urllib.parse import quote

from s3ish.api.authorize import check_payer, check_permit
from s3ish.api.context import Body, Context
from s3ish.api.get import GetObjectRequest, get_object, head_object
from s3ish.api.website import WEBSITE, Redirect, RoutingRule, WebsiteConfiguration
from s3ish.auth.evaluator import Permit
from s3ish.auth.principals import ANONYMOUS
from s3ish.errors import (
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    NoSuchWebsiteConfiguration,
    S3Error,
)
from s3ish.model import Bucket
from s3ish.objects.store import Store
from s3ish.server.request_record import RequestRecord
from s3ish.server.target import Target
from s3ish.wire import shape
from s3ish.wire.headers import write_text
from s3ish.wire.names import MAX_KEY_BYTES
from s3ish.wire.shape import Headers, Written

OPERATION = "Website"
"""What the log and the metrics call a request."""
_METHODS = {"GET": get_object, "HEAD": head_object}
_ASKED_IN_URLS = "/#!?=&:@+,;$'()*~-._%"
"""What the owner of a site may write into the keys of redirects as it is: a fragment, a query."""
_SECOND = """<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>
<ul>
{items}
</ul>
"""
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<h1>{title}</h1>
<ul>
{items}
</ul>
"""


def error_page(error: S3Error, request_id: str, host_id: str, second: S3Error | None = None) -> Written:
    """Return an error as a page for browsers; ``second`` is why the site's own page for it cannot be had."""
    title = f"{error.status} {HTTPStatus(error.status).phrase}"
    told = {**_told(error), "RequestId": request_id, "HostId": host_id}
    more = _SECOND.format(items=_items(_told(second))) if second else ""
    body = (_PAGE.format(title=title, items=_items(told)) + more).encode("utf-8", "replace")
    headers = [
        *error.headers.items(),
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        *_described(error),
    ]
    return Written(error.status, headers, body)


def _told(error: S3Error) -> dict[str, str | int]:
    return {"Code": error.code, "Message": error.message, **error.details}


def _items(told: Mapping[str, str | int]) -> str:
    return "\n".join(f"<li>{name}: {escape(str(value)[:MAX_KEY_BYTES])}</li>" for name, value in told.items())


def _described(error: S3Error) -> Headers:
    """Return the headers that say what went wrong, also where the site has a page of its own for it."""
    details = {name: write_text(str(value)[:MAX_KEY_BYTES]) for name, value in error.details.items()}
    return [
        ("x-amz-error-code", error.code),
        ("x-amz-error-message", write_text(error.message)),
        *((f"x-amz-error-detail-{name}", value) for name, value in details.items()),
    ]


async def answer(store: Store, call: RequestRecord, target: Target, body: Body) -> Written:
    """Answer a request for a page.

    Args:
        target: the bucket, and the key that the path names; empty for the path ``/``.
        body: the body of the request, which has no meaning.

    Raises:
        NoSuchBucket, NoSuchWebsiteConfiguration: there is no such site.
        MethodNotAllowed: the request is neither GET nor HEAD.
        AccessDenied: requesters pay for the bucket, which no visitor can say to do.
        S3Error: the page cannot be had, and the site has no page that says so.
    """
    call.action = OPERATION
    held = await store.find_bucket(target.bucket)
    if held is None:
        raise NoSuchBucket(BucketName=target.bucket)
    call.bucket = held.record
    site = WEBSITE.of(held.record)
    if site is None:
        raise NoSuchWebsiteConfiguration(BucketName=target.bucket)
    if call.method not in _METHODS:
        raise MethodNotAllowed(headers={"allow": "GET, HEAD"}, Method=call.method, ResourceType="OBJECT")
    check_payer(held.record, ANONYMOUS, {})
    return await _Visit(store, call, held.record, site, body).answer(target.key)


class _Visit:
    """One request for a page of a site."""

    def __init__(
        self, store: Store, call: RequestRecord, bucket: Bucket, site: WebsiteConfiguration, body: Body
    ) -> None:
        self._store, self._call, self._bucket, self._site, self._body = store, call, bucket, site, body
        self._circumstances = call.circumstances(store.clock.service_now(), call.headers, region=store.region)

    async def answer(self, key: str) -> Written:
        site, call = self._site, self._call
        if site.redirect_all:
            query = f"?{call.query}" if call.query else ""
            return self._send_on(301, site.redirect_all.protocol, site.redirect_all.host, quote(key) + query)
        rule = _first(site, key, None)
        if rule:
            return self._follow(rule, key)
        page = key + site.index.suffix if site.index and (not key or key.endswith("/")) else key
        try:
            return await self._object(page, call.headers)
        except S3Error as error:
            if not 400 <= error.status < 500:
                raise
            return await self._instead(key, error)

    async def _instead(self, key: str, error: S3Error) -> Written:
        """Answer for what cannot be had. Raises the error if the site has nothing to say of it."""
        if error.status in (403, 404) and key and not key.endswith("/") and await self._is_folder(key):
            return self._send_on(302, None, None, f"{quote(key)}/")
        rule = _first(self._site, key, error.status)
        if rule:
            return self._follow(rule, key)
        if self._site.error is None:
            raise error
        try:
            written = await self._object(self._site.error.key, {})
        except S3Error as second:
            self._call.site_error = second
            raise error from None
        written.status = error.status
        written.headers += _described(error)
        self._call.error = error.code
        return written

    async def _object(self, key: str, headers: Mapping[str, str]) -> Written:
        """Return an object as a visitor may have it. Raises S3Error."""
        context = self._context()
        operation = _METHODS[self._call.method]
        await self._check(key)
        labels = {"Bucket": self._bucket.name, "Key": key}
        request = shape.wire(GetObjectRequest).read_request(labels, {}, headers, b"")
        try:
            response = await operation.handler(context, request)
        except (NoSuchKey, NoSuchVersion):
            await context.hide_missing(self._bucket.name)
            raise
        written = shape.write(response, operation.status)
        if redirect := response.version.website_redirect:
            if written.flow:
                await written.flow.aclose()
            return Written(301, [("location", redirect)])
        return written

    async def _is_folder(self, key: str) -> bool:
        """Whether there is a page for what is below a key, which a visitor may have."""
        page = f"{key}/{self._site.index.suffix}" if self._site.index else ""
        try:
            await self._check(page)
            request = GetObjectRequest(bucket=self._bucket.name, key=page)
            await head_object.handler(self._context(), request)
        except S3Error:
            return False
        return True

    async def _check(self, key: str) -> None:
        permit = Permit(get_object.action, self._bucket.name, key)
        await check_permit(self._store, ANONYMOUS, permit, self._bucket, self._circumstances)

    def _context(self) -> Context:
        call = self._call
        return Context(
            store=self._store,
            principal=ANONYMOUS,
            bucket=self._bucket,
            circumstances=self._circumstances,
            body=self._body,
            request_id=call.request_id,
            path=call.path,
            scheme=call.origin.scheme,
            operation=OPERATION,
        )

    def _follow(self, rule: RoutingRule, key: str) -> Written:
        redirect = rule.redirect
        prefix = rule.condition.key_prefix or "" if rule.condition else ""
        path = _path(redirect, prefix, key)
        return self._send_on(int(redirect.redirect_code or 301), redirect.protocol, redirect.host, path)

    def _send_on(self, status: int, protocol: str | None, host: str | None, path: str) -> Written:
        """Redirect to a path that is percent-encoded; to the same host by the same protocol if none is given."""
        protocol, host = protocol or self._call.origin.scheme, host or self._call.headers["host"]
        return Written(status, [("location", f"{protocol}://{host}/{path}")])


def _first(site: WebsiteConfiguration, key: str, status: int | None) -> RoutingRule | None:
    """Return the first rule for a key before it is looked for, or once that ended with a status."""
    for rule in site.rules or ():
        wanted = rule.condition.error_code if rule.condition else None
        prefix = rule.condition.key_prefix or "" if rule.condition else ""
        if wanted == (None if status is None else str(status)) and key.startswith(prefix):
            return rule
    return None


def _path(redirect: Redirect, prefix: str, key: str) -> str:
    """Return the path that a rule sends a key to, percent-encoded but for what its owner wrote."""
    if redirect.replace_key is not None:
        return quote(redirect.replace_key, _ASKED_IN_URLS)
    if redirect.replace_prefix is not None:
        return quote(redirect.replace_prefix, _ASKED_IN_URLS) + quote(key[len(prefix) :])
    return quote(key)
