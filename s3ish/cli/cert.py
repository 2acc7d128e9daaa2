"""A certificate for development: an authority of its own, whose key is not kept, and what it vouches for."""

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BACKDATED = timedelta(hours=1)
"""Clocks of clients may be slow."""
_SIGNS = {"key_cert_sign": True, "crl_sign": True}
_SERVES = {"digital_signature": True}
_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class Written(NamedTuple):
    """The files of a certificate: what clients trust, the certificate, its key; and until when it is valid."""

    authority: Path
    certificate: Path
    key: Path
    until: datetime


def write(folder: Path, hosts: Sequence[str], now: datetime, days: int, *, replace: bool = False) -> Written:
    """Make a certificate, and write its files.

    Args:
        folder: where; it is made if it is not there.
        hosts: names, ``*.name`` for all within one, or addresses of the server.
        now: from when on it is valid.
        days: for how long.
        replace: whether files of these names may be replaced.

    Raises:
        ValueError: a host is neither a name nor an address.
        FileExistsError: there is such a file.
        OSError: they cannot be written.
    """
    until = now.astimezone(UTC) + timedelta(days=days)
    valid = now.astimezone(UTC) - _BACKDATED, until
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _named("s3ish development authority")
    authority = (
        _begin(issuer, issuer, authority_key.public_key(), valid)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(_SIGNS), critical=True)
        .sign(authority_key, SHA256())
    )
    certificate = (
        _begin(_named("s3ish"), issuer, key.public_key(), valid)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(_SERVES), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, SHA256())
    )
    written = Written(folder / "ca.pem", folder / "cert.pem", folder / "key.pem", until)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    folder.mkdir(parents=True, exist_ok=True)
    if not replace:
        for path in written[:3]:
            if path.exists():
                raise FileExistsError(f"{path} is there already")
    _put(written.authority, authority.public_bytes(Encoding.PEM), 0o644)
    _put(written.key, secret, 0o600)
    _put(written.certificate, certificate.public_bytes(Encoding.PEM), 0o644)
    return written


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    begun = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    begun = begun.serial_number(x509.random_serial_number()).not_valid_before(valid[0]).not_valid_after(valid[1])
    return begun.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(uses: dict[str, bool]) -> x509.KeyUsage:
    return x509.KeyUsage(**(dict.fromkeys(_USES, False) | uses))


def _host(host: str) -> x509.GeneralName:
    """Return a host as a certificate names it. Raises ValueError."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        bare = host.removeprefix("*.")
        if not bare.isascii() or not bare.replace("-", "").replace(".", "").replace("_", "").isalnum():
            raise ValueError(f"{host!r} is neither the name nor the address of a host") from None
        return x509.DNSName(host)


def _put(path: Path, content: bytes, mode: int) -> None:
    """Write a file at once, readable for whom it may be from its first byte on."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    unfinished.replace(path)
