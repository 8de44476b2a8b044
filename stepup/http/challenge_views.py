"""What a challenge's pages show, taken from the challenge: names, ways to answer, times."""

from datetime import timedelta
from urllib.parse import urlsplit

from stepup.domain.assurance import Method
from stepup.domain.challenge import Challenge
from stepup.domain.ids import ChallengeId
from stepup.domain.requirement import OnUnenrolled
from stepup.pages.challenge import ChallengeView, MethodChoice, MethodKind, NoMethodPage
from stepup.pages.display import display_items, localized, mask
from stepup.ports import Ports
from stepup.usecases import holder

_PATHS: dict[Method, str] = {
    Method.WEBAUTHN: "passkey",
    Method.TOTP: "code",
    Method.RECOVERY_CODE: "recovery",
}
_KINDS: dict[Method, MethodKind] = {
    Method.WEBAUTHN: "webauthn",
    Method.TOTP: "totp",
    Method.RECOVERY_CODE: "recovery_code",
}


def challenge_path(challenge_id: ChallengeId, leaf: str = "") -> str:
    """Return the path of one of a challenge's pages."""
    return f"/c/{challenge_id}/{leaf}".rstrip("/")


def view_of(
    ports: Ports, challenge: Challenge, browser: holder.Browser, locale: str
) -> ChallengeView:
    """Fill in what every page of a challenge shows."""
    authorization = challenge.authorization
    purpose = authorization.purpose
    now = ports.clock.now()
    return ChallengeView(
        app_name=authorization.client_name,
        subject=mask(authorization.subject.sub),
        methods=tuple(_choices(ports, challenge)),
        methods_url=challenge_path(challenge.id, "methods"),
        cancel_url=challenge_path(challenge.id, "cancel"),
        report_url=challenge_path(challenge.id, "report"),
        form_token=holder.form_token(ports, challenge.id, browser),
        attempt=ports.entropy.token(12),
        expires_in=max(timedelta(0), challenge.expires_at - now),
        action_title=localized(purpose.title, locale) if purpose else None,
        display=display_items(purpose.displayed) if purpose else (),
        progress=holder.progress(ports, challenge),
        valid_for=_valid_for(challenge),
    )


def app_url(challenge: Challenge) -> str | None:
    """Return where the client lives: all that is known of it is where its answers go.

    A native app's private scheme leads nowhere without an answer.
    """
    parts = urlsplit(challenge.authorization.redirect_uri or "")
    return f"{parts.scheme}://{parts.netloc}/" if parts.scheme in {"http", "https"} else None


def no_method_page(challenge: Challenge, view: ChallengeView) -> NoMethodPage:
    """Explain that nothing the subject has reaches the level; the policy may offer to enroll."""
    requirement = challenge.authorization.requirement
    # Whatever is enrolled now is too young where an age is wanted.
    may_enroll = (
        requirement.on_unenrolled is OnUnenrolled.ENROLL and not requirement.min_credential_age
    )
    return NoMethodPage(challenge=view, enroll_url="/account/add" if may_enroll else None)


def kind_of(method: Method) -> MethodKind:
    """Name a method in the pages' words."""
    return _KINDS[method]


def _choices(ports: Ports, challenge: Challenge) -> list[MethodChoice]:
    answerable = holder.answerable_methods(ports, challenge)
    used_up = [method for method in challenge.methods if not challenge.tries_left(method)]
    return [
        MethodChoice(
            kind=_KINDS[method],
            url=challenge_path(challenge.id, _PATHS[method]),
            target=_target(challenge, method),
            closed=method in used_up,
        )
        for method in (*answerable, *used_up)
        if method in _PATHS
    ]


def _target(challenge: Challenge, method: Method) -> str | None:
    # One authenticator is named; of several, any may answer.
    authenticators = challenge.authenticators_for(method)
    if len(authenticators) != 1 or method is Method.RECOVERY_CODE:
        return None
    return authenticators[0].name


def _valid_for(challenge: Challenge) -> timedelta | None:
    # An approval of one action, with its values or for once, says nothing about the next.
    requirement = challenge.authorization.requirement
    if requirement.once or requirement.bind or not requirement.max_age:
        return None
    return requirement.max_age
