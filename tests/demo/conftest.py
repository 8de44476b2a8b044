"""The bank, its identity provider, and a stand-in for stepup, side by side without sockets."""

import json
import re
import time
from collections import Counter
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest
from litestar.testing import TestClient

from stepup.demo.bank import BankSettings, create_bank
from stepup.demo.idp import IdpClient, IdpSettings, create_idp
from stepup.demo.network import Network
from stepup.sdk import bound_digest
from stepup.sdk.transport import HttpAnswer
from tests.sdk.minting import Issuer

BANK = "http://127.0.0.1:8002"
IDP = "http://127.0.0.1:8001"
STEPUP = "http://localhost:8000"


class StandIn:
    """Answers as stepup does, for a policy like the demo's; the wire is the contract."""

    def __init__(self):
        self.issuer = Issuer()
        self.pushed = {}
        self.consumed = {}
        self.asked = Counter()
        self.down = False
        self.outcome = None
        self.lie = {}
        self.asked_for_keys = 0

    def send(self, request):
        path = urlsplit(request.url).path
        self.asked[path] += 1
        if self.down:
            return HttpAnswer(503, {"retry-after": "60"})
        if path == "/v1/step-ups":
            return self.step_up(json.loads(request.body))
        form = {name: value for name, [value] in parse_qs(request.body.decode()).items()}
        if path == "/oauth2/token":
            return self.token(form)
        key = request.headers["Idempotency-Key"]
        first = self.consumed.setdefault(form["token"], key) == key
        return answer(200, {"active": True}) if first else answer(409, {"code": "used"})

    def step_up(self, asked):
        amount = float(asked["action"]["properties"]["amount"])
        if self.outcome or amount <= 100:
            return answer(200, {"outcome": self.outcome or "allow", "reason": "rule"})
        code = f"code-{len(self.pushed)}"
        self.pushed[code] = asked
        url = f"{STEPUP}/oauth2/authorize?client_id=bank&request_uri={code}"
        return answer(201, {"outcome": "step_up", "authorization_url": url, "acr": "phr"})

    def token(self, form):
        asked = self.pushed.pop(form["code"], None)
        if asked is None:
            return answer(400, {"error": "invalid_grant"})
        properties = asked["action"]["properties"]
        values = {name: properties[name] for name in ("amount", "currency", "payee")}
        detail = {
            "type": "stepup_action",
            "action": asked["action"]["name"],
            "bound_digest": bound_digest(asked["action"]["name"], values),
            "once": True,
        }
        now = int(time.time())
        claims = {
            "iss": STEPUP,
            "aud": "bank-api",
            "sub": asked["subject"]["id"],
            "sub_id": {"format": "iss_sub", "iss": IDP, "sub": asked["subject"]["id"]},
            "iat": now,
            "exp": now + 120,
            "auth_time": now,
            "authorization_details": [detail],
        }
        token = self.issuer.mint(**(claims | self.lie))
        return answer(200, {"access_token": token, "token_type": "Bearer"})


def answer(status, document):
    return HttpAnswer(status, {}, json.dumps(document).encode())


class World:
    """A person with a browser in front of the bank."""

    def __init__(self, bank, idp, stand_in):
        self.bank, self.idp, self.stand_in = bank, idp, stand_in

    def sign_in(self, sub="alice"):
        url = self.bank.get("/sign-in").headers["location"]
        back = self.idp.post(url.removeprefix(IDP), data={"sub": sub}).headers["location"]
        return self.bank.get(back.removeprefix(BANK))

    def form(self):
        page = self.bank.get("/account").text
        action = re.search(r'action="(/transfers/[^"]+)"', page)[1]
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]
        return action, csrf

    def submit(self, amount, payee="Carol Osei", form=None, **changes):
        action, csrf = form or self.form()
        data = {"csrf": csrf, "amount": amount, "payee": payee, "reference": "Lunch"} | changes
        return self.bank.post(action, data=data)

    def confirm(self, sent, **changes):
        """Come back from stepup with a code, as after a passed challenge."""
        code = dict(parse_qsl(urlsplit(sent.headers["location"]).query))["request_uri"]
        state = self.stand_in.pushed[code]["state"]
        query = {"code": code, "state": state, "iss": STEPUP} | changes
        query = {name: value for name, value in query.items() if value is not None}
        return self.bank.get("/callback", params=query)

    def balance(self):
        return re.search(r"demo-balance-sum\">([^<]+)<", self.bank.get("/account").text)[1]


@pytest.fixture
def stand_in():
    return StandIn()


@pytest.fixture
def idp_app():
    clients = {
        "bank": IdpClient("Demo bank", frozenset({f"{BANK}/signed-in"})),
        "stepup": IdpClient("settings", frozenset({f"{STEPUP}/account/login/callback"})),
    }
    return create_idp(IdpSettings(IDP, "bank-api", clients))


@pytest.fixture
def idp(idp_app):
    with TestClient(idp_app, base_url=IDP) as client:
        client.follow_redirects = False
        yield client


@pytest.fixture
def world(idp_app, idp, stand_in):
    sites = {}

    class Route(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request):
            app = sites[f"{request.url.scheme}://{request.url.netloc.decode()}"]
            return await httpx2.ASGITransport(app=app).handle_async_request(request)

    def fetch(url):
        if not url.startswith(IDP):
            return stand_in.issuer.jwks()
        stand_in.asked_for_keys += 1
        return idp.get("/jwks.json").content

    network = Network(
        client=lambda: httpx2.AsyncClient(transport=Route()), fetch=fetch, send=stand_in.send
    )
    settings = BankSettings(
        origin=BANK,
        issuer=STEPUP,
        idp=IDP,
        client_id="bank",
        client_secret="secret",
        api_audience="bank-api",
    )
    bank_app = create_bank(settings, network)
    sites.update({BANK: bank_app, IDP: idp_app})
    with TestClient(bank_app, base_url=BANK) as bank:
        bank.follow_redirects = False
        yield World(bank, idp, stand_in)
