"""X.509 certificates of clients: read from a proxy's header, and compared (RFC 8705)."""

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from stepup.crypto import digests
from stepup.domain.client_authentication import TlsName, TlsSubject
from stepup.domain.client_certificate import ClientCertificate

# A certificate with a long chain of names has a few thousand.
MAX_HEADER_BYTES = 16_384

# What a certificate of a stranger can make the parser raise, which calls none of it a ValueError.
_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_BEGIN = b"-----BEGIN CERTIFICATE-----"


@lru_cache(maxsize=256)
def read_certificate(header: bytes) -> ClientCertificate:
    """Read a certificate in one of the three ways in which proxies write it.

    An RFC 9440 `:base64:`, a PEM text with percent escapes (nginx's `$ssl_client_escaped_cert`),
    or DER in base64.

    Raises:
        ValueError: If it is none of them, or more than one certificate.
    """
    if len(header) > MAX_HEADER_BYTES:
        raise ValueError("the certificate is too long")
    try:
        return _read(_der_of(header.strip()))
    except UnsupportedAlgorithm:
        raise ValueError("the key is of an unknown kind") from None


def read_authorities(pem: str) -> tuple[bytes, ...]:
    """Read the certificates of the authorities whose clients are believed.

    Raises:
        ValueError: If it is no PEM text of certificates.
    """
    return tuple(
        each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(pem.encode())
    )


def is_of_subject(certificate: ClientCertificate, subject: TlsSubject) -> bool:
    """Say whether a certificate has the name that a client registered (RFC 8705 section 2.1.2)."""
    loaded = x509.load_der_x509_certificate(certificate.der)
    if subject.name is TlsName.SUBJECT_DN:
        return _is_dn(loaded.subject, subject.value)
    try:
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *_UNREADABLE):
        return False
    match subject.name:
        case TlsName.SAN_DNS:
            # RFC 4343: host names have no case.
            return subject.value.lower() in map(str.lower, names.get_values_for_type(x509.DNSName))
        case TlsName.SAN_URI:
            return subject.value in names.get_values_for_type(x509.UniformResourceIdentifier)
        case TlsName.SAN_EMAIL:
            return subject.value in names.get_values_for_type(x509.RFC822Name)
        case TlsName.SAN_IP:
            return _is_among(subject.value, names.get_values_for_type(x509.IPAddress))


def check_subject(subject: TlsSubject) -> None:
    """Refuse a name that no certificate could ever have.

    Raises:
        ValueError: If it is no distinguished name, or no address.
    """
    if subject.name is TlsName.SUBJECT_DN and not _is_any_dn(subject.value):
        raise ValueError("not a distinguished name as RFC 4514 writes it")
    if subject.name is TlsName.SAN_IP:
        ip_address(subject.value)


def is_issued_by(
    certificate: ClientCertificate, authorities: Iterable[bytes], now: datetime
) -> bool:
    """Say whether one of the authorities issued it, for clients, and is valid itself.

    The proxy may have let certificates of anybody pass, so what it verified is verified again.
    """
    leaf = x509.load_der_x509_certificate(certificate.der)
    return _is_for_clients(leaf) and any(_issued(leaf, each, now) for each in authorities)


def is_registered(certificate: ClientCertificate, key: Any, registered: bytes | None) -> bool:
    """Say whether a self-signed certificate is the client's (RFC 8705 section 2.2.2).

    It is the one that its JWK has (`x5c`), or has the JWK's key when that has none.
    """
    if registered is not None:
        return digests.equal(registered, certificate.der)
    return certificate.public_key == public_key_info(key)


def public_key_info(key: Any) -> bytes:
    """Return a public key of the cryptography library as SubjectPublicKeyInfo."""
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _der_of(text: bytes) -> bytes:
    try:
        if len(text) > 1 and text.startswith(b":") and text.endswith(b":"):
            return b64decode(text[1:-1], validate=True)
        plain = unquote_to_bytes(text)
        if plain.count(_BEGIN) == 1:
            return x509.load_pem_x509_certificate(plain).public_bytes(Encoding.DER)
        return b64decode(plain, validate=True)
    except binascii.Error:
        raise ValueError("not a certificate") from None


def _read(der: bytes) -> ClientCertificate:
    loaded = x509.load_der_x509_certificate(der)
    return ClientCertificate(
        der=der,
        thumbprint=digests.encode(hashlib.sha256(der).digest()),
        public_key=loaded.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        ),
        not_before=loaded.not_valid_before_utc,
        not_after=loaded.not_valid_after_utc,
    )


def _is_dn(name: x509.Name, wanted: str) -> bool:
    try:
        # Parsed and not compared as text: RFC 4514 has several spellings of one name.
        return name == x509.Name.from_rfc4514_string(wanted)
    except ValueError:
        return False


def _is_any_dn(text: str) -> bool:
    try:
        return bool(list(x509.Name.from_rfc4514_string(text)))
    except ValueError:
        return False


def _is_among(wanted: str, addresses: Iterable[object]) -> bool:
    try:
        return ip_address(wanted) in list(addresses)
    except ValueError:
        return False


def _is_for_clients(leaf: x509.Certificate) -> bool:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except _UNREADABLE:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in list(uses)


def _issued(leaf: x509.Certificate, authority: bytes, now: datetime) -> bool:
    issuer = x509.load_der_x509_certificate(authority)
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        leaf.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, TypeError, *_UNREADABLE):
        return False
    return constraints.ca and issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc
