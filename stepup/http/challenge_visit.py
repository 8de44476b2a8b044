"""One visit to a challenge's pages: the browser is found to hold it, before anything is shown."""

from dataclasses import dataclass

from litestar import Response
from litestar.datastructures import Cookie

from stepup.domain.authorization_answer import Answer
from stepup.domain.challenge import Challenge
from stepup.domain.ids import ChallengeId
from stepup.http.challenge_views import view_of
from stepup.http.cookies import browser_of, session_of
from stepup.http.headers import page_policy
from stepup.http.page_forms import AnyRequest, PageResponse
from stepup.http.request_log import request_log
from stepup.http.sending import send
from stepup.pages.challenge import ChallengeView
from stepup.pages.locales import negotiate
from stepup.pages.rendering import Page, render
from stepup.ports import Ports
from stepup.usecases import holder
from stepup.usecases.arrive import Visitor
from stepup.usecases.sessions import SessionSecret


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a challenge's pages: who holds it, how it stands, and in which language."""

    ports: Ports
    challenge: Challenge
    browser: holder.Browser
    session: SessionSecret | None
    locale: str

    @property
    def view(self) -> ChallengeView:
        """Fill in what every page of the challenge shows."""
        return view_of(self.ports, self.challenge, self.browser, self.locale)

    @property
    def visitor(self) -> Visitor:
        """Say who is here."""
        return Visitor(self.browser, self.session)

    def send(self, answer: Answer, *cookies: Cookie) -> PageResponse:
        """Bring the browser back to the client."""
        return send(answer, self.challenge.authorization.client_name, self.locale, *cookies)

    def show(self, page: Page, status: int = 200) -> PageResponse:
        """Render a page; its forms may end at the client's redirect URI."""
        redirect_uri = self.challenge.authorization.redirect_uri
        targets = () if redirect_uri is None else (redirect_uri,)
        return Response(
            render(page, self.locale),
            status_code=status,
            media_type="text/html",
            headers={"content-security-policy": page_policy(*targets)},
        )


async def visit(request: AnyRequest, ports: Ports, challenge_id: ChallengeId) -> Visit:
    """Find the challenge for the browser that holds it."""
    browser = browser_of(request, ports.site)
    challenge = await holder.find_held(ports, challenge_id, browser)
    log = request_log(request)
    log.client = challenge.authorization.client_id
    log.subject = challenge.authorization.subject.id
    locale = negotiate(challenge.authorization.ui_locales, request.headers.get("accept-language"))
    return Visit(ports, challenge, browser, session_of(request, ports.site), locale)
