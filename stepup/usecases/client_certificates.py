"""Certificates of clients: read what a proxy passed on, and say whose they are."""

from stepup.crypto import certificates
from stepup.domain.client_certificate import ClientCertificate


def read_certificate(header: bytes) -> ClientCertificate:
    """Read the certificate that a proxy wrote into a header.

    Raises:
        ValueError: If it cannot be read.
    """
    return certificates.read_certificate(header)
