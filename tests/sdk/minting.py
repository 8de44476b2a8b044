"""An issuer of the test's own: a key pair, its JWKS, and tokens that are valid by default."""

import json
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from stepup.sdk import Requirement, StepUp, bound_digest

ISSUER = "http://localhost:8000"
AUDIENCE = "bank-transfers"
NOW = 1_800_000_000
ACTION = "payments.transfer"
VALUES = {"amount": "5000.00", "payee": "DE89 3704"}
TRANSFER = Requirement(ACTION, level="phr", max_age=0, bind=("amount", "payee"), once=True)
PLAIN = Requirement("payments.list", level="urn:stepup:acr:2", max_age=300)
ABSENT = object()

_ALGORITHMS = {
    "ES256": jwt.algorithms.ECAlgorithm,
    "RS256": jwt.algorithms.RSAAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}


class Clock:
    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


class Key:
    def __init__(self, kid="key-1", alg="ES256"):
        self.kid, self.alg = kid, alg
        self.private = {
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }[alg]()

    def jwk(self, **changes):
        public = json.loads(_ALGORITHMS[self.alg].to_jwk(self.private.public_key()))
        public = {k: v for k, v in public.items() if k != "key_ops"}
        return public | {"kid": self.kid, "alg": self.alg, "use": "sig"} | changes


class Issuer:
    """Serves a JWKS and counts who asks."""

    def __init__(self, *keys):
        self.keys = list(keys) or [Key()]
        self.fetches = 0
        self.failure: Exception | None = None
        self.before: Callable[[], None] = lambda: None

    def fetch(self, url):
        self.fetches += 1
        self.before()
        if self.failure is not None:
            raise self.failure
        return self.jwks()

    def jwks(self):
        return json.dumps({"keys": [key.jwk() for key in self.keys]}).encode()

    def mint(self, key=None, headers=None, **changes):
        key = key or self.keys[0]
        fields = {"typ": "at+jwt", "kid": key.kid} | (headers or {})
        fields = {k: v for k, v in fields.items() if v is not ABSENT}
        claims = {k: v for k, v in (claims_of_transfer() | changes).items() if v is not ABSENT}
        return jwt.PyJWS().encode(json.dumps(claims).encode(), key.private, key.alg, fields)


def details(action=ACTION, values=None, **changes):
    digest = bound_digest(str(action), VALUES if values is None else values)
    detail = {"type": "stepup_action", "action": action, "bound_digest": digest, "once": True}
    return [{k: v for k, v in (detail | changes).items() if v is not ABSENT}]


def claims_of_transfer():
    cid = "r1.AAAAAAAAAAAAAAAAAAAAAA"
    return {
        "iss": ISSUER,
        "sub": "alice",
        "sub_id": {"format": "iss_sub", "iss": "http://localhost:8001", "sub": "alice"},
        "aud": AUDIENCE,
        "client_id": "bank",
        "iat": NOW,
        "exp": NOW + 120,
        "jti": f"{cid}.BBBB",
        "acr": "phr",
        "amr": ["hwk", "user", "mfa"],
        "auth_time": NOW - 2,
        "txn": cid,
        "authorization_details": details(),
    }


def claims_of_level(acr="urn:stepup:acr:2", **changes):
    """Change a token into one without an action, as RFC 9470 clients get."""
    return {"acr": acr, "authorization_details": ABSENT} | changes


def a_stepup(issuer, clock, **changes):
    settings = {"issuer": ISSUER, "audience": AUDIENCE, "fetcher": issuer.fetch, "clock": clock}
    return StepUp(**(settings | changes))
