"""Tokens written by hand, so that a test can say anything in them and sign as anybody."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from jwt.algorithms import OKPAlgorithm, get_default_algorithms

ALGORITHMS = {**get_default_algorithms(), "Ed25519": OKPAlgorithm()}


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: dict, claims: Any, key: Any = None) -> str:
    """Sign with the key as the header's alg says; without a key the signature is empty."""
    signing_input = f"{part(header)}.{part(claims)}"
    if key is None:
        return signing_input + "."
    if header["alg"] == "HS256":
        # Not through PyJWT, which refuses to use a public key as a shared secret.
        signature = hmac.digest(key, signing_input.encode(), hashlib.sha256)
    else:
        algorithm = ALGORITHMS[header["alg"]]
        signature = algorithm.sign(signing_input.encode(), algorithm.prepare_key(key))
    return f"{signing_input}.{part(signature)}"


def read(text: str, index: int) -> dict:
    segment = text.split(".")[index]
    return json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
