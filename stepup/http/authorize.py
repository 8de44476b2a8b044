"""`/oauth2/authorize`: the browser arrives with its `request_uri` and goes on to its challenge.

Whatever is wrong with the request is said on a page of ours: without a valid `request_uri` there
is no redirect URI that could be trusted (RFC 6749 section 4.1.2.1).
"""

from typing import Any

from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.response import Redirect

from stepup.domain.errors import InvalidRequestError
from stepup.http.cookies import cookie, secret_in
from stepup.ports import Ports
from stepup.usecases import holder
from stepup.usecases.authorize import AUTHORIZE_PATH


@get(AUTHORIZE_PATH, tags=["oauth"], status_code=303)
async def authorize(request: Request[Any, Any, Any], ports: NamedDependency[Ports]) -> Redirect:
    """Tie the pushed request to this browser and show its challenge (RFC 9126 section 4).

    Takes the query parameters `client_id` and `request_uri`; everything else was pushed.
    """
    client_id = _one(request, "client_id")
    request_uri = _one(request, "request_uri")
    if request_uri is None:
        raise InvalidRequestError("Push the request first (PAR) and come with its request_uri.")
    if client_id is None:
        raise InvalidRequestError("client_id is missing.")
    secret = secret_in(request, ports.site, "browser") or ports.entropy.token(32)
    challenge = await holder.claim(ports, client_id, request_uri, holder.Browser(secret))
    # Set again each time: the cookie lives as long as the browser's session.
    return Redirect(
        f"/c/{challenge.id}", status_code=303, cookies=[cookie(ports.site, "browser", secret)]
    )


def _one(request: Request[Any, Any, Any], name: str) -> str | None:
    values = request.query_params.getall(name, [])
    if len(values) > 1:
        # RFC 6749 section 3.1: parameters must not be included more than once.
        raise InvalidRequestError(f"{name} is there more than once.")
    return values[0] if values else None


router = Router(path="/", route_handlers=[authorize])
