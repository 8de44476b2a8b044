"""What browsers are remembered for."""

from typing import Protocol

from stepup.domain.account import KeptRequest
from stepup.domain.browser_session import BrowserSession, Proof, SignIn


class SessionStore(Protocol):
    """Proofs and base logins of browsers, sealed, by the digest of a secret in a cookie.

    Each entry goes when it expires, and all that is lost with one is that somebody is asked again.
    At most `KEPT_PER_BROWSER` entries are kept; past that the one that would expire first goes.
    """

    async def add_proof(self, digest: str, proof: Proof) -> None:
        """Add a proof to those of this browser; the same one again changes nothing."""
        ...

    async def put_sign_in(self, digest: str, sign_in: SignIn) -> None:
        """Keep who signed in last in this browser."""
        ...

    async def find(self, digest: str) -> BrowserSession:
        """Return what is not expired; a session that nobody knows is empty."""
        ...

    async def keep_request(self, digest: str, request: KeptRequest) -> None:
        """Keep a request that a browser posted, for as long as a login may take."""
        ...

    async def find_request(self, digest: str) -> KeptRequest | None:
        """Return it, as often as the browser comes."""
        ...

    async def remove(self, digest: str) -> None:
        """Forget a browser; again is harmless."""
        ...
