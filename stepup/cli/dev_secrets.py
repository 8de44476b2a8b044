"""The secrets of a development service: one seed, and everything else derived from it."""

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

_SEED = "seed"


class DevelopmentSecrets:
    """Secrets that are the same at every start.

    `guessable` ones are the same on every machine: they are for callers on this one alone.
    """

    def __init__(self, seed: bytes, *, guessable: bool = False) -> None:
        self._seed = seed
        self.guessable = guessable

    @classmethod
    def kept_in(cls, folder: Path) -> "DevelopmentSecrets":
        """Use the seed kept in a private folder, made at the first start."""
        path = folder / _SEED
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return cls(path.read_bytes())
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(32))
        return cls(path.read_bytes())

    @classmethod
    def shared_by(cls, postgres_url: str) -> "DevelopmentSecrets":
        """Derive the seed from a given database's credentials.

        Several `stepup dev` on one database must open each other's sealed keys without a word
        between them. As weak as that password, and guessable without one: development only.
        """
        from sqlalchemy import make_url  # noqa: PLC0415  slow to import, and seldom needed

        url = make_url(postgres_url)
        text = f"{url.username}\0{url.password}\0{url.database}"
        return cls(hashlib.sha256(text.encode()).digest(), guessable=not url.password)

    @property
    def key_encryption_keys(self) -> str:
        """The key-encryption key, as the setting wants it."""
        return f"1:{base64.b64encode(self._derive('key-encryption-key')).decode()}"

    @property
    def admin_token(self) -> str:
        """The bearer token for the admin API."""
        return self._text("admin-token")

    @property
    def engine_password(self) -> str:
        """The password of servers that listen on this machine's network."""
        return self._text("engine-password")

    def client_secret(self, client_id: str) -> str:
        """Return a client's secret."""
        return self._text(f"client-secret:{client_id}")

    def _text(self, purpose: str) -> str:
        return base64.urlsafe_b64encode(self._derive(purpose)).rstrip(b"=").decode()

    def _derive(self, purpose: str) -> bytes:
        return hmac.digest(self._seed, purpose.encode(), "sha256")
