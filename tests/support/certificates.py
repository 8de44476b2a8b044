"""Certificates of clients, as an authority or nobody issued them."""

from base64 import b64encode
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.determinism import NOON

DAY = timedelta(days=1)
SUBJECT = "CN=bank,O=Example\\, Inc.,C=DE"
ALTERNATIVES = (
    x509.DNSName("bank.example"),
    x509.UniformResourceIdentifier("spiffe://example/bank"),
    x509.RFC822Name("ops@bank.example"),
    x509.IPAddress(ip_address("192.0.2.7")),
)


class Issued(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def escaped(self) -> bytes:
        """As nginx writes `$ssl_client_escaped_cert`."""
        return quote(self.pem, safe="").encode()

    @property
    def rfc9440(self) -> bytes:
        return b":" + b64encode(self.der) + b":"


def issue(
    by: Issued | None = None,
    *,
    subject: str = SUBJECT,
    ca: bool = False,
    since: datetime = NOON - DAY,
    until: datetime = NOON + DAY,
    uses: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.CLIENT_AUTH,),
    key: Any = None,
) -> Issued:
    """Issue a certificate; self-signed without an authority."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by.certificate.subject if by else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(ALTERNATIVES), critical=False)
    )
    if uses:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    return Issued(builder.sign(by.key if by else key, SHA256()), key)


AUTHORITY = issue(subject="CN=Authority", ca=True, uses=())
