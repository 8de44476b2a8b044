"""The pages on which a subject answers a challenge.

Every page of one challenge carries the same `ChallengeView`: who asks, for what, as whom, and
the ways out. The page adds its own form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Literal

from stepup.pages.display import DisplayItem

# Values of the domain's `Method`: this floor imports nothing of ours.
MethodKind = Literal["webauthn", "totp", "hotp", "email", "sms", "recovery_code"]

CodeError = Literal["missing", "wrong", "too_early", "unavailable"]
# What the server finds; the script tells by itself what the browser reports.
PasskeyError = Literal["expired", "unknown", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodChoice:
    """One way to answer; `target` is a masked address or the authenticator's own name.

    A closed one is shown, but cannot be chosen: its tries are used up.
    """

    kind: MethodKind
    url: str
    target: str | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeView:
    """What all pages of one challenge show.

    `subject` is masked already. `methods` are all usable ones, the preferred one first. The
    chooser is linked when there is more than one. `progress` is (1, 2) when two methods are
    needed. `valid_for` is how long the app may rely on the answer, None when it is for this once
    only.
    """

    app_name: str
    subject: str
    methods: tuple[MethodChoice, ...]
    methods_url: str
    cancel_url: str
    form_token: str
    attempt: str
    expires_in: timedelta
    action_title: str | None = None
    display: tuple[DisplayItem, ...] = ()
    app_logo_url: str | None = None
    report_url: str | None = None
    progress: tuple[int, int] | None = None
    valid_for: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePage:
    """Asks for a code of an authenticator app, or for one that was sent to `target`.

    `counts_in` is given when a code came too early: the app shows one that counts after it.
    """

    template: ClassVar[str] = "challenge/code.html"

    challenge: ChallengeView
    action_url: str
    kind: MethodKind = "totp"
    target: str | None = None
    digits: int = 6
    tries_left: int | None = None
    error: CodeError | None = None
    counts_in: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyPage:
    """Asks for a passkey or a security key; needs JavaScript.

    `options` are the request options as JSON values (WebAuthn Level 3 section 5.5.2); the answer
    is posted back as `credential` and names its ceremony by itself. `unknown_credential_id` is
    told to the password manager after the server refused a key it does not know.
    """

    template: ClassVar[str] = "challenge/passkey.html"

    challenge: ChallengeView
    action_url: str
    options: Mapping[str, object]
    tries_left: int | None = None
    error: PasskeyError | None = None
    unknown_credential_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPage:
    """Asks for a recovery code and says what using it means."""

    template: ClassVar[str] = "challenge/recovery.html"

    challenge: ChallengeView
    action_url: str
    codes_left: int | None = None
    tries_left: int | None = None
    error: CodeError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodsPage:
    """Lets the subject choose another way."""

    template: ClassVar[str] = "challenge/methods.html"

    challenge: ChallengeView


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPage:
    """Asks for the subject's word alone: it confirmed a short while ago who it is."""

    template: ClassVar[str] = "challenge/consent.html"

    challenge: ChallengeView
    action_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPage:
    """Says that a method is paused, when it opens again, and what else there is.

    `opens_in` is exact when the limit of the subject said so, and the longest it can take when the
    tries of this challenge are used up. It is None for what a new challenge opens at once.
    """

    template: ClassVar[str] = "challenge/locked.html"

    challenge: ChallengeView
    kind: MethodKind
    opens_in: timedelta | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NoMethodPage:
    """Explains a dead end: nothing the subject has is strong enough (UX CH-4).

    `enroll_url` is given when the policy lets the subject add something now.
    """

    template: ClassVar[str] = "challenge/no_method.html"

    challenge: ChallengeView
    enroll_url: str | None = None
    help_text: str | None = None
