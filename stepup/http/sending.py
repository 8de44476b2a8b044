"""How a browser gets back to its client: by a redirect, or by a form that sends itself."""

from litestar import Response
from litestar.datastructures import Cookie

from stepup.domain.authorization import ResponseMode
from stepup.domain.authorization_answer import Answer, answer_to
from stepup.domain.checked_request import RefusedRequestError
from stepup.http.error_forms import description_of
from stepup.http.headers import answer_policy
from stepup.http.page_forms import PageResponse, see_other
from stepup.http.problems import problem_of
from stepup.pages.ends import SentPage
from stepup.pages.rendering import render


def send(answer: Answer, app_name: str, locale: str, *cookies: Cookie) -> PageResponse:
    """Bring an answer to its client in the way that the client chose."""
    if answer.target.response_mode is ResponseMode.FORM_POST:
        page = SentPage(
            app_name=app_name,
            action_url=answer.target.redirect_uri,
            fields=tuple(answer.parameters.items()),
        )
        response = Response(
            render(page, locale),
            status_code=200,
            media_type="text/html",
            headers={"content-security-policy": answer_policy(answer.target.redirect_uri)},
        )
    else:
        response = see_other(answer.url)
    response.cookies.extend(cookies)
    return response


def refusal_of(refused: RefusedRequestError, issuer: str) -> Answer:
    """Put a refusal into the words of RFC 6749 section 4.1.2.1."""
    problem = problem_of(refused.cause)
    return answer_to(
        refused.target,
        issuer,
        error=problem.oauth_code,
        error_description=description_of(problem),
    )
