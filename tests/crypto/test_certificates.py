"""Certificates of clients: three ways to write one, five names to know one by (RFC 8705)."""

import hashlib
from base64 import b64encode, urlsafe_b64encode

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from stepup.crypto import certificates
from stepup.domain.client_authentication import TlsName, TlsSubject
from tests.support.certificates import AUTHORITY, DAY, issue
from tests.support.determinism import NOON

LEAF = issue(AUTHORITY)
READ = certificates.read_certificate(LEAF.rfc9440)


@pytest.mark.parametrize(
    "header",
    [LEAF.rfc9440, LEAF.escaped, LEAF.pem.encode(), b64encode(LEAF.der), b" " + LEAF.rfc9440],
)
def test_proxies_write_a_certificate_in_three_ways(header):
    read = certificates.read_certificate(header)

    assert read == READ
    assert repr(read) == f"ClientCertificate({read.thumbprint})"


def test_rfc8705_3_1_the_thumbprint_is_base64url_without_padding():
    digest = urlsafe_b64encode(hashlib.sha256(LEAF.der).digest())

    assert READ.thumbprint == digest.rstrip(b"=").decode()


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b":",
        b"::",
        b":not base64:",
        b"bm90IGEgY2VydGlmaWNhdGU=",
        b"-----BEGIN CERTIFICATE-----",
        LEAF.escaped + issue().escaped,
        LEAF.rfc9440[:-20] + b":",
        b"A" * 20_000,
        b"\xff\xfe",
    ],
)
def test_anything_else_is_refused(header):
    with pytest.raises(ValueError, match=r"\w"):
        certificates.read_certificate(header)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (TlsName.SUBJECT_DN, "CN=bank,O=Example\\, Inc.,C=DE", True),
        (TlsName.SUBJECT_DN, "CN=bank,O=Example\\2c Inc.,C=DE", True),
        (TlsName.SUBJECT_DN, "CN=bank", False),
        (TlsName.SUBJECT_DN, "C=DE,O=Example\\, Inc.,CN=bank", False),
        (TlsName.SUBJECT_DN, "bank", False),
        (TlsName.SAN_DNS, "BANK.example", True),
        (TlsName.SAN_DNS, "example", False),
        (TlsName.SAN_URI, "spiffe://example/bank", True),
        (TlsName.SAN_URI, "spiffe://example/", False),
        (TlsName.SAN_EMAIL, "ops@bank.example", True),
        (TlsName.SAN_EMAIL, "bank.example", False),
        (TlsName.SAN_IP, "192.0.2.7", True),
        (TlsName.SAN_IP, "192.0.2.8", False),
        (TlsName.SAN_IP, "bank.example", False),
    ],
)
def test_rfc8705_2_1_2_one_name_identifies_a_client(name, value, expected):
    assert certificates.is_of_subject(READ, TlsSubject(name=name, value=value)) is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [(TlsName.SUBJECT_DN, "bank"), (TlsName.SUBJECT_DN, ""), (TlsName.SAN_IP, "bank.example")],
)
def test_a_name_that_no_certificate_can_have_is_refused(name, value):
    with pytest.raises(ValueError, match=r"\w"):
        certificates.check_subject(TlsSubject(name=name, value=value))


@pytest.mark.parametrize(
    ("leaf", "authority", "expected"),
    [
        (LEAF, AUTHORITY, True),
        (issue(AUTHORITY, uses=()), AUTHORITY, True),
        (issue(), AUTHORITY, False),
        (issue(AUTHORITY, uses=(ExtendedKeyUsageOID.SERVER_AUTH,)), AUTHORITY, False),
        # A forger who calls himself what the authority is called.
        (issue(issue(subject="CN=Authority", ca=True)), AUTHORITY, False),
    ],
)
def test_only_an_authority_issues(leaf, authority, expected):
    read = certificates.read_certificate(leaf.rfc9440)

    assert certificates.is_issued_by(read, [authority.der], NOON) is expected


def test_a_stranger_whose_extensions_cannot_be_read_is_issued_by_nobody():
    # Two extensions of one kind: subjectAltName becomes a second basicConstraints.
    der = issue().der.replace(b"\x06\x03\x55\x1d\x11", b"\x06\x03\x55\x1d\x13")
    stranger = certificates.read_certificate(b64encode(der))

    assert not certificates.is_issued_by(stranger, [AUTHORITY.der], NOON)
    assert not certificates.is_of_subject(stranger, TlsSubject(name=TlsName.SAN_DNS, value="x"))


def test_another_client_of_the_authority_issues_nothing():
    other = issue(AUTHORITY, subject="CN=shop")
    forged = certificates.read_certificate(issue(other).rfc9440)

    assert not certificates.is_issued_by(forged, [AUTHORITY.der, other.der], NOON)


def test_an_authority_that_has_ended_issues_nothing():
    assert not certificates.is_issued_by(READ, [AUTHORITY.der], NOON + 2 * DAY)


def test_rfc8705_2_2_2_a_self_signed_certificate_is_registered_whole_or_by_its_key():
    mine = issue()
    same_key = certificates.read_certificate(issue(key=mine.key).rfc9440)
    read = certificates.read_certificate(mine.rfc9440)
    key = mine.key.public_key()

    assert certificates.is_registered(read, key, None)
    assert certificates.is_registered(same_key, key, None)
    assert certificates.is_registered(read, key, mine.der)
    assert not certificates.is_registered(same_key, key, mine.der)
    assert not certificates.is_registered(READ, key, None)


def test_its_validity_has_two_ends():
    assert READ.is_valid_at(NOON)
    assert not READ.is_valid_at(NOON - 2 * DAY)
    assert not READ.is_valid_at(NOON + 2 * DAY)


def test_authorities_come_in_one_file():
    text = AUTHORITY.pem + issue(ca=True).pem

    assert certificates.read_authorities(text)[0] == AUTHORITY.der
