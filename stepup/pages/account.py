"""The pages on which a subject looks after their authenticators."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

AuthenticatorKind = Literal["webauthn", "totp", "hotp"]
# A passkey is kept by a password manager on several devices, or by one device, or is a key of
# its own; everything else needs no badge.
Badge = Literal["synced", "device", "security_key"]
Notice = Literal["added", "renamed", "removed", "recovery_ready", "confirmed"]
AppError = Literal["missing", "wrong", "clock"]
# What the server finds; the script tells by itself what the browser reports.
PasskeyError = Literal["exists", "expired", "wrong"]
RenameError = Literal["missing", "too_long"]
RecoveryError = Literal["missing", "wrong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFrame:
    """What all account pages show: who is signed in, and the way out."""

    name: str
    home_url: str
    sign_out_url: str
    form_token: str
    attempt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorCard:
    """One authenticator in the list."""

    name: str
    kind: AuthenticatorKind
    created_at: datetime
    rename_url: str
    remove_url: str
    last_used_at: datetime | None = None
    badge: Badge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCard:
    """The state of the recovery codes; `left` is None before any were made."""

    url: str
    left: int | None = None
    total: int = 10
    confirmed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPage:
    """All authenticators of a subject.

    `accepted_passkeys` are signal options (rpId, userId, allAcceptedCredentialIds as in WebAuthn
    Level 3 section 5.1.10), so that password managers forget what was removed here.
    """

    template: ClassVar[str] = "account/list.html"

    frame: AccountFrame
    authenticators: tuple[AuthenticatorCard, ...]
    recovery: RecoveryCard
    add_passkey_url: str | None
    add_app_url: str | None
    notice: Notice | None = None
    notice_name: str | None = None
    accepted_passkeys: Mapping[str, object] | None = None

    @property
    def needs_backup(self) -> bool:
        """Say whether losing one thing would lock the subject out (UX AU-11)."""
        ways = len(self.authenticators) + (1 if self.recovery.left else 0)
        return ways < 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPage:
    """Lets the subject choose what to add; a kind without a URL is not offered."""

    template: ClassVar[str] = "account/add.html"

    frame: AccountFrame
    passkey_url: str | None
    app_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAppPage:
    """Shows the secret of an authenticator app once and asks for its first code.

    `setup_uri` opens an app on the same device; `qr_url` is an SVG, see `qr.svg`.
    """

    template: ClassVar[str] = "account/add_app.html"

    frame: AccountFrame
    action_url: str
    qr_url: str
    secret: str
    setup_uri: str
    default_name: str = ""
    digits: int = 6
    error: AppError | None = None

    @property
    def secret_groups(self) -> tuple[str, ...]:
        """The secret in groups of four, as people type it."""
        return tuple(self.secret[at : at + 4] for at in range(0, len(self.secret), 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPasskeyPage:
    """Registers a passkey; needs JavaScript. `options` are creation options as JSON values."""

    template: ClassVar[str] = "account/add_passkey.html"

    frame: AccountFrame
    action_url: str
    ceremony_id: str
    options: Mapping[str, object]
    default_name: str = ""
    error: PasskeyError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamePage:
    """Asks for another name."""

    template: ClassVar[str] = "account/rename.html"

    frame: AccountFrame
    action_url: str
    name: str
    error: RenameError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovePage:
    """Asks whether to remove an authenticator, and says what that means.

    `loses` are titles of actions the subject could not confirm any more; with `refused` it cannot
    be removed at all (UX AU-5).
    """

    template: ClassVar[str] = "account/remove.html"

    frame: AccountFrame
    action_url: str
    name: str
    kind: AuthenticatorKind
    last: bool = False
    loses: tuple[str, ...] = ()
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryIntroPage:
    """Says what recovery codes are and offers to make them; `left` of an old set would die."""

    template: ClassVar[str] = "account/recovery_intro.html"

    frame: AccountFrame
    action_url: str
    left: int | None = None
    total: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodesPage:
    """Shows new codes, once, and asks for one of them as proof that they were kept.

    After a wrong answer `codes` is empty: they are not shown a second time.
    """

    template: ClassVar[str] = "account/recovery_codes.html"

    frame: AccountFrame
    action_url: str
    codes: tuple[str, ...] = ()
    restart_url: str | None = None
    error: RecoveryError | None = None
