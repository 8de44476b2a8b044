"""Authorization codes of the demo identity provider: one minute, one use, one verifier."""

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest

from stepup.demo.idp_tokens import Login

CODE_LIFETIME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a code stands for."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    nonce: str | None
    login: Login


class Codes:
    """The codes that nobody redeemed yet."""

    def __init__(self) -> None:
        self._grants: dict[str, tuple[float, Grant]] = {}

    def issue(self, grant: Grant) -> str:
        """Make a code for a grant."""
        now = time.time()
        self._grants = {code: held for code, held in self._grants.items() if held[0] > now}
        code = secrets.token_urlsafe(24)
        self._grants[code] = (now + CODE_LIFETIME, grant)
        return code

    def redeem(self, form: Mapping[str, str]) -> Grant | None:
        """Return what the code of a token request stands for, once, to whoever asked for it."""
        expires_at, grant = self._grants.pop(form.get("code", ""), (0.0, None))
        if grant is None or expires_at < time.time():
            return None
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        is_theirs = (
            form.get("client_id") == grant.client_id
            and form.get("redirect_uri") == grant.redirect_uri
            and compare_digest(challenge.encode(), grant.code_challenge.encode())
        )
        return grant if is_theirs else None
