"""`StepUp`: one object per service, made once, shared by every thread and task."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from time import time
from urllib.parse import urlsplit

from stepup.sdk import transport as standard
from stepup.sdk.binding import digest_of
from stepup.sdk.dpop import ProofVerifier, ReplayCache
from stepup.sdk.errors import (
    AlreadyConsumedError,
    InvalidToken,
    MissingToken,
    Scope,
    StepUpRequired,
)
from stepup.sdk.flow import ActionRequest, Decision, Pending, Started
from stepup.sdk.keys import Fetcher, KeySet
from stepup.sdk.possession import CertificateOf, Shown, read_shown
from stepup.sdk.requirement import Requirement
from stepup.sdk.service import Service
from stepup.sdk.statuses import StatusCheck, StatusLists
from stepup.sdk.tokens import VerifiedToken
from stepup.sdk.transport import Transport
from stepup.sdk.verifier import Verifier

ALGORITHMS = frozenset({"ES256", "RS256", "EdDSA"})
LEVELS = ("urn:stepup:acr:1", "urn:stepup:acr:2", "phr", "phrh")

Recognize = Callable[[str], bool]
Values = Mapping[str, object]


class StepUp:
    """Verifies elevated tokens here, and asks the service for everything else.

    `audience` is this service's own name in tokens, `levels` the ladder, weakest first.
    `recognizes` says whether a bearer token that is not ours is a valid one of the base identity
    provider: its holder is then told what to do, everybody else is only refused. With `status_check`
    a token that was revoked is refused as soon as its status list says so.

    `base_url` is where callers reach this service, which DPoP proofs are for: without it no DPoP
    token is accepted. Processes that serve it together share `replays`. With `dpop_nonce_secret`
    proofs need a nonce. `certificate_of` finds the certificate that tokens may be bound to.
    """

    def __init__(  # noqa: PLR0913  a deployment's settings, all by keyword
        self,
        *,
        issuer: str,
        audience: str,
        levels: Iterable[str] = LEVELS,
        client_id: str | None = None,
        client_secret: str | None = None,
        algorithms: Iterable[str] = ("ES256",),
        jwks_uri: str | None = None,
        start_url: str | None = None,
        recognizes: Recognize | None = None,
        status_check: StatusCheck | None = None,
        base_url: str | None = None,
        replays: ReplayCache | None = None,
        dpop_nonce_secret: bytes | None = None,
        certificate_of: CertificateOf | None = None,
        fetcher: Fetcher = standard.fetch,
        transport: Transport = standard.send,
        clock: Callable[[], float] = time,
    ) -> None:
        _check_issuer(issuer)
        ladder, allowed = _check_ladder(levels), _check_algorithms(algorithms)
        if not audience:
            raise ValueError("audience is this service's own name in tokens")
        self.issuer = issuer
        self.start_url = start_url
        self._recognizes = recognizes
        keys = KeySet(jwks_uri or f"{issuer}/.well-known/jwks.json", fetcher, allowed)
        self._statuses = (
            StatusLists(issuer, keys, status_check, transport, clock) if status_check else None
        )
        self._base_url = base_url.rstrip("/") if base_url else None
        self._certificate_of = certificate_of
        proofs = ProofVerifier(replays=replays, nonce_secret=dpop_nonce_secret, clock=clock)
        self._verifier = Verifier(
            issuer=issuer,
            audience=audience,
            levels=ladder,
            keys=keys,
            proofs=proofs if base_url else None,
            clock=clock,
        )
        self.blocking = Service(issuer, client_id, client_secret, transport)
        """The service's calls for programs without an event loop."""

    def check(self, *requirements: Requirement) -> None:
        """Refuse, at the start, requirements that could never be met here.

        Raises:
            ValueError: If a level is not on the ladder.
        """
        for requirement in requirements:
            self._verifier.check(requirement)

    @property
    def takes_dpop(self) -> bool:
        """Say whether DPoP tokens are accepted here."""
        return self._base_url is not None

    def read_shown(self, scope: Scope) -> tuple[str | None, Shown]:
        """Return the token of an ASGI request, None if there is none, and how it was shown.

        Raises:
            BindingError: If the field Authorization was sent twice.
        """
        return read_shown(scope, self._base_url, self._certificate_of)

    def verify(
        self,
        raw: str,
        requirement: Requirement,
        values: Values | None = None,
        shown: Shown | None = None,
    ) -> VerifiedToken:
        """Return the token if it is good for what `requirement` demands with these values.

        `shown` is how the request showed it; a token that is bound to a key is refused without.

        Raises:
            InvalidToken: If it is not a valid token at all, or its key is not proved.
            StepUpRequired: If it is valid, but not enough.
            BindingError: If a bound value is missing or has no exact form.
            UnavailableError: If the issuer's keys, or the token's status, are unknown and cannot
                be fetched.
        """
        try:
            self._check_status(raw)
            return self._verifier.verify(raw, requirement, values, shown)
        except StepUpRequired as error:
            error.start_url = self.start_url
            error.scheme = _scheme(shown)
            raise
        except InvalidToken as error:
            error.scheme = _scheme(shown)
            if self._recognizes is None or not raw or not self._recognizes(raw):
                raise
            reason = "this action must be confirmed"
            needed = StepUpRequired(requirement, reason, start_url=self.start_url)
            needed.scheme = _scheme(shown)
            raise needed from None

    async def verify_async(
        self,
        raw: str,
        requirement: Requirement,
        values: Values | None = None,
        shown: Shown | None = None,
    ) -> VerifiedToken:
        """Do what `verify` does; if the issuer or a replay cache must be asked, in a thread."""
        if self._recognizes is None and not (shown and shown.is_dpop):
            try:
                ready = self._verifier.has_key_for(raw) and self._has_status_for(raw)
            except InvalidToken:
                ready = True
            if ready:
                return self.verify(raw, requirement, values, shown)
        return await asyncio.to_thread(self.verify, raw, requirement, values, shown)

    def _check_status(self, raw: str) -> None:
        # Before the requirement: who was revoked learns nothing about what is needed.
        if self._statuses is not None:
            self._statuses.require_valid(self._verifier.read(raw).status)

    def _has_status_for(self, raw: str) -> bool:
        return self._statuses is None or self._statuses.is_known(self._verifier.read(raw).status)

    async def admit(
        self,
        raw: str | None,
        requirement: Requirement,
        values: Values | None = None,
        shown: Shown | None = None,
    ) -> VerifiedToken:
        """Verify, and use the token up if it is for one use; what the guards do.

        Raises:
            MissingToken: If there is none.
            AlreadyConsumedError: If somebody used it before.
        """
        if not raw:
            raise MissingToken(takes_dpop=self.takes_dpop)
        token = await self.verify_async(raw, requirement, values, shown)
        if token.once and not await self.consume(raw, requirement, values):
            raise AlreadyConsumedError("This approval was used before.")
        return token

    async def consume(
        self, raw: str, requirement: Requirement | None = None, values: Values | None = None
    ) -> bool:
        """Use up a once-only token; True for exactly one caller anywhere."""
        action, digest = None, None
        if requirement is not None:
            action = requirement.action
            digest = digest_of(action, requirement.bind, values or {})
        return await asyncio.to_thread(
            self.blocking.consume, raw, action=action, bound_digest=digest
        )

    async def decide(self, request: ActionRequest, *, token: str | None = None) -> Decision:
        """Ask whether an action may go on as it is, for instance for hints in a user interface."""
        return await asyncio.to_thread(self.blocking.decide, request, token=token)

    async def start(
        self,
        request: ActionRequest,
        *,
        redirect_uri: str,
        subject_token: str | None = None,
        audience: str | None = None,
        ui_locales: str | None = None,
    ) -> Started:
        """Decide, and where a challenge is needed, return the URL to send the browser to."""
        return await asyncio.to_thread(
            self.blocking.start,
            request,
            redirect_uri=redirect_uri,
            subject_token=subject_token,
            audience=audience,
            ui_locales=ui_locales,
        )

    async def redeem(
        self,
        pending: Pending,
        callback: Mapping[str, str],
        requirement: Requirement,
        values: Values | None = None,
    ) -> VerifiedToken:
        """Turn a callback's query into the elevated token, checked for what was asked.

        Raises:
            CallbackError: If the user cancelled, or the answer belongs to something else.
            ServiceError: If the code is not good.
            InvalidToken, StepUpRequired: If the token is not what was asked for.
        """
        code = pending.code_from(callback, self.issuer)
        raw = await asyncio.to_thread(self.blocking.redeem, code, pending)
        return await self.verify_async(raw, requirement, values)

    async def introspect(self, raw: str) -> Mapping[str, object]:
        """Ask what the service knows about a token now, revocation included."""
        return await asyncio.to_thread(self.blocking.introspect, raw)

    async def revoke(self, raw: str) -> None:
        """End a token before its time."""
        await asyncio.to_thread(self.blocking.revoke, raw)


def _scheme(shown: Shown | None) -> str:
    return "Bearer" if shown is None else shown.scheme


def bearer_token(authorization: str | None) -> str | None:
    """Return the token of an `Authorization` field; None when it is not a bearer's (RFC 6750)."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _check_issuer(issuer: str) -> None:
    parts = urlsplit(issuer)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ValueError("issuer is an https URL, or http on this machine")
    if issuer.endswith("/") or parts.query or parts.fragment:
        raise ValueError("issuer has no trailing slash, query or fragment")


def _check_ladder(levels: Iterable[str]) -> tuple[str, ...]:
    if isinstance(levels, str):
        raise TypeError("levels is a list of names, weakest first")
    ladder = tuple(levels)
    if not ladder or len(set(ladder)) != len(ladder) or not all(ladder):
        raise ValueError("levels names each level once, weakest first")
    return ladder


def _check_algorithms(algorithms: Iterable[str]) -> frozenset[str]:
    if isinstance(algorithms, str):
        raise TypeError("algorithms is a list of names")
    allowed = frozenset(algorithms)
    # Anything symmetric would make the public key a secret that everybody knows.
    if not allowed or not allowed <= ALGORITHMS:
        raise ValueError(f"algorithms is some of {sorted(ALGORITHMS)}")
    return allowed
