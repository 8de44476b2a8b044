"""Who is at the bank with which browser, and the transfer they are in the middle of."""

import asyncio
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from stepup.demo.base_identity import BaseLogin, PendingSignIn
from stepup.demo.browser import Notice
from stepup.sdk import Pending

SIGN_IN_LIFETIME = 600
MAX_DRAFTS = 20
MAX_SESSIONS = 10_000


@dataclass(slots=True)
class Draft:
    """A transfer that somebody is filling in, kept until it is made: a form is never lost.

    ```
    open --submit--> confirming --back with a code--> done
      ^                  |
      +----- cancel -----+
    ```
    """

    id: str
    amount: str = ""
    payee: str = ""
    reference: str = ""
    pending: Pending | None = None
    booking_id: str | None = None
    notice: Notice | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Session:
    """Somebody who is signed in."""

    login: BaseLogin
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    drafts: OrderedDict[str, Draft] = field(default_factory=OrderedDict)

    def new_draft(self) -> Draft:
        """Begin a transfer; the oldest of many is forgotten."""
        draft = Draft(secrets.token_urlsafe(12))
        self.drafts[draft.id] = draft
        while len(self.drafts) > MAX_DRAFTS:
            self.drafts.popitem(last=False)
        return draft

    def draft_of_state(self, state: str) -> Draft | None:
        """Find the transfer that an answer of stepup belongs to."""
        for draft in self.drafts.values():
            if draft.pending is not None and secrets.compare_digest(
                draft.pending.state.encode(), state.encode()
            ):
                return draft
        return None


class Sessions:
    """Every browser that is signed in, or about to be."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._sign_ins: OrderedDict[str, tuple[float, PendingSignIn]] = OrderedDict()

    def open(self, login: BaseLogin, before: str | None) -> str:
        """Sign somebody in; returns the new cookie. Drafts of the same person come along."""
        session = Session(login)
        previous = self._sessions.pop(before or "", None)
        if previous is not None and previous.login.sub == login.sub:
            session.drafts = previous.drafts
        # Always a new secret: one from before the sign-in may be known to somebody else.
        secret = secrets.token_urlsafe(24)
        self._sessions[secret] = session
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return secret

    def find(self, secret: str | None) -> Session | None:
        """Return the session of a cookie, as long as its login holds."""
        session = self._sessions.get(secret or "")
        return session if session and session.login.expires_at > time.time() else None

    def close(self, secret: str | None) -> None:
        """Sign somebody out."""
        self._sessions.pop(secret or "", None)

    def begin_sign_in(self, pending: PendingSignIn) -> str:
        """Remember a sign-in; returns the cookie that ties it to this browser."""
        secret = secrets.token_urlsafe(24)
        self._sign_ins[secret] = (time.time() + SIGN_IN_LIFETIME, pending)
        while len(self._sign_ins) > MAX_SESSIONS:
            self._sign_ins.popitem(last=False)
        return secret

    def end_sign_in(self, secret: str | None) -> PendingSignIn | None:
        """Return the sign-in of a cookie, once."""
        expires_at, pending = self._sign_ins.pop(secret or "", (0.0, None))
        return pending if expires_at > time.time() else None
