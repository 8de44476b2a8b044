"""An authorization request after its checks, and where its answer goes."""

from datetime import datetime

import msgspec

from stepup.domain.action_details import ActionDetails
from stepup.domain.assurance import Acr
from stepup.domain.authorization import ResponseMode, Ticket
from stepup.domain.errors import StepUpError
from stepup.domain.ids import ClientId, Subject


class ResponseTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A registered redirect URI, how the answer gets there, and what the client wants back.

    Only of these can an answer be sent anywhere: whoever has one has checked it
    (RFC 6749 section 4.1.2.1).
    """

    redirect_uri: str
    response_mode: ResponseMode = ResponseMode.QUERY
    state: str | None = None


class RefusedRequestError(Exception):
    """The request came through a browser, and its refusal goes back that way to `target`."""

    def __init__(self, cause: StepUpError, target: ResponseTarget) -> None:
        super().__init__(cause.detail)
        self.cause = cause
        self.target = target


class SignedObject(msgspec.Struct, frozen=True):
    """The name of a request object, since when it may have been used, and until when it holds."""

    id: str
    since: datetime
    until: datetime


class CheckedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for, once every check that needs no subject has passed.

    `subject` is whom the client has proved or may assert; None when a base login must find out.
    Whoever it is must be `expected_subject`, if there is one, and have one of `subs` as the `sub` of
    its tokens, if there are any. `acr_values` are the levels of ours
    that the client accepts, best first; None when it names none. `signed_object` when it comes from
    one that may be used once. `waits_as` and `waits_until` of one that was pushed without a subject
    and waits for somebody to sign in; what it uses once is used up.
    """

    client_id: ClientId
    pushed: bool
    target: ResponseTarget
    code_challenge: str
    scope: str | None = None
    resource: str | None = None
    nonce: str | None = None
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    acr_values: tuple[Acr, ...] | None = None
    essential_acr: bool = False
    ticket: Ticket | None = None
    details: ActionDetails | None = None
    signed_object: SignedObject | None = None
    subject: Subject | None = None
    expected_subject: Subject | None = None
    subs: frozenset[str] | None = None
    login_hint: str | None = None
    ui_locales: str | None = None
    dpop_jkt: str | None = None
    waits_as: str | None = None
    waits_until: datetime | None = None

    @property
    def wants_id_token(self) -> bool:
        """Say whether this is an OpenID Connect request (Core section 3.1.2.1)."""
        return "openid" in (self.scope or "").split()

    def __repr__(self) -> str:
        return f"CheckedRequest({self.client_id})"
