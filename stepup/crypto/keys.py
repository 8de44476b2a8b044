"""Signing keys and the root secret: made, sealed, opened.

A signing key is named by its thumbprint, so the same key never has two names and a record whose
public half was swapped does not open.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from stepup.crypto import digests
from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.ids import KeyId
from stepup.domain.keyring import (
    KeyPlan,
    Keyring,
    KeyState,
    KeyUse,
    Ring,
    SealedKey,
    SigningKey,
)

ROOT_BYTES = 32
ROOT_ID = KeyId("root")

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey

# RFC 7638 section 3.2 and RFC 8037 section 2: what makes a public key, and nothing private.
_PUBLIC_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "RSA": ("e", "kty", "n"),
}

# CAEP Interoperability Profile section 2.6 and FAPI 2.0 section 5.4.1: at least 2048. More would
# triple what a signature costs, for keys that sign for a month what is over within minutes.
_RSA_BITS = 2048

_GENERATORS: Mapping[str, Callable[[], PrivateKey]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": Ed25519PrivateKey.generate,
    "PS256": partial(rsa.generate_private_key, 65537, _RSA_BITS),
    "RS256": partial(rsa.generate_private_key, 65537, _RSA_BITS),
}

_canonical = msgspec.json.Encoder(order="sorted")


def generate_root(random: Callable[[int], bytes]) -> bytes:
    """Draw the root secret that every derived key of the deployment comes from."""
    return random(ROOT_BYTES)


ALGORITHMS = frozenset(_GENERATORS)
"""With what we can sign."""


def generate_signing_key(
    algorithm: str = "ES256",
    *,
    state: KeyState = KeyState.ACTIVE,
    use: KeyUse = KeyUse.TOKEN,
    region: str = "",
) -> SigningKey:
    """Make a signing key; its randomness is the cryptography library's own.

    Raises:
        ValueError: If no key can be made for the algorithm.
    """
    if algorithm not in _GENERATORS:
        raise ValueError(f"no signing keys for {algorithm}; there are {', '.join(_GENERATORS)}")
    while True:
        key = _signing_key(_GENERATORS[algorithm](), Ring(use, algorithm, region), state)
        # One name in 64 begins with a hyphen, which a command line takes for an option.
        if not key.id.startswith("-"):
            return key


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Compute the SHA-256 thumbprint of a JWK (RFC 7638).

    Raises:
        ValueError: If the key type is unknown or one of its members is missing.
    """
    digest = Hash(SHA256())
    digest.update(_canonical.encode(public_members(jwk)))
    return digests.encode(digest.finalize())


def public_members(jwk: Mapping[str, Any]) -> dict[str, str]:
    """Return the members that make the public key, and no other.

    Raises:
        ValueError: If the key type is unknown or one of its members is missing.
    """
    names = _PUBLIC_MEMBERS.get(jwk.get("kty", ""), ())
    if not names or not all(isinstance(jwk.get(name), str) for name in names):
        raise ValueError("not a public EC, OKP or RSA key")
    return {name: jwk[name] for name in names}


def seal_signing_key(key: SigningKey, sealer: Sealer, now: datetime) -> SealedKey:
    """Seal the private half of a signing key."""
    return SealedKey(
        id=key.id,
        use=key.use,
        algorithm=key.algorithm,
        region=key.region,
        state=key.state,
        public_jwk=key.public_jwk,
        since=now,
        sealed_private_key=sealer.seal(
            _private_key(key.private_key).private_bytes(
                Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
            ),
            context=_context(key.use, key.id, key.algorithm),
        ),
        created_at=now,
    )


def seal_root(root: bytes, sealer: Sealer, now: datetime) -> SealedKey:
    """Seal the root secret."""
    algorithm = "HKDF-SHA256"
    return SealedKey(
        id=ROOT_ID,
        use=KeyUse.ROOT,
        algorithm=algorithm,
        state=KeyState.ACTIVE,
        public_jwk={},
        sealed_private_key=sealer.seal(root, context=_context(KeyUse.ROOT, ROOT_ID, algorithm)),
        created_at=now,
    )


def seal_again(key: SealedKey, sealer: Sealer) -> SealedKey | None:
    """Return a key sealed under the current key-encryption key, None when it lies under that.

    Raises:
        UnsealError: If it does not open.
    """
    context = _context(key.use, key.id, key.algorithm)
    sealed = sealer.seal_again(key.sealed_private_key, context=context)
    if sealed is None:
        return None
    return msgspec.structs.replace(key, sealed_private_key=sealed)


def open_keyring(
    sealed: Sequence[SealedKey], sealer: Sealer, plan: KeyPlan | None = None
) -> Keyring:
    """Unseal every key that is not gone; the plan says which of them are preferred.

    Raises:
        UnsealError: If one does not open, or is not the key its name says.
        LookupError: If there is no root secret, or more than one.
    """
    root = open_root(sealed, sealer)
    return Keyring(
        keys=tuple(
            _open_signing_key(key, sealer)
            for key in sealed
            if key.use is not KeyUse.ROOT and key.state is not KeyState.GONE
        ),
        root=root,
        plan=plan or KeyPlan(),
    )


def open_root(sealed: Sequence[SealedKey], sealer: Sealer) -> bytes:
    """Unseal the root secret alone.

    Raises:
        UnsealError: If it does not open.
        LookupError: If there is no root secret, or more than one.
    """
    roots = [key for key in sealed if key.use is KeyUse.ROOT and key.state is not KeyState.GONE]
    if len(roots) != 1:
        raise LookupError(f"a keyring has one root secret, not {len(roots)}")
    return _unseal(roots[0], sealer)


def _open_signing_key(sealed: SealedKey, sealer: Sealer) -> SigningKey:
    # What the seal lets through is what we made: proving its primes anew would take some 50 ms a key,
    # with every change of the configuration.
    private_key = load_der_private_key(
        _unseal(sealed, sealer), password=None, unsafe_skip_rsa_key_validation=True
    )
    key = _signing_key(_private_key(private_key), sealed.ring, sealed.state)
    if key.id != sealed.id:
        raise UnsealError(f"key {sealed.id} has another private half")
    return msgspec.structs.replace(key, since=sealed.stands_since)


def _unseal(sealed: SealedKey, sealer: Sealer) -> bytes:
    context = _context(sealed.use, sealed.id, sealed.algorithm)
    return sealer.unseal(sealed.sealed_private_key, context=context)


def _context(use: KeyUse, key_id: KeyId, algorithm: str) -> str:
    # With the algorithm inside, nobody can make an ES256 key sign as something else.
    return f"key:{use}:{algorithm}:{key_id}"


def _signing_key(private_key: PrivateKey, ring: Ring, state: KeyState) -> SigningKey:
    jwk = public_members(_as_jwk(private_key))
    return SigningKey(
        id=KeyId(thumbprint(jwk)),
        use=ring.use,
        algorithm=ring.algorithm,
        region=ring.region,
        state=state,
        public_jwk=jwk,
        private_key=private_key,
    )


def _as_jwk(private_key: PrivateKey) -> dict[str, Any]:
    match private_key:
        case ec.EllipticCurvePrivateKey():
            return ECAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
        case Ed25519PrivateKey():
            return OKPAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
        case _:
            return RSAAlgorithm.to_jwk(private_key.public_key(), as_dict=True)


def _private_key(key: object) -> PrivateKey:
    if not isinstance(key, PrivateKey):
        raise UnsealError("not a private key of a kind we sign with")
    return key
