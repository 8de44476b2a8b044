"""A caller with a DPoP key of its own; nothing here is the SDK's code."""

import hashlib
import json
from base64 import urlsafe_b64encode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.sdk.minting import NOW

BASE = "https://payments.example"

_KEYS = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
}
_MEMBERS = ("crv", "e", "kty", "n", "x", "y")


def base64url(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def sha256(text):
    return base64url(hashlib.sha256(text.encode()).digest())


class Prover:
    def __init__(self, alg="ES256"):
        self.alg, self.private, self.made = alg, _KEYS[alg](), 0

    @property
    def algorithm(self):
        # PyJWT knows the older of the two names.
        return jwt.get_algorithm_by_name("EdDSA" if self.alg == "Ed25519" else self.alg)

    @property
    def private_jwk(self):
        return self.algorithm.to_jwk(self.private, as_dict=True)

    @property
    def jwk(self):
        return {name: self.private_jwk[name] for name in _MEMBERS if name in self.private_jwk}

    @property
    def jkt(self):
        return sha256(json.dumps(self.jwk, sort_keys=True, separators=(",", ":")))

    def prove(self, token, method="POST", url=f"{BASE}/payments", *, header=None, **changes):
        """Make a proof; a claim or header member that is None is left out."""
        self.made += 1
        claims = {
            "jti": f"proof-{self.made}",
            "htm": method,
            "htu": url,
            "iat": NOW,
            "ath": sha256(token),
        } | changes
        head = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk} | (header or {})
        message = ".".join(
            base64url(json.dumps({k: v for k, v in part.items() if v is not None}).encode())
            for part in (head, claims)
        )
        signature = self.algorithm.sign(message.encode(), self.algorithm.prepare_key(self.private))
        return f"{message}.{base64url(signature)}"
