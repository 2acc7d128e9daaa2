"""A page for people who open the server's address in a browser: an error in XML would say nothing to them.

It tells nothing about the store, and no S3 client asks for HTML.
"""

from collections.abc import Mapping

from s3ish.wire.shape import Written
from s3ish.wire.xml import escape

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>s3ish</title>
<style>
body {{ font: 1.1em/1.6 system-ui, sans-serif; max-width: 42em; margin: 4em auto; padding: 0 1em }}
code {{ background: #8882; padding: .1em .3em; overflow-wrap: anywhere }}
</style>
<h1>s3ish</h1>
<p>This is an S3-compatible object store. It is for S3 clients, and has nothing to show in a browser.</p>
<p>Give a client this address and your keys:</p>
<p><code>aws --endpoint-url {endpoint} s3 ls</code></p>
<p>The documentation is in <code>README.md</code> and <code>docs/</code> of the source; <code>s3ish --help</code> lists
the commands.</p>
"""
_HEADERS = (
    ("content-type", "text/html; charset=utf-8"),
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
    ("vary", "accept"),
)


def is_of_browser(method: str, query: str, headers: Mapping[str, str]) -> bool:
    """Whether a request for the service comes from a browser that shows it as a page: it asks for HTML, unsigned."""
    asks = method in ("GET", "HEAD") and not query
    return asks and "text/html" in headers.get("accept", "").lower() and "authorization" not in headers


def page(endpoint: str) -> Written:
    """Return the page.

    Args:
        endpoint: the address by which the browser reached the server.
    """
    return Written(200, list(_HEADERS), _PAGE.format(endpoint=escape(endpoint)).encode())
