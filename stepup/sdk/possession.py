"""Tokens that are bound to a key (RFC 7800), and what proves that whoever shows one has it.

A bound token is good with a DPoP proof of its key (RFC 9449) or over the TLS connection of its
certificate (RFC 8705), and refused without. `Shown` is what a request brought, read from an ASGI
scope by `read_shown`.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stepup.sdk.dpop import ProofVerifier
from stepup.sdk.errors import BindingError, InvalidToken, Scope

CertificateOf = Callable[[Scope], bytes | None]
"""Returns the client certificate (DER) that a trusted proxy saw in the TLS handshake, or None.

Whoever writes it makes sure that nobody but the proxy can have put it into the request.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The key that a token is bound to, by its thumbprint: exactly one of the two."""

    jkt: str | None = None
    x5t_s256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How a request showed its token, and what came with it."""

    scheme: str = "Bearer"
    proofs: tuple[str, ...] = field(default=(), repr=False)
    method: str = ""
    url: str = ""
    certificate: bytes | None = field(default=None, repr=False)

    @property
    def is_dpop(self) -> bool:
        """Say whether the token was shown as a DPoP token."""
        return self.scheme == "DPoP"


def read_shown(
    scope: Scope, base_url: str | None, certificate_of: CertificateOf | None
) -> tuple[str | None, Shown]:
    """Return the token of a request, None if there is none, and how it was shown.

    Raises:
        BindingError: If the field was sent twice: whoever reads the other one sees something else.
    """
    sent = _fields(scope, b"authorization")
    if len(sent) > 1:
        raise BindingError("the field authorization was sent twice")
    scheme, _, token = (sent[0] if sent else "").partition(" ")
    known = {"bearer": "Bearer", "dpop": "DPoP"}.get(scheme.lower())
    raw = (token.strip() or None) if known else None
    proofs = tuple(_fields(scope, b"dpop")) if known == "DPoP" else ()
    path = scope.get("raw_path") or scope["path"].encode()
    shown = Shown(
        scheme=known or "Bearer",
        proofs=proofs,
        method=scope.get("method", "GET"),
        url=f"{base_url or ''}{path.partition(b'?')[0].decode('latin-1')}",
        certificate=certificate_of(scope) if certificate_of and raw else None,
    )
    return raw, shown


def require_holder(
    raw: str, confirmation: Confirmation | None, shown: Shown | None, proofs: ProofVerifier | None
) -> None:
    """Refuse a token that is not shown by who holds its key.

    Raises:
        InvalidToken: If it is bound and the key is not proved, or shown as what it is not.
        InvalidProof: If there is a proof and it does not hold.
    """
    is_dpop = shown is not None and shown.is_dpop
    if confirmation is None:
        if is_dpop:
            raise InvalidToken("the token is bound to no key, but shown as a DPoP token")
        return
    if shown is None:
        raise InvalidToken("the token is bound to a key, and nothing proves that it is there")
    if confirmation.jkt is None:
        _require_certificate(confirmation, shown)
        return
    # RFC 9449 section 7.2: never as a bearer token.
    if not is_dpop:
        raise InvalidToken("the token is a DPoP token, but shown as a bearer token")
    if proofs is None:
        raise InvalidToken("the token is a DPoP token, which this service does not accept")
    jkt = proofs.verify(shown.proofs, method=shown.method, url=shown.url, access_token=raw)
    if not hmac.compare_digest(jkt, confirmation.jkt):
        raise InvalidToken("the token is bound to another key than that of the proof")


def confirmation_of(claims: Mapping[str, object]) -> Confirmation | None:
    """Read the claim `cnf`, None if there is none.

    Raises:
        InvalidToken: If it names no key, two keys, or one in a way that we do not know: it would
            be taken for less than it says.
    """
    if "cnf" not in claims:
        return None
    value: Any = claims["cnf"]
    names = {"jkt": "jkt", "x5t#S256": "x5t_s256"}
    if not isinstance(value, dict) or len(value) != 1 or not value.keys() <= names.keys():
        raise InvalidToken("the claim cnf is not understood")
    [(name, thumbprint)] = value.items()
    if not isinstance(thumbprint, str) or not thumbprint.isascii() or not thumbprint:
        raise InvalidToken("the claim cnf is malformed")
    return Confirmation(**{names[name]: thumbprint})


def _require_certificate(confirmation: Confirmation, shown: Shown) -> None:
    if shown.is_dpop or shown.certificate is None:
        raise InvalidToken("the token is bound to a certificate that was not shown")
    digest = hashlib.sha256(shown.certificate).digest()
    thumbprint = urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not hmac.compare_digest(thumbprint, confirmation.x5t_s256 or ""):
        raise InvalidToken("the token is bound to another certificate")


def _fields(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
