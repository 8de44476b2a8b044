"""Documents drawn at random, with an oracle: what each of their conditions means, in Python."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from stepup.domain.assurance import DEFAULT_LADDER, Acr, Amr, Approval, AuthnContext
from stepup.domain.binding import bound_digest
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.ids import ActionName
from tests.support.determinism import NOON

Sent = Mapping[str, Any]

AMOUNTS = [0, 1, 999, 1000, 1001, 50_000]
ATTRIBUTES = """
    attributes:
      amount: {type: int, required: true}
      payee: {type: string, required: true}
      known: {type: bool, default: false}
      country: {type: string, in: context}
"""


class Written(NamedTuple):
    """A condition, and what it means; `can_fail` when it may have no answer."""

    source: str
    holds: Callable[[Sent], bool | None]


def _country_is(sent: Sent) -> bool | None:
    return None if sent["country"] is None else sent["country"] == "DE"


def _ratio(sent: Sent) -> bool | None:
    return None if sent["amount"] == 1000 else 1 // (sent["amount"] - 1000) > 0


CONDITIONS = [
    Written("action.amount > 1000", lambda sent: sent["amount"] > 1000),
    Written("action.amount <= 1000 && action.known", lambda s: s["amount"] <= 1000 and s["known"]),
    Written("!action.known", lambda sent: not sent["known"]),
    Written('action.payee.startsWith("A")', lambda sent: sent["payee"].startswith("A")),
    Written('has(context.country) && context.country == "DE"', lambda s: s["country"] == "DE"),
    Written('context.country == "DE"', _country_is),
    Written("1 / (action.amount - 1000) > 0", _ratio),
    Written("true", lambda _: True),
    Written("false", lambda _: False),
]

levels = st.sampled_from(DEFAULT_LADDER.acrs)
spans = st.sampled_from(["0s", "60s", "15m", "1h"])


@st.composite
def demands(draw: st.DrawFn, *, floor: bool = False) -> str:
    """What a rule or a guardrail asks for, as a document writes it."""
    parts = [f"level: {draw(levels)}"]
    optional = {
        "max_age": spans,
        "once": st.sampled_from(["true", "false"]),
        "bind": st.sampled_from(["[amount]", "[payee]", "[amount, payee]"]),
        "token_ttl": st.sampled_from(["30s", "600s"]),
        "min_credential_age": st.sampled_from(["0s", "1h", "24h"]),
        "on_degraded": st.sampled_from(["serve", "raise", "refuse"]),
    }
    parts += [f"{name}: {draw(values)}" for name, values in optional.items() if draw(st.booleans())]
    word = draw(st.sampled_from(["", "deny", "enroll", "fallback"]))
    if word == "fallback" and not floor:
        parts += ["on_unenrolled: fallback", "fallback: {level: urn:stepup:acr:1, max_age: 5m}"]
    elif word in {"deny", "enroll"}:
        parts.append(f"on_unenrolled: {word}")
    return "{" + ", ".join(parts) + "}"


@st.composite
def rules(draw: st.DrawFn) -> list[tuple[Written, str]]:
    """Conditions with what follows from them."""
    then = st.sampled_from(["allow: true", "deny: no"]) | demands().map("require: {}".format)
    return draw(st.lists(st.tuples(st.sampled_from(CONDITIONS), then), max_size=5))


class Drawn(NamedTuple):
    """A document, and the conditions of its rules in order."""

    text: str
    conditions: tuple[Written, ...]


@st.composite
def documents(draw: st.DrawFn) -> Drawn:
    """A whole document with one action."""
    drawn = draw(rules())
    default = draw(st.sampled_from(["allow", "deny"]) | demands())
    lines = [
        f"      - {{id: r{i}, when: '{written.source}', {then}}}"
        for i, (written, then) in enumerate(drawn)
    ]
    text = "apiVersion: stepup/v1\nactions:\n  pay:\n    tags: [money]" + ATTRIBUTES
    text += "".join(f"{part}\n" for part in (["    rules:", *lines] if lines else []))
    text += f"    default: {default}\n"
    floors = draw(st.lists(guardrails(), max_size=2))
    return Drawn(with_guardrails(text, floors), tuple(written for written, _ in drawn))


@st.composite
def guardrails(draw: st.DrawFn) -> str:
    """A guardrail without its name; it may match, or not."""
    match = draw(st.sampled_from(["tags: [money]", 'actions: ["pay*"]', "tags: [other]"]))
    return f"match: {{{match}}}, require: {draw(demands(floor=True))}"


def with_guardrails(text: str, floors: list[str]) -> str:
    """Add guardrails to a document; those that it has stay the first."""
    if not floors:
        return text
    head = "" if "\nguardrails:\n" in text else "guardrails:\n"
    known = text.count("  - {id: g")
    return (
        text
        + head
        + "".join(f"  - {{id: g{known + i}, {floor}}}\n" for i, floor in enumerate(floors))
    )


@st.composite
def sent(draw: st.DrawFn) -> Sent:
    """The attributes of a request; None is not sent."""
    return {
        "amount": draw(st.sampled_from(AMOUNTS)),
        "payee": draw(st.sampled_from(["ACME", "Bob"])),
        "known": draw(st.booleans()),
        "country": draw(st.sampled_from([None, "DE", "FR"])),
    }


def a_request(values: Sent) -> DecisionRequest:
    """Ask about what was sent."""
    context = {} if values["country"] is None else {"country": values["country"]}
    return DecisionRequest(
        subject_type="user",
        subject_id="alice",
        action=ActionName("pay"),
        resource_type="account",
        resource_id="1",
        action_properties={name: values[name] for name in ("amount", "payee", "known")},
        context=context,
    )


@st.composite
def authentications(draw: st.DrawFn, values: Sent) -> Approval:
    """An authentication, which may have been made for these very values."""
    seconds = draw(st.sampled_from([0, 1, 59, 61, 899, 901, 3599, 3601, 86_400]))
    context = AuthnContext(
        acr=draw(levels | st.sampled_from([Acr(""), Acr("elsewhere")])),
        auth_time=NOON - timedelta(seconds=seconds),
        credential_age=draw(st.sampled_from([timedelta(0), timedelta(hours=2), timedelta(days=2)])),
        amr=tuple(map(Amr, draw(st.lists(st.sampled_from(["hwk", "user", "otp", "sms"]))))),
    )
    bound = draw(st.sampled_from([None, (), ("amount",), ("payee",), ("amount", "payee")]))
    if bound is None:
        return Approval(context=context)
    return Approval(
        context=context,
        action="pay",
        bound_digest=bound_digest("pay", {name: values[name] for name in bound}),
        once=draw(st.booleans()),
        fallback_for=draw(st.none() | levels),
    )
