from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from stepup.sdk import Pkce
from tests.demo.conftest import BANK, IDP

PKCE = Pkce.generate()
ASKED = {
    "response_type": "code",
    "client_id": "bank",
    "redirect_uri": f"{BANK}/signed-in",
    "scope": "openid",
    "state": "s",
    "nonce": "n",
    "code_challenge": PKCE.challenge,
    "code_challenge_method": "S256",
}


def answer_of(response):
    assert response.status_code == 303
    url = urlsplit(response.headers["location"])
    return dict(parse_qsl(url.query))


def sign_in(idp, sub="alice", **changes):
    return answer_of(idp.post("/authorize", params=ASKED | changes, data={"sub": sub}))


def redeem(idp, code, **changes):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "bank",
        "redirect_uri": ASKED["redirect_uri"],
        "code_verifier": PKCE.verifier,
    }
    return idp.post("/token", data=form | changes)


def test_gives_tokens_for_a_code(idp):
    back = sign_in(idp)
    assert (back["state"], back["iss"]) == ("s", IDP)
    tokens = redeem(idp, back["code"]).json()
    key = jwt.PyJWKSet.from_dict(idp.get("/jwks.json").json()).keys[0]
    claims = jwt.decode(tokens["id_token"], key, ["ES256"], audience="bank", issuer=IDP)
    assert (claims["sub"], claims["nonce"], claims["name"]) == ("alice", "n", "Alice Moreau")
    access = jwt.decode(tokens["access_token"], key, ["ES256"], audience="bank-api", issuer=IDP)
    assert access["client_id"] == "bank"


def test_describes_itself(idp):
    metadata = idp.get("/.well-known/openid-configuration").json()
    assert metadata["issuer"] == IDP
    assert metadata["token_endpoint"] == f"{IDP}/token"


def test_replayed_code(idp):
    code = sign_in(idp)["code"]
    assert redeem(idp, code).status_code == 200
    assert redeem(idp, code).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "x" * 43},
        {"client_id": "stepup"},
        {"redirect_uri": f"{BANK}/other"},
        {"code": "guess"},
        {"grant_type": "password"},
    ],
    ids=str,
)
def test_a_code_in_the_wrong_hands(idp, changes):
    assert redeem(idp, **({"code": sign_in(idp)["code"]} | changes)).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": f"{BANK}/signed-in/"},
    ],
    ids=str,
)
def test_wrong_redirect_uri_is_never_followed(idp, changes):
    for answer in (
        idp.get("/authorize", params=ASKED | changes),
        idp.post("/authorize", params=ASKED | changes, data={"sub": "alice"}),
    ):
        assert answer.status_code == 400
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
    ids=str,
)
def test_refuses_by_the_book(idp, changes, error):
    assert answer_of(idp.get("/authorize", params=ASKED | changes))["error"] == error


def test_remembers_the_browser(idp):
    sign_in(idp, "bob")
    assert "code" in answer_of(idp.get("/authorize", params=ASKED))
    for prompt in ("login", "select_account"):
        page = idp.get("/authorize", params=ASKED | {"prompt": prompt})
        assert "Who would you like to be?" in page.text
    idp.get("/logout", params={"post_logout_redirect_uri": f"{BANK}/"})
    assert idp.get("/authorize", params=ASKED).status_code == 200


def test_signs_out_to_known_sites_only(idp):
    answer = idp.get("/logout", params={"post_logout_redirect_uri": "https://evil.example/"})
    assert answer.headers["location"] == "/"


def test_a_form_from_another_site_signs_nobody_in(idp):
    headers = {"Origin": "https://evil.example"}
    answer = idp.post("/authorize", params=ASKED, data={"sub": "alice"}, headers=headers)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


def test_nobody_else_can_sign_in_on_the_page(idp):
    answer = idp.post("/authorize", params=ASKED, data={"sub": "mallory"})
    assert "Who would you like to be?" in answer.text


def test_gives_programs_a_token_for_anybody(idp):
    form = {"sub": "load-17", "acr": "urn:x", "auth_time": "1700000000", "client_id": "stepup"}
    raw = idp.post("/dev/token", data=form).json()["id_token"]
    claims = jwt.decode(raw, options={"verify_signature": False})
    assert (claims["sub"], claims["acr"], claims["auth_time"]) == ("load-17", "urn:x", 1700000000)
    assert claims["aud"] == "stepup"


@pytest.mark.parametrize(
    "form", [{}, {"sub": ""}, {"sub": "a b"}, {"sub": "a", "auth_time": "now"},
             {"sub": "a", "client_id": "nobody"}], ids=str
)  # fmt: skip
def test_gives_no_token_for_nonsense(idp, form):
    assert idp.post("/dev/token", data=form).status_code == 400
