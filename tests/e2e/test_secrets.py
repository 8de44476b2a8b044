"""What is secret in a step-up is nowhere to be read: not in the engines' files, not in the log."""

import base64
import binascii

import httpx2
import pytest

from tests.e2e.api import Api
from tests.e2e.readable import engine_files, readable_in_engines, readable_in_log
from tests.support.service import RunningService

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]


@pytest.fixture(scope="module")
def secrets_of_a_step_up(service: RunningService) -> dict[str, bytes]:
    """Run a step-up and return every secret that came by."""
    api = Api(service)
    subject = api.enroll()
    seed = subject.app.provisioning()["secret"]
    ticket = api.ticket(subject.sub)
    challenge_id = api.open(ticket).json()["challenge_id"]
    typed = subject.app.code()
    code = api.answer(challenge_id, typed, "answer").json()["code"]
    token = api.redeem(code, "redeem").json()["access_token"]
    assert api.introspect(token).json()["active"] is True
    assert api.decide(subject.sub, token=token).json()["decision"] is True
    outcomes = [each["outcome"] for each in api.recorded(subject.sub, 2)]
    assert outcomes == ["allow", "step_up"]
    api.close()
    page = {"request_uri": pushed_request_uri(service, subject.sub)}
    texts = {
        "seed": seed,
        "ticket": ticket.rpartition(".")[2],
        "code": code.rpartition(".")[2],
        "token": token.rpartition(".")[2],
        "client secret": service.client()[1],
        "admin token": service.ready["admin"]["token"],
        "request_uri": page["request_uri"].rpartition(".")[2],
    }
    raw_seed = base64.b32decode(seed)
    return {name: text.encode() for name, text in texts.items()} | {
        "raw seed": raw_seed,
        "seed in hex": binascii.hexlify(raw_seed),
        "seed in base64": base64.urlsafe_b64encode(raw_seed).rstrip(b"="),
    }


def test_no_file_of_an_engine_shows_a_secret(
    service: RunningService, secrets_of_a_step_up: dict[str, bytes]
):
    assert readable_in_engines(service, secrets_of_a_step_up) == set()


def test_the_engines_files_do_show_what_is_not_secret(service: RunningService):
    """Otherwise the test above would find nothing in files that are written elsewhere."""
    for engine in ("postgres", "redis"):
        files = engine_files(service, engine)
        assert any(b"payments.transfer" in path.read_bytes() for path in files)


def test_no_line_of_the_log_shows_a_secret(
    service: RunningService, secrets_of_a_step_up: dict[str, bytes]
):
    assert "/v1/challenges" in service.log.read_text()
    assert readable_in_log(service, secrets_of_a_step_up) == set()


def pushed_request_uri(service: RunningService, sub: str) -> str:
    """Push a request, and bring it to the authorization endpoint, whose URL is logged."""
    api = Api(service)
    form = {
        "response_type": "code",
        "redirect_uri": service.ready["clients"][0]["redirect_uris"][0],
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "state": "a-state",
        "step_up_ticket": api.ticket(sub),
    }
    api.close()
    url = f"{service.issuer}/oauth2/par"
    pushed = httpx2.post(url, data=form, auth=service.client(), trust_env=False)
    assert pushed.status_code == 201, pushed.text
    request_uri = str(pushed.json()["request_uri"])
    query = {"client_id": service.client()[0], "request_uri": request_uri}
    opened = httpx2.get(f"{service.issuer}/oauth2/authorize", params=query, trust_env=False)
    assert opened.status_code == 303, opened.text
    return request_uri
