"""Which authenticators gave a token, in its text, readable by us alone.

Resource servers must not learn which of their subjects' tokens came from one device, and an
instance must know it of every token without asking anybody. So the identifiers stand in the token
under a pad that is made of the token's own identifier, which no two tokens share: the signature
around it keeps it from being changed.
"""

from collections.abc import Sequence

from stepup.crypto import digests
from stepup.domain.ids import AuthenticatorId, TokenId

_BLOCK = digests.DIGEST_BYTES


def conceal(root: bytes, token_id: TokenId, authenticators: Sequence[AuthenticatorId]) -> str:
    """Write the authenticators of a token so that only who has the root secret reads them."""
    text = " ".join(authenticators).encode()
    return digests.encode(_padded(root, token_id, text))


def reveal(root: bytes, token_id: TokenId, text: str) -> tuple[AuthenticatorId, ...]:
    """Read the authenticators of a token whose signature holds.

    Raises:
        ValueError: If the text is none of ours.
    """
    plain = _padded(root, token_id, digests.decode(text)).decode()
    return tuple(AuthenticatorId(name) for name in plain.split(" ") if name)


def _padded(root: bytes, token_id: TokenId, data: bytes) -> bytes:
    key = digests.derive(root, "givers")
    count = -(-len(data) // _BLOCK)
    pad = b"".join(digests.keyed_digest(key, f"{token_id} {i}") for i in range(count))
    return bytes(a ^ b for a, b in zip(data, pad[: len(data)], strict=True))
