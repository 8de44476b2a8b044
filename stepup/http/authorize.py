"""`/oauth2/authorize`: the browser arrives with its `request_uri` and goes on to its challenge.

Whatever is wrong with the request is said on a page of ours: without a valid `request_uri` there
is no redirect URI that could be trusted (RFC 6749 section 4.1.2.1).
"""

from typing import Any

from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.response import Redirect

from stepup.domain import errors
from stepup.domain.errors import InvalidRequestError
from stepup.http.cookies import cookie, secret_in
from stepup.http.form import read_query
from stepup.http.openapi import oauth_responses, reads_query
from stepup.ports import Ports
from stepup.usecases import holder
from stepup.usecases.authorize import AUTHORIZE_PATH


@get(
    AUTHORIZE_PATH,
    tags=["oauth"],
    status_code=303,
    operation_class=reads_query(("client_id", "request_uri")),
    responses=oauth_responses(errors.WrongBrowserError),
)
async def authorize(request: Request[Any, Any, Any], ports: NamedDependency[Ports]) -> Redirect:
    """Tie the pushed request to this browser and show its challenge (RFC 9126 section 4).

    Every parameter but these two was pushed, and is ignored here.
    """
    query = read_query(request)
    if "request_uri" not in query:
        raise InvalidRequestError("Push the request first (PAR) and come with its request_uri.")
    secret = secret_in(request, ports.site, "browser") or ports.entropy.token(32)
    challenge = await holder.claim(
        ports, query.need("client_id"), query["request_uri"], holder.Browser(secret)
    )
    # Set again each time: the cookie lives as long as the browser's session.
    return Redirect(
        f"/c/{challenge.id}", status_code=303, cookies=[cookie(ports.site, "browser", secret)]
    )


router = Router(path="/", route_handlers=[authorize])
