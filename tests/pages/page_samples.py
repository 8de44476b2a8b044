"""Each page as somebody would see it, in every state it has."""

from datetime import UTC, datetime, timedelta

from stepup.pages import account, challenge, ends
from stepup.pages.display import display_items, mask
from stepup.pages.rendering import Page

_METHODS = (
    challenge.MethodChoice(kind="webauthn", url="/c/r1.abc/passkey"),
    challenge.MethodChoice(kind="totp", url="/c/r1.abc/code"),
    challenge.MethodChoice(kind="hotp", url="/c/r1.abc/counter"),
    challenge.MethodChoice(kind="email", url="/c/r1.abc/email", target="bo•@example.com"),
    challenge.MethodChoice(kind="sms", url="/c/r1.abc/sms", target="+49 ••• 12"),
    challenge.MethodChoice(kind="recovery_code", url="/c/r1.abc/recovery", closed=True),
)

TRANSFER = challenge.ChallengeView(
    app_name="Nordbank",
    subject=mask("bob@example.com"),
    methods=_METHODS[:2],
    methods_url="/c/r1.abc/methods",
    cancel_url="/c/r1.abc/cancel",
    report_url="/c/r1.abc/report",
    form_token="form-token",
    attempt="attempt-1",
    expires_in=timedelta(minutes=9, seconds=20),
    action_title="transfer money",
    display=display_items(
        {
            "payee": "ACME Möbel GmbH",
            "to_account": "DE89 3704 0044 0532 0130 00",
            "amount": 5000,
            "currency": "EUR",
            "reference": "Invoice 2026-118",
        }
    ),
)

LEVEL_ONLY = challenge.ChallengeView(
    app_name="Payroll",
    subject=mask("alice"),
    methods=_METHODS,
    methods_url="/c/r1.abc/methods",
    cancel_url="/c/r1.abc/cancel",
    form_token="form-token",
    attempt="attempt-1",
    expires_in=timedelta(seconds=50),
    valid_for=timedelta(minutes=10),
    progress=(1, 2),
    app_logo_url="/assets/payroll.svg",
)

_OPTIONS = {
    "challenge": "AAAA",
    "rpId": "localhost",
    "allowCredentials": [],
    "userVerification": "required",
}
_CREATION = {
    "challenge": "AAAA",
    "rp": {"id": "localhost", "name": "stepup"},
    "user": {"id": "AQ", "name": "bob", "displayName": "Bob"},
    "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
}

_FRAME = account.AccountFrame(
    name="bob@example.com",
    home_url="/account",
    sign_out_url="/account/sign-out",
    form_token="form-token",
    attempt="attempt-2",
)


def _code(**changes: object) -> challenge.CodePage:
    values = {"challenge": TRANSFER, "action_url": "/c/r1.abc/code", "tries_left": 5} | changes
    return challenge.CodePage(**values)


def _passkey(**changes: object) -> challenge.PasskeyPage:
    values = {
        "challenge": TRANSFER,
        "action_url": "/c/r1.abc/passkey",
        "options": _OPTIONS,
    } | changes
    return challenge.PasskeyPage(**values)


def _recovery(**changes: object) -> challenge.RecoveryPage:
    values = {"challenge": TRANSFER, "action_url": "/c/r1.abc/recovery", "codes_left": 7} | changes
    return challenge.RecoveryPage(**values)


def _card(**changes: object) -> account.AuthenticatorCard:
    values = {
        "name": "iCloud Keychain",
        "kind": "webauthn",
        "created_at": datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        "last_used_at": datetime(2026, 11, 20, 18, 5, tzinfo=UTC),
        "rename_url": "/account/authenticators/a1/rename",
        "remove_url": "/account/authenticators/a1/remove",
        "badge": "synced",
    } | changes
    return account.AuthenticatorCard(**values)


def _list(**changes: object) -> account.AccountPage:
    values = {
        "frame": _FRAME,
        "authenticators": (
            _card(),
            _card(name="YubiKey on my key ring", badge="security_key"),
            _card(name="Windows Hello", badge="device", last_used_at=None),
            _card(name="Phone", kind="totp", badge=None),
        ),
        "recovery": account.RecoveryCard(url="/account/recovery-codes", left=9),
        "add_passkey_url": "/account/add/passkey",
        "add_app_url": "/account/add/totp",
    } | changes
    return account.AccountPage(**values)


def _app(**changes: object) -> account.AddAppPage:
    values = {
        "frame": _FRAME,
        "action_url": "/account/add/totp",
        "qr_url": "/account/add/totp/qr.svg",
        "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
        "setup_uri": "otpauth://totp/Nordbank:bob?secret=JBSWY3DPEHPK3PXP&issuer=Nordbank",
    } | changes
    return account.AddAppPage(**values)


def _add_passkey(**changes: object) -> account.AddPasskeyPage:
    values = {
        "frame": _FRAME,
        "action_url": "/account/add/passkey",
        "ceremony_id": "ceremony-2",
        "options": _CREATION,
    } | changes
    return account.AddPasskeyPage(**values)


def _remove(**changes: object) -> account.RemovePage:
    values = {
        "frame": _FRAME,
        "action_url": "/account/authenticators/a1/remove",
        "name": "iCloud Keychain",
        "kind": "webauthn",
    } | changes
    return account.RemovePage(**values)


def _codes(**changes: object) -> account.RecoveryCodesPage:
    values = {"frame": _FRAME, "action_url": "/account/recovery-codes/confirm"} | changes
    return account.RecoveryCodesPage(**values)


_CODES = tuple(f"ABCD-EFGH-JKLM-2{n}34" for n in range(10))

PAGES: dict[str, Page] = {
    "code": _code(),
    "code-named": _code(target="Phone"),
    "code-missing": _code(error="missing"),
    "code-wrong": _code(error="wrong", tries_left=3),
    "code-wrong-last": _code(error="wrong", tries_left=1),
    "code-too-early": _code(error="too_early", counts_in=timedelta(seconds=62)),
    "code-unavailable": _code(error="unavailable"),
    "code-level-only": _code(challenge=LEVEL_ONLY),
    "code-counter": _code(kind="hotp"),
    "code-email": _code(kind="email", target="bo•@example.com"),
    "passkey": _passkey(),
    "passkey-expired": _passkey(error="expired"),
    "passkey-unknown": _passkey(error="unknown", tries_left=4, unknown_credential_id="AQID"),
    "passkey-refused": _passkey(error="refused", tries_left=1),
    "recovery": _recovery(),
    "recovery-wrong": _recovery(error="wrong", tries_left=4),
    "methods": challenge.MethodsPage(challenge=LEVEL_ONLY),
    "consent": challenge.ConsentPage(challenge=TRANSFER, action_url="/c/r1.abc/consent"),
    "consent-level-only": challenge.ConsentPage(
        challenge=LEVEL_ONLY, action_url="/c/r1.abc/consent"
    ),
    "locked": challenge.LockedPage(
        challenge=TRANSFER, kind="totp", opens_in=timedelta(minutes=2, seconds=4), exact=True
    ),
    "locked-passkey": challenge.LockedPage(challenge=LEVEL_ONLY, kind="webauthn"),
    "locked-recovery": challenge.LockedPage(
        challenge=LEVEL_ONLY, kind="recovery_code", opens_in=timedelta(minutes=15)
    ),
    "locked-counter": challenge.LockedPage(
        challenge=LEVEL_ONLY, kind="hotp", opens_in=timedelta(minutes=15)
    ),
    "no-method": challenge.NoMethodPage(challenge=TRANSFER),
    "no-method-level-only": challenge.NoMethodPage(challenge=LEVEL_ONLY),
    "no-method-enroll": challenge.NoMethodPage(
        challenge=TRANSFER, enroll_url="/account/add/passkey", help_text="Help desk: extension 42"
    ),
    "done": ends.DonePage(app_name="Nordbank", continue_url="https://bank.example/callback"),
    "sent": ends.SentPage(
        app_name="Nordbank",
        action_url="https://bank.example/callback",
        fields=(("code", "r1.abc.def"), ("state", 'a"b'), ("iss", "https://stepup.example")),
    ),
    "already-done-native": ends.AlreadyDonePage(app_name="Nordbank"),
    "already-done": ends.AlreadyDonePage(app_name="Nordbank", return_url="https://bank.example/"),
    "cancelled": ends.CancelledPage(app_name="Nordbank", return_url="https://bank.example/"),
    "cancelled-reported": ends.CancelledPage(
        app_name="Nordbank",
        return_url="https://bank.example/",
        reported=True,
        account_url="/account",
    ),
    "cancelled-posted": ends.CancelledPage(
        app_name="Nordbank",
        return_url="https://bank.example/callback",
        return_fields=(("error", "access_denied"), ("iss", "https://stepup.example")),
        reported=True,
    ),
    "expired": ends.ExpiredPage(app_name="Nordbank", restart_url="https://bank.example/"),
    "expired-app-only": ends.ExpiredPage(app_name="Nordbank"),
    "expired-bare": ends.ExpiredPage(),
    "wrong-browser": ends.WrongBrowserPage(app_name="Nordbank"),
    "error-not-found": ends.ErrorPage(kind="not_found", error_id="7f3a-19c2"),
    "error-invalid": ends.ErrorPage(kind="invalid", error_id="7f3a-19c2"),
    "error-forbidden": ends.ErrorPage(kind="forbidden", error_id="7f3a-19c2"),
    "error-unavailable": ends.ErrorPage(
        kind="unavailable", error_id="7f3a-19c2", retry_url="/c/r1.abc"
    ),
    "error-too-many": ends.ErrorPage(kind="too_many", error_id="7f3a-19c2"),
    "error-unexpected": ends.ErrorPage(kind="unexpected", error_id="7f3a-19c2"),
    "signed-out": ends.SignedOutPage(sign_in_url="/account"),
    "signed-out-expired": ends.SignedOutPage(sign_in_url="/account", expired=True),
    "account": _list(),
    "account-empty": _list(
        authenticators=(), recovery=account.RecoveryCard(url="/account/recovery-codes")
    ),
    "account-one": _list(
        authenticators=(_card(),),
        recovery=account.RecoveryCard(url="/account/recovery-codes", left=10, confirmed=False),
        notice="added",
        notice_name="iCloud Keychain",
    ),
    "account-few-codes": _list(
        recovery=account.RecoveryCard(url="/account/recovery-codes", left=1),
        notice="removed",
        notice_name="Old phone",
        accepted_passkeys={"rpId": "localhost", "userId": "AQ", "allAcceptedCredentialIds": []},
    ),
    "account-renamed": _list(notice="renamed", notice_name="Laptop"),
    "account-recovery-ready": _list(notice="recovery_ready"),
    "account-confirmed": _list(notice="confirmed", add_app_url=None, add_passkey_url=None),
    "add": account.AddPage(
        frame=_FRAME, passkey_url="/account/add/passkey", app_url="/account/add/totp"
    ),
    "add-app": _app(),
    "add-app-wrong": _app(error="wrong", default_name="Phone"),
    "add-app-missing": _app(error="missing"),
    "add-app-clock": _app(error="clock"),
    "add-passkey": _add_passkey(),
    "add-passkey-exists": _add_passkey(error="exists"),
    "add-passkey-expired": _add_passkey(error="expired"),
    "add-passkey-wrong": _add_passkey(error="wrong", default_name="Work laptop"),
    "rename": account.RenamePage(
        frame=_FRAME, action_url="/account/authenticators/a1/rename", name="iCloud Keychain"
    ),
    "rename-missing": account.RenamePage(
        frame=_FRAME, action_url="/account/authenticators/a1/rename", name="", error="missing"
    ),
    "rename-too-long": account.RenamePage(
        frame=_FRAME, action_url="/account/authenticators/a1/rename", name="x", error="too_long"
    ),
    "remove": _remove(),
    "remove-app": _remove(kind="totp", name="Phone"),
    "remove-last": _remove(last=True),
    "remove-loses": _remove(loses=("transfer money", "change the payout account")),
    "remove-refused": _remove(refused=True),
    "recovery-intro": account.RecoveryIntroPage(frame=_FRAME, action_url="/account/recovery-codes"),
    "recovery-intro-replace": account.RecoveryIntroPage(
        frame=_FRAME, action_url="/account/recovery-codes", left=4
    ),
    "recovery-codes": _codes(codes=_CODES),
    "recovery-codes-wrong": _codes(error="wrong", restart_url="/account/recovery-codes"),
    "recovery-codes-missing": _codes(error="missing", restart_url="/account/recovery-codes"),
}
