"""What a token that is bound to a key is refused for, where it is shown: 401 in place of 400."""

from stepup.domain.authorization_errors import InvalidDpopProofError, UseDpopNonceError


class ProofRefusedError(InvalidDpopProofError):
    """The proof that came with the token does not hold (RFC 9449 section 7.1)."""


class TokenNonceNeededError(UseDpopNonceError):
    """The proof that came with the token must carry a nonce of ours (RFC 9449 section 9)."""
