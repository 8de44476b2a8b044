"""What holds for every policy, proved with documents that are read and conditions that are compiled."""

import hashlib
import subprocess
import sys
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepup.domain.assurance import DEFAULT_LADDER, Approval
from stepup.domain.decision import Allow, AllowReason, Decision, Deny, StepUp, decide
from stepup.policy_language import document
from stepup.policy_language.strength import strictness
from tests.domain.test_decision import assert_no_weaker
from tests.policy_language import written
from tests.policy_language.written import Drawn, a_request, authentications, documents, sent
from tests.support.determinism import NOON

# Sets have no order of their own; whatever is compared or signed is put into one.
_bytes = msgspec.json.Encoder(order="deterministic")
KINDS = (Allow, StepUp, Deny)
# Reading a document takes milliseconds; the domain's own properties have the many cases.
read_each_time = settings(max_examples=settings.default.max_examples)


def read(text: str):
    return document.parse(text, version=1, tests=False)


def encoded(decision: Decision) -> bytes:
    return type(decision).__name__.encode() + _bytes.encode(decision)


@given(documents(), st.lists(written.guardrails(), min_size=1, max_size=2), st.data())
@read_each_time
def test_adding_a_guardrail_never_lowers_any_requirement(drawn: Drawn, floors: list[str], data):
    before, after = read(drawn.text), read(written.with_guardrails(drawn.text, floors))
    values = data.draw(sent())
    degraded = data.draw(st.booleans())

    # Of who has proved nothing yet: what is asked, part by part.
    asked, raised = (
        decide(policy, a_request(values), None, NOON, degraded=degraded)
        for policy in (before, after)
    )
    assert KINDS.index(type(raised)) >= KINDS.index(type(asked))
    if isinstance(asked, StepUp) and isinstance(raised, StepUp):
        assert_no_weaker(raised.requirement, asked.requirement, DEFAULT_LADDER)

    # And of who has: nobody comes through who did not. An approval is for exactly the values that
    # are bound, though: a guardrail may bind the very ones that it was made for.
    approval = data.draw(authentications(values))
    first, second = (
        decide(policy, a_request(values), approval, NOON, degraded=degraded)
        for policy in (before, after)
    )
    if isinstance(second, Allow) and not isinstance(first, Allow):
        assert isinstance(first, StepUp)
        assert isinstance(raised, StepUp)
        assert raised.requirement.bind > first.requirement.bind


@given(documents(), st.data())
@read_each_time
def test_the_first_rule_whose_condition_holds_decides(drawn: Drawn, data):
    values = data.draw(sent())
    decision = decide(read(drawn.text), a_request(values), None, NOON)

    expected, error = None, False
    for number, condition in enumerate(drawn.conditions):
        holds = condition.holds(values)
        if holds is not False:
            expected, error = f"r{number}", holds is None
            break
    assert decision.basis.rule == expected
    assert (decision.basis.error is not None) is error
    if error:
        assert not (isinstance(decision, Allow) and decision.reason is AllowReason.NOT_REQUIRED)


@given(documents(), st.data())
@read_each_time
def test_no_stronger_authentication_gets_a_stricter_decision(drawn: Drawn, data):
    policy, values = read(drawn.text), data.draw(sent())
    weak = data.draw(authentications(values))
    strong = data.draw(no_weaker_than(weak))
    degraded = data.draw(st.booleans())

    before = decide(policy, a_request(values), weak, NOON, degraded=degraded)
    after = decide(policy, a_request(values), strong, NOON, degraded=degraded)

    assert strictness(after, policy) <= strictness(before, policy)


@given(documents(), st.data())
@read_each_time
def test_nobody_at_all_is_never_better_off_than_somebody(drawn: Drawn, data):
    policy, values = read(drawn.text), data.draw(sent())
    nobody = decide(policy, a_request(values), None, NOON)
    somebody = decide(policy, a_request(values), data.draw(authentications(values)), NOON)

    assert strictness(somebody, policy) <= strictness(nobody, policy)


@given(documents(), st.data())
@read_each_time
def test_what_is_stale_or_from_the_future_never_satisfies(drawn: Drawn, data):
    policy, values = read(drawn.text), data.draw(sent())
    approval = data.draw(authentications(values))
    asked = decide(policy, a_request(values), None, NOON)
    if not isinstance(asked, StepUp):
        return
    ages = [
        a for a in (asked.requirement.max_age, _age_of(asked.requirement.fallback)) if a is not None
    ]
    # A token of its own may be as old as its life allows where no age is allowed.
    oldest = max([*ages, timedelta(minutes=21)])
    beyond = data.draw(
        st.sampled_from([-timedelta(seconds=6), -timedelta(days=1), oldest + timedelta(seconds=1)])
    )
    if asked.requirement.max_age is None and beyond > timedelta(0):
        return
    context = msgspec.structs.replace(approval.context, auth_time=NOON - beyond)

    decision = decide(
        policy, a_request(values), msgspec.structs.replace(approval, context=context), NOON
    )

    assert isinstance(decision, StepUp)


@given(
    documents(),
    st.lists(sent(), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
    st.data(),
)
@read_each_time
def test_the_same_inputs_give_the_same_bytes_whatever_happened_before(
    drawn: Drawn, many, random, data
):
    asked = [(values, data.draw(st.none() | authentications(values))) for values in many]
    policy = read(drawn.text)
    first = [encoded(decide(policy, a_request(v), approval, NOON)) for v, approval in asked]

    order = list(range(len(asked)))
    random.shuffle(order)
    fresh = read(drawn.text)
    for policy_again in (policy, fresh):
        for index in order:
            values, approval = asked[index]
            assert encoded(decide(policy_again, a_request(values), approval, NOON)) == first[index]


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_another_process_decides_the_same(seed: str):
    answer = subprocess.run(
        [sys.executable, "-m", "tests.policy_language.test_properties"],
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(p for p in sys.path if p)},
        capture_output=True,
        check=True,
        text=True,
    )

    assert answer.stdout.strip() == fingerprint()


def no_weaker_than(weak: Approval) -> st.SearchStrategy[Approval]:
    """An authentication of a level at least as high, no older, with no younger authenticators."""
    rank = max(DEFAULT_LADDER.rank(weak.context.acr), 0)
    context = st.builds(
        msgspec.structs.replace,
        st.just(weak.context),
        acr=st.just(weak.context.acr) | st.sampled_from(DEFAULT_LADDER.acrs[rank:]),
        auth_time=st.sampled_from([weak.context.auth_time, NOON]),
        credential_age=st.sampled_from([weak.context.credential_age, timedelta(days=9)]),
        amr=st.sampled_from([weak.context.amr, (*weak.context.amr, "hwk")]),
    )
    return context.map(lambda stronger: msgspec.structs.replace(weak, context=stronger))


def _age_of(fallback):
    return None if fallback is None else fallback.max_age


MANY_WORDS = """
apiVersion: stepup/v1
actions:
  pay:
    tags: [money, other, third]
    attributes:
      amount: {type: int, required: true}
      payee: {type: string, required: true}
      known: {type: bool, default: false}
      country: {type: string, in: context}
    bind: [payee, amount, known]
    rules:
      - {id: r0, when: 'context.country == "DE"', allow: true}
      - id: r1
        when: action.amount > 1000
        require: {level: urn:stepup:acr:2, methods: [totp, webauthn, hotp]}
    default: {level: phr, methods: [webauthn, recovery_code]}
guardrails:
  - {id: g0, match: {tags: [money]}, require: {bind: [amount, payee], methods: [webauthn, totp]}}
  - {id: g1, match: {actions: ["p*"]}, require: {level: urn:stepup:acr:2, max_age: 5m}}
"""


def fingerprint() -> str:
    """Digest the decisions of one document about many requests."""
    policy, digest = read(MANY_WORDS), hashlib.sha256()
    for amount in written.AMOUNTS:
        for payee in ("ACME", "Bob"):
            for country in (None, "DE", "FR"):
                values = {"amount": amount, "payee": payee, "known": True, "country": country}
                digest.update(encoded(decide(policy, a_request(values), None, NOON)))
    return digest.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(fingerprint())
