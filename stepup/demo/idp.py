"""The demo's base identity provider: OpenID Connect with the code flow and PKCE, nothing more.

It stands for whatever an organization has already. Its sign-in page asks only who one would like
to be, so it is for a machine of one's own.
"""

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from litestar import Litestar, Request, Response, get, post
from litestar.di import NamedDependency, Provide

from stepup.demo.browser import Site, first_values, origin_of, static_files
from stepup.demo.idp_codes import Codes, Grant
from stepup.demo.idp_tokens import DEFAULT_ACR, LIFETIME, Login, TokenSigner
from stepup.demo.people import PEOPLE

COOKIE = "demo_idp"
SESSION_LIFETIME = 8 * 3600
_SUB = re.compile(r"[A-Za-z0-9._@-]{1,64}").fullmatch


@dataclass(frozen=True, slots=True)
class IdpClient:
    """Who may send people here to sign in."""

    name: str
    redirect_uris: frozenset[str]


@dataclass(frozen=True, slots=True)
class IdpSettings:
    """Where the identity provider is, and whom it serves."""

    issuer: str
    api_audience: str
    clients: Mapping[str, IdpClient]


@dataclass(slots=True)
class Idp:
    """The identity provider's state, all of it in memory."""

    settings: IdpSettings
    signer: TokenSigner
    site: Site
    codes: Codes = field(default_factory=Codes)
    sessions: dict[str, Login] = field(default_factory=dict)

    def login_of(self, request: Request[Any, Any, Any]) -> Login | None:
        """Return who is signed in with this browser."""
        login = self.sessions.get(self.site.read_cookie(request, COOKIE) or "")
        if login is None or time.time() - login.auth_time > SESSION_LIFETIME:
            return None
        return login


@get("/.well-known/openid-configuration", sync_to_thread=False)
def discovery(idp: NamedDependency[Idp]) -> dict[str, Any]:
    """Describe the identity provider (OpenID Connect Discovery section 3)."""
    issuer = idp.settings.issuer
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "end_session_endpoint": f"{issuer}/logout",
        "jwks_uri": f"{issuer}/jwks.json",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["none", "login", "select_account"],
    }


@get("/jwks.json", sync_to_thread=False)
def jwks(idp: NamedDependency[Idp]) -> dict[str, Any]:
    """Publish the public key."""
    return idp.signer.jwks()


@get("/", sync_to_thread=False)
def front(idp: NamedDependency[Idp]) -> Response[str]:
    """Say what this is, to whoever looks."""
    return idp.site.page("idp_front.html", issuer=idp.settings.issuer)


@get("/authorize", sync_to_thread=False)
def authorize(request: Request[Any, Any, Any], idp: NamedDependency[Idp]) -> Response[Any]:
    """Ask who somebody is, unless this browser knows."""
    asked = first_values(request.query_params.multi_items())
    refused = _refuse(idp, asked)
    if refused is not None:
        return refused
    prompt, login = asked.get("prompt", ""), idp.login_of(request)
    if login is not None and not _must_ask(asked, login):
        return _return_code(idp, asked, login)
    if prompt == "none":
        return idp.site.redirect(_answer(idp, asked, error="login_required"))
    return _sign_in_page(idp, asked)


@post("/authorize", status_code=303)
async def sign_in(request: Request[Any, Any, Any], idp: NamedDependency[Idp]) -> Response[Any]:
    """Take the answer of the sign-in page."""
    asked = first_values(request.query_params.multi_items())
    refused = _refuse(idp, asked)
    if refused is not None:
        return refused
    form = first_values((await request.form()).multi_items())
    if "cancel" in form:
        return idp.site.redirect(_answer(idp, asked, error="access_denied"))
    sub = form.get("sub", "")
    if sub not in PEOPLE or not idp.site.is_own_form(request):
        return _sign_in_page(idp, asked)
    login = Login(sub, int(time.time()))
    secret = secrets.token_urlsafe(24)
    idp.sessions[secret] = login
    answer = _return_code(idp, asked, login)
    answer.set_cookie(idp.site.cookie(COOKIE, secret, SESSION_LIFETIME))
    return answer


@post("/token", status_code=200)
async def token(request: Request[Any, Any, Any], idp: NamedDependency[Idp]) -> Response[Any]:
    """Exchange a code for tokens (RFC 6749 section 4.1.3, RFC 7636)."""
    form = first_values((await request.form()).multi_items())
    if form.get("grant_type") != "authorization_code":
        return _oauth_error("unsupported_grant_type")
    grant = idp.codes.redeem(form)
    if grant is None:
        return _oauth_error("invalid_grant")
    return _tokens(idp, grant.login, grant.client_id, grant.nonce)


@post("/dev/token", status_code=200)
async def dev_token(request: Request[Any, Any, Any], idp: NamedDependency[Idp]) -> Response[Any]:
    """Give tokens for anybody, for programs that drive the demo without a browser."""
    form = first_values((await request.form()).multi_items())
    sub, when = form.get("sub", ""), form.get("auth_time", str(int(time.time())))
    client_id = form.get("client_id", "bank")
    if not _SUB(sub) or not when.isdecimal() or client_id not in idp.settings.clients:
        return _oauth_error("invalid_request")
    login = Login(sub, int(when), form.get("acr") or DEFAULT_ACR)
    return _tokens(idp, login, client_id)


@get("/logout", sync_to_thread=False)
def sign_out(request: Request[Any, Any, Any], idp: NamedDependency[Idp]) -> Response[Any]:
    """Forget the browser, and go back to a site we know."""
    idp.sessions.pop(idp.site.read_cookie(request, COOKIE) or "", None)
    target = request.query_params.get("post_logout_redirect_uri", "")
    known = {origin_of(u) for client in idp.settings.clients.values() for u in client.redirect_uris}
    url = target if origin_of(target) in known else "/"
    return idp.site.redirect(url, idp.site.cookie(COOKIE, "", 0))


def create_idp(settings: IdpSettings) -> Litestar:
    """Make the application."""
    targets = {origin_of(u) for client in settings.clients.values() for u in client.redirect_uris}
    idp = Idp(
        settings,
        TokenSigner(settings.issuer, settings.api_audience),
        Site(settings.issuer, tuple(sorted(targets))),
    )
    return Litestar(
        [discovery, jwks, front, authorize, sign_in, token, dev_token, sign_out, static_files()],
        dependencies={"idp": Provide(lambda: idp, sync_to_thread=False)},
        openapi_config=None,
        logging_config=None,
    )


def _refuse(idp: Idp, asked: Mapping[str, str]) -> Response[Any] | None:
    client = idp.settings.clients.get(asked.get("client_id", ""))
    if client is None or asked.get("redirect_uri") not in client.redirect_uris:
        # RFC 6749 section 4.1.2.1: never send a browser where nobody registered.
        return idp.site.page("idp_problem.html", status=400)
    if asked.get("response_type") != "code":
        return idp.site.redirect(_answer(idp, asked, error="unsupported_response_type"))
    if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
        return idp.site.redirect(_answer(idp, asked, error="invalid_request"))
    return None


def _must_ask(asked: Mapping[str, str], login: Login) -> bool:
    max_age = asked.get("max_age", "")
    too_old = max_age.isdecimal() and time.time() - login.auth_time > int(max_age)
    return too_old or bool({"login", "select_account"} & set(asked.get("prompt", "").split()))


def _sign_in_page(idp: Idp, asked: Mapping[str, str]) -> Response[str]:
    client = idp.settings.clients[asked["client_id"]]
    return idp.site.page(
        "idp_sign_in.html",
        people=PEOPLE.values(),
        client=client.name,
        action="/authorize?" + urlencode(asked),
    )


def _return_code(idp: Idp, asked: Mapping[str, str], login: Login) -> Response[Any]:
    grant = Grant(
        client_id=asked["client_id"],
        redirect_uri=asked["redirect_uri"],
        code_challenge=asked["code_challenge"],
        nonce=asked.get("nonce"),
        login=login,
    )
    return idp.site.redirect(_answer(idp, asked, code=idp.codes.issue(grant)))


def _answer(idp: Idp, asked: Mapping[str, str], **parameters: str) -> str:
    query = {**parameters, "iss": idp.settings.issuer}
    if "state" in asked:
        query["state"] = asked["state"]
    separator = "&" if "?" in asked["redirect_uri"] else "?"
    return asked["redirect_uri"] + separator + urlencode(query)


def _tokens(idp: Idp, login: Login, client_id: str, nonce: str | None = None) -> Response[Any]:
    document = {
        "access_token": idp.signer.access_token(login, client_id),
        "id_token": idp.signer.id_token(login, client_id, nonce),
        "token_type": "Bearer",
        "expires_in": LIFETIME,
    }
    return Response(document, headers={"Cache-Control": "no-store"})


def _oauth_error(error: str) -> Response[Any]:
    return Response({"error": error}, status_code=400, headers={"Cache-Control": "no-store"})
