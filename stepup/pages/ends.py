"""The pages that end a challenge or a session: each says what happened and what to do next."""

from dataclasses import dataclass
from typing import ClassVar, Literal

ErrorKind = Literal["not_found", "invalid", "forbidden", "unavailable", "too_many", "unexpected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DonePage:
    """Confirmed: leads back to the app, by script or by the link."""

    template: ClassVar[str] = "ends/done.html"

    app_name: str
    continue_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPage:
    """Takes an answer to the app in a form, which the script or the button sends."""

    template: ClassVar[str] = "ends/sent.html"

    app_name: str
    action_url: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyDonePage:
    """The challenge was answered before, perhaps in another tab."""

    template: ClassVar[str] = "ends/already_done.html"

    app_name: str
    return_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledPage:
    """The subject cancelled; `reported` when they said that they had not asked for it.

    The way back is a link, or a form where there are `return_fields`.
    """

    template: ClassVar[str] = "ends/cancelled.html"

    app_name: str
    return_url: str | None = None
    return_fields: tuple[tuple[str, str], ...] = ()
    reported: bool = False
    account_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredPage:
    """Nobody answered in time; `restart_url` leads to where the action can be started again."""

    template: ClassVar[str] = "ends/expired.html"

    app_name: str | None = None
    restart_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongBrowserPage:
    """The challenge belongs to another browser."""

    template: ClassVar[str] = "ends/wrong_browser.html"

    app_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """Something else went wrong; `error_id` finds it in the log, `retry_url` tries again."""

    template: ClassVar[str] = "ends/error.html"

    kind: ErrorKind
    error_id: str
    retry_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOutPage:
    """The account session has ended; `expired` when nobody asked for that."""

    template: ClassVar[str] = "ends/signed_out.html"

    sign_in_url: str
    expired: bool = False
