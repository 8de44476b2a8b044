"""The identity provider's public keys: forged tokens do not become requests for keys."""

import json
from collections.abc import Callable
from threading import Lock
from time import monotonic

import jwt

from stepup.sdk.keys import FAILURE_PAUSE, UNKNOWN_KID_PAUSE, Fetcher


class BaseKeys:
    """The keys of one identity provider; safe to share between threads.

    Anybody can make up a token with a new `kid`: an unknown one asks again at most once per pause.
    """

    def __init__(self, url: str, fetch: Fetcher, clock: Callable[[], float] = monotonic) -> None:
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at: float | None = None
        self._asking = Lock()

    def find(self, kid: str) -> jwt.PyJWK:
        """Return a key; for an unknown one the identity provider may be asked, which blocks.

        Raises:
            jwt.InvalidKeyError: If there is no such key.
            UnavailableError: If the identity provider was asked and did not answer.
        """
        if kid not in self._keys:
            # Whoever waits here finds what the one before has fetched.
            with self._asking:
                if kid not in self._keys and self._may_ask():
                    self._load()
        key = self._keys.get(kid)
        if key is None:
            raise jwt.InvalidKeyError("the identity provider has no such key")
        return key

    def _may_ask(self) -> bool:
        now = self._clock()
        # Without any key nobody can sign in, so that is tried again soon.
        pause = UNKNOWN_KID_PAUSE if self._keys else FAILURE_PAUSE
        if self._asked_at is not None and now - self._asked_at < pause:
            return False
        self._asked_at = now
        return True

    def _load(self) -> None:
        # The demo identity provider has a new key after each start.
        keys = jwt.PyJWKSet.from_dict(json.loads(self._fetch(self._url))).keys
        self._keys = {key.key_id: key for key in keys if key.key_id}
