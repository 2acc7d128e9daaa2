"""Forwarding headers: believed from trusted proxies, and from nobody else."""

import pytest

from s3ish.server.proxies import Origin, Proxies

TRUSTED = Proxies(("127.0.0.1", "10.0.0.0/8", "fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "headers", "client", "scheme"),
    [
        ("127.0.0.1", {}, "127.0.0.1", "http"),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}, "192.0.2.1", "https"),
        ("::ffff:127.0.0.1", {"x-forwarded-for": "192.0.2.1"}, "192.0.2.1", "http"),
        ("fd00::1", {"x-forwarded-for": "2001:db8::1", "x-forwarded-proto": "HTTPS"}, "2001:db8::1", "https"),
        ("10.1.1.1", {"x-forwarded-for": "1.1.1.1, 192.0.2.1,10.2.2.2"}, "192.0.2.1", "http"),
        ("10.1.1.1", {"x-forwarded-for": "10.9.9.9"}, "10.9.9.9", "http"),
        ("10.1.1.1", {"x-forwarded-for": "192.0.2.1, unknown"}, "10.1.1.1", "http"),
        ("10.1.1.1", {"x-forwarded-for": "\x1b[31m"}, "10.1.1.1", "http"),
        ("10.1.1.1", {"x-forwarded-proto": "https, http"}, "10.1.1.1", "http"),
        ("10.1.1.1", {"x-forwarded-proto": "javascript"}, "10.1.1.1", "http"),
        ("192.0.2.9", {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}, "192.0.2.9", "http"),
        ("11.0.0.1", {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}, "11.0.0.1", "http"),
        ("", {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}, "", "http"),
    ],
)
def test_where_a_request_comes_from(peer, headers, client, scheme):
    assert TRUSTED.origin(Origin(peer), headers) == Origin(client, scheme)


def test_without_trusted_proxies_nothing_is_believed():
    headers = {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}
    assert Proxies().origin(Origin("127.0.0.1"), headers) == Origin("127.0.0.1", "http")
