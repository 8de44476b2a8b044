"""What an answer says of how it came about: modes, outages, fallbacks and conditions that fail."""

from typing import Any

import pytest

from stepup.domain.freshness import Freshness
from stepup.telemetry import REGISTRY
from tests.http.conftest import app_over
from tests.http.flow import BANK, Flow, a_transfer
from tests.support.memory_database import AwayDatabase
from tests.support.world import BANK_CALLBACK, PKCE_CHALLENGE, World

EVALUATION = "/access/v1/evaluation"
DOCUMENT = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    {more}
    attributes:
      amount: {{type: decimal, required: true}}
      payee: {{type: string, required: true}}
      currency: {{type: string, required: true}}
      ratio: {{type: int, default: 0}}
    bind: [amount, payee, currency]
    rules:
      - {{id: broken, when: action.payee == "BROKEN" && 1 / action.ratio > 0, allow: true}}
      - {{id: small, when: action.amount <= 10000, allow: true}}
      - {{id: sanctions, when: action.payee == "NOBODY", deny: not there}}
    default: {demand}
guardrails:
  - {{id: trial, match: {{actions: ["payments.*"]}}, require: {{level: phrh}}, mode: {trial}}}
"""
DEMAND = "{level: phr, max_age: 5m}"
FALLBACK = """
      level: phr
      on_unenrolled: fallback
      fallback: {level: urn:stepup:acr:2, methods: [totp], max_age: 2m}
      min_credential_age: 1h
"""


def a_world(more: str = "mode: enforce", demand: str = DEMAND, trial: str = '"off"') -> World:
    return World(document=DOCUMENT.format(more=more, demand=demand, trial=trial))


async def ask(world: World, amount: str = "500.00", payee: str = "ACME", **context: Any) -> Any:
    request = a_transfer(amount, payee) | {"context": context}
    async with app_over(world.ports) as http:
        answer = await http.post(EVALUATION, json=request, auth=BANK)
    assert answer.status_code == 200, answer.text
    return answer.json()


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"action": "payments.transfer"} | labels) or 0.0


async def test_an_ordinary_answer_says_nothing_of_it():
    assert await ask(a_world(), "50.00") == {"decision": True}


async def test_report_allows_and_says_what_would_be():
    would_be = {"outcome": "step_up", "acr_values": "phr", "max_age": 300}

    assert await ask(a_world("mode: report")) == {
        "decision": True,
        "context": {"mode": "report", "would_be": would_be},
    }


async def test_report_tells_of_a_denial_and_counts_it(log_lines: list[dict]):
    before = counted("stepup_decisions_reported_total", outcome="deny")

    answer = await ask(a_world("mode: report"), payee="NOBODY")

    assert answer["decision"] is True
    assert answer["context"]["would_be"] == {
        "outcome": "deny",
        "reason": "rule",
        "rule": "sanctions",
    }
    assert counted("stepup_decisions_reported_total", outcome="deny") == before + 1
    (line,) = [line for line in log_lines if line.get("decision")]
    assert (line["decision"], line["mode"], line["would_be"]) == ("allow", "report", "deny")


async def test_off_allows_and_says_so():
    answer = await ask(a_world("mode: off"))

    assert answer == {"decision": True, "context": {"mode": "off"}}


async def test_a_guardrail_on_trial_is_told_beside_what_is_enforced():
    context = (await ask(a_world(trial="report")))["context"]

    assert (context["acr_values"], context["guardrails"]) == ("phr", [])
    assert context["mode"] == "report"
    assert context["would_be"]["acr_values"] == "phrh"
    assert context["would_be"]["guardrails"] == ["trial"]


async def test_a_condition_that_fails_is_shown_counted_and_logged(log_lines: list[dict]):
    before = counted("stepup_decision_errors_total")

    answer = await ask(a_world(), "50.00", "BROKEN")

    assert answer["decision"] is False
    assert answer["context"]["acr_values"] == "phr"
    assert answer["context"]["evaluation_error"] == "broken: divide by zero"
    assert counted("stepup_decision_errors_total") == before + 1
    (line,) = [line for line in log_lines if line.get("decision")]
    assert line["evaluation_error"] == "broken: divide by zero"


async def test_a_fallback_is_shown_before_it_is_taken_and_after():
    world = a_world(demand=FALLBACK)
    await world.enroll_app()

    context = (await ask(world))["context"]

    assert context["acr_values"] == "phr"
    assert context["min_credential_age"] == 3600
    assert context["fallback"] == {
        "acr_values": "urn:stepup:acr:2",
        "max_age": 120,
        "methods": ["totp"],
    }
    async with app_over(world.ports) as http:
        token = await Flow(http, world).token()
    shown = await ask(world, elevated_token=token)
    assert shown == {"decision": True, "context": {"fallback": {"acr_values": "urn:stepup:acr:2"}}}


async def test_a_fallback_is_in_the_claims_and_in_introspection():
    world = a_world(demand=FALLBACK)
    await world.enroll_app()
    async with app_over(world.ports) as http:
        token = await Flow(http, world).token()
        form = {"token": token}
        claims = (await http.post("/oauth2/introspect", data=form, auth=BANK)).json()

    assert (claims["acr"], claims["fallback_for"]) == ("urn:stepup:acr:2", "phr")


# --- while PostgreSQL is away -------------------------------------------------------------------


def postgres_goes_away(world: World) -> None:
    world.ports = world.ports._replace(database=AwayDatabase(world.clock))
    world.snapshot.held_freshness = Freshness.STALE


async def test_serve_says_that_it_does(log_lines: list[dict]):
    world = a_world()
    postgres_goes_away(world)

    assert await ask(world, "50.00") == {"decision": True, "context": {"degraded": "serve"}}
    (line,) = [line for line in log_lines if line.get("decision")]
    assert line["degraded"] == "serve"


async def test_raise_asks_for_the_strongest_of_what_is_free_otherwise():
    world = a_world("on_degraded: raise")
    postgres_goes_away(world)

    answer = await ask(world, "50.00")

    assert answer["decision"] is False
    assert (answer["context"]["acr_values"], answer["context"]["degraded"]) == ("phr", "raise")


@pytest.mark.parametrize("path", [EVALUATION, "/access/v1/evaluations", "/v1/step-ups"])
async def test_refuse_is_no_denial_but_a_503_that_says_when_to_come_again(path: str):
    world = a_world("on_degraded: refuse")
    postgres_goes_away(world)
    request = a_transfer("50.00")
    if path == "/v1/step-ups":
        request |= {
            "redirect_uri": BANK_CALLBACK,
            "code_challenge": PKCE_CHALLENGE,
            "code_challenge_method": "S256",
        }

    async with app_over(world.ports) as http:
        answer = await http.post(path, json=request, auth=BANK)

    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["code"] == "dependency_unavailable"


async def test_step_ups_say_it_too():
    world = a_world("mode: report")
    request = a_transfer() | {
        "redirect_uri": BANK_CALLBACK,
        "code_challenge": PKCE_CHALLENGE,
        "code_challenge_method": "S256",
    }
    async with app_over(world.ports) as http:
        answer = (await http.post("/v1/step-ups", json=request, auth=BANK)).json()

    assert (answer["outcome"], answer["reason"]) == ("allow", "not_enforced")
    assert answer["notes"]["would_be"]["acr_values"] == "phr"
