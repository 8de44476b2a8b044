"""A client's DPoP key, and proofs made with it that may lie."""

from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stepup.crypto.dpop import token_hash
from stepup.crypto.keys import public_members, thumbprint
from tests.crypto.forging import ALGORITHMS, forge

_KEYS: dict[str, Any] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": Ed25519PrivateKey.generate,
    "Ed25519": Ed25519PrivateKey.generate,
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
}


class ProofKey:
    """One key pair; `made` counts its proofs, so that each has a `jti` of its own."""

    def __init__(self, algorithm: str = "ES256", private_key: Any = None) -> None:
        self.algorithm = algorithm
        self.private_key = private_key or _KEYS[algorithm]()
        self.made = 0

    @property
    def private_jwk(self) -> dict[str, Any]:
        jwk: dict[str, Any] = ALGORITHMS[self.algorithm].to_jwk(self.private_key, as_dict=True)
        return jwk

    @property
    def jwk(self) -> dict[str, str]:
        return public_members(self.private_jwk)

    @property
    def jkt(self) -> str:
        return thumbprint(self.jwk)

    def proof(
        self,
        method: str,
        url: str,
        at: datetime,
        *,
        access_token: str | None = None,
        nonce: str | None = None,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Make a proof; a changed claim that is None is left out."""
        self.made += 1
        said = {
            "jti": f"proof-{self.made}",
            "htm": method,
            "htu": url,
            "iat": int(at.timestamp()),
            "ath": None if access_token is None else token_hash(access_token),
            "nonce": nonce,
        } | claims
        head = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk} | (header or {})
        return forge(
            {name: value for name, value in head.items() if value is not None},
            {name: value for name, value in said.items() if value is not None},
            self.private_key,
        )
