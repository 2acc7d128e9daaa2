"""Certificates of TLS: which one a client is shown, and how new files take the place of old ones.

The files are looked at again when a connection begins, at most once a second. Connections that are open go on with what
they began with. Files that cannot be used change nothing: those before them stay in use, and the log says why.
"""

import os
import ssl
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import structlog
from msgspec import Struct

from s3ish.clock import Clock

log = structlog.get_logger()

_LOOK_SECONDS = 1.0
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class CertificateError(Exception):
    """The files of certificates cannot be used; the text names the file and says why."""


class _Loaded(Struct, frozen=True):
    """What the files held: a context for clients that name no host, and others by the names in their certificates."""

    first: ssl.SSLContext
    by_name: dict[str, ssl.SSLContext]
    expiries: dict[str, datetime]


class Certificates:
    """The certificates that clients may be shown.

    Args:
        clock: tells when the files were looked at.
        chains: files in PEM form, each with a certificate and those that vouch for it. The first is for clients that
            name no host, or one that no certificate is for.
        keys: files with the private keys, in the same order; empty where the files of the chains hold them.
        least: the oldest version of TLS, "1.2" or "1.3".
    """

    def __init__(self, clock: Clock, chains: tuple[str, ...], keys: tuple[str, ...] = (), least: str = "1.2") -> None:
        self._arguments = clock, chains, keys, least
        self._pairs = list(zip(chains, keys or chains, strict=True))
        self._least = _VERSIONS[least]
        self.monotonic = clock.monotonic
        self.reloads = Counter(done=0, failed=0)
        self._looked = 0.0
        self._stamp: list[tuple[int, ...]] = []
        self._loaded: _Loaded | None = None

    def __reduce__(self) -> tuple[type["Certificates"], tuple[object, ...]]:
        return Certificates, self._arguments  # contexts cannot travel to another process

    def load(self) -> None:
        """Read the files. Raises CertificateError: they cannot be used, and what was read before stays in use."""
        self._looked, self._stamp = self.monotonic(), self._stamp_now()
        self._loaded = self._read()

    def load_again(self) -> None:
        """Read the files, and log what has come of it."""
        try:
            self.load()
        except CertificateError as error:
            self.reloads["failed"] += 1
            log.error("the certificates cannot be used; those before them stay in use", cause=str(error))
        else:
            self.reloads["done"] += 1
            log.info("the certificates have been read again", valid_until=str(min(self.expiries.values())))

    def context(self) -> ssl.SSLContext:
        """Return what a connection begins with. Raises CertificateError: none could be read yet."""
        now = self.monotonic()
        if self._loaded is None:
            self.load()
        elif now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            if self._stamp_now() != self._stamp:
                self.load_again()
        assert self._loaded
        return self._loaded.first

    @property
    def expiries(self) -> dict[str, datetime]:
        """Until when each file's certificate is valid, by the path."""
        return self._loaded.expiries if self._loaded else {}

    def _stamp_now(self) -> list[tuple[int, ...]]:
        """Return what changes when a file does, also when a link to it leads elsewhere, or to nothing."""
        found: list[tuple[int, ...]] = []
        for path in dict.fromkeys(path for pair in self._pairs for path in pair):
            try:
                state = os.stat(path)
            except OSError:
                found.append(())
            else:
                found.append((state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
        return found

    def _read(self) -> _Loaded:
        contexts: dict[frozenset[str], ssl.SSLContext] = {}
        by_name: dict[str, ssl.SSLContext] = {}
        expiries = {}
        for chain, key in self._pairs:
            names, expiries[chain] = _describe(chain)
            context = contexts.get(names)  # one for the same names has a key of another kind: clients choose
            if context is None:
                context = contexts[names] = self._make_context()
            _load(context, chain, key)
            for name in names:
                by_name.setdefault(name, context)
        return _Loaded(next(iter(contexts.values())), by_name, expiries)

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._least
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        context.sni_callback = self._choose
        return context

    def _choose(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        """Take the certificate for the host that a client names."""
        if name and self._loaded:
            for candidate in _candidates(name):
                if candidate in self._loaded.by_name:
                    connection.context = self._loaded.by_name[candidate]
                    return


def _candidates(name: str) -> Iterator[str]:
    """Yield what certificates for a host may name: the host, or all hosts of its domain."""
    name = name.lower().rstrip(".")
    yield name
    yield f"*.{name.partition('.')[2]}"


def _describe(chain: str) -> tuple[frozenset[str], datetime]:
    """Return the names of the first certificate in a file, and until when it is valid. Raises CertificateError."""
    from cryptography import x509  # deferred: servers without TLS do not pay for it

    try:
        with open(chain, "rb") as stream:
            certificate = x509.load_pem_x509_certificates(stream.read())[0]
    except OSError as error:
        raise CertificateError(f"cannot read {chain}: {error.strerror}") from error
    except (ValueError, IndexError) as error:
        raise CertificateError(f"{chain} holds no certificate in PEM form") from error
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = frozenset(name.lower() for name in found.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        names = frozenset()
    return names, certificate.not_valid_after_utc


def _load(context: ssl.SSLContext, chain: str, key: str) -> None:
    def refuse_password() -> str:
        raise CertificateError(f"the key in {key} is encrypted; decrypt it with: openssl pkey -in {key}")

    try:
        context.load_cert_chain(chain, key, refuse_password)
    except OSError as error:  # of which ssl.SSLError is one
        if not isinstance(error, ssl.SSLError):
            raise CertificateError(f"cannot read {key}: {error.strerror}") from error
        reason = "is not the key of" if error.reason == "KEY_VALUES_MISMATCH" else "cannot be used with"
        raise CertificateError(f"{key} {reason} {chain} ({error.reason or error})") from error
