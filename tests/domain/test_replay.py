"""A draft beside the active policy: what is counted, and that it adds up."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepup.domain.assurance import DEFAULT_LADDER, Acr
from stepup.domain.decision import decide
from stepup.domain.difference import DifferenceKind, Part
from stepup.domain.ids import SubjectId
from stepup.domain.policy import Effect
from stepup.domain.recorded_decision import Outcome, outcome_of
from stepup.domain.redeciding import Redecider
from stepup.domain.replay import UNNAMED, Replayer, Tally
from stepup.domain.replay_report import Abilities, Ability, ability_of, report_of
from stepup.domain.requirement import Fallback, OnUnenrolled, Requirement
from tests.domain.strategies import approvals, decision_requests, guardrails, policies
from tests.support.builders import (
    A_PASSKEY,
    a_decision_request,
    a_guardrail,
    a_policy,
    a_recorded_decision,
    a_requirement,
    a_rule,
    an_action,
    an_authenticator,
)
from tests.support.determinism import NOON

FALLBACK = {
    "on_unenrolled": OnUnenrolled.FALLBACK,
    "fallback": Fallback(acr=Acr("urn:stepup:acr:2")),
}
ALICE, BOB = SubjectId("alice"), SubjectId("bob")
ALLOWED = a_policy(an_action(default=Effect.ALLOW))
GUARDED = msgspec.structs.replace(
    ALLOWED,
    guardrails=(a_guardrail(require=Requirement(acr=Acr("phr"))),),
    actions={name: an_action(default=Effect.ALLOW) for name in ALLOWED.actions},
)


def replayed(active, draft, records, tally=None) -> Tally:
    versions = {active.version: active}
    replayer = Replayer(Redecider(active, versions.get), Redecider(draft, versions.get))
    counted = Tally() if tally is None else tally
    for each in records:
        replayer.replay(each, counted)
    return counted


def reported(active, draft, records, authenticators=()):
    tally = replayed(active, draft, records)
    abilities = Abilities(draft.ladder, NOON)
    for prompt, prompted in tally.prompts.items():
        own = [a for a in authenticators if a.subject.id == prompt.subject]
        abilities.judge(prompt, prompted, own)
    return report_of(tally, abilities, active_version=active.version, is_complete=True)


def test_counts_each_decision_as_often_as_it_was_sampled():
    records = [
        a_recorded_decision(subject_id=ALICE, sampled_as=10),
        a_recorded_decision(subject_id=BOB),
    ]

    report = reported(ALLOWED, GUARDED, records)

    assert (report.recorded, report.decisions, report.changed) == (2, 11, 11)
    assert (report.prompts_before, report.prompts_after) == (0, 11)
    assert report.actions[0].differences == {DifferenceKind.ALLOW_TO_STEP_UP: 11}
    assert (report.subjects.seen, report.subjects.newly_prompted) == (2, 2)


def test_tells_people_who_are_asked_more_often_from_those_who_never_were():
    first = a_rule("first", then=Effect.ALLOW)
    asks = an_action(name="other", default=a_requirement())
    active = a_policy(an_action(rules=(first,)), asks)
    draft = a_policy(an_action(), asks)
    other = a_decision_request(action="other")
    records = [
        a_recorded_decision(subject_id=ALICE),
        a_recorded_decision(subject_id=ALICE, request=other),
        a_recorded_decision(subject_id=BOB),
    ]

    there, back = reported(active, draft, records), reported(draft, active, records)

    assert (there.subjects.newly_prompted, there.subjects.prompted_more_often) == (1, 1)
    assert (back.subjects.no_longer_prompted, back.subjects.prompted_less_often) == (1, 1)


def test_names_the_rules_between_which_decisions_move():
    first = a_rule("first", then=Effect.ALLOW)
    active, draft = a_policy(an_action(rules=(first,))), a_policy(an_action())

    (flow,) = reported(active, draft, [a_recorded_decision()] * 3).rules

    assert (flow.before, flow.after, flow.decisions) == ("first", None, 3)
    assert flow.difference is DifferenceKind.ALLOW_TO_STEP_UP


def test_names_the_parts_that_are_raised():
    active, draft = a_policy(), a_policy(an_action(default=a_requirement(acr=Acr("phr"))))

    (action,) = reported(active, draft, [a_recorded_decision()]).actions

    assert action.differences == {DifferenceKind.RAISED: 1}
    assert action.raised == {Part.ACR: 1, Part.MAX_AGE: 1, Part.ONCE: 1}
    assert action.lowered == {}


def test_counts_who_has_nothing_to_pass_with_once_for_all_decisions():
    records = [a_recorded_decision(subject_id=who) for who in (ALICE, ALICE, BOB)]

    report = reported(ALLOWED, GUARDED, records)

    assert report.subjects.cannot_pass == 2
    assert {example.subject for example in report.cannot_pass_examples} == {ALICE, BOB}


def test_who_could_not_pass_before_either_is_no_news():
    records = [a_recorded_decision(subject_id=ALICE)]
    assert reported(GUARDED, GUARDED, records).subjects.cannot_pass == 0


def test_an_authenticator_that_reaches_the_level_is_enough():
    passkey = an_authenticator(A_PASSKEY)
    records = [a_recorded_decision(subject_id=passkey.subject.id)]

    assert reported(ALLOWED, GUARDED, records, [passkey]).subjects.cannot_pass == 0


@pytest.mark.parametrize(
    ("asks", "enrolled", "expected"),
    [
        ({}, [], Ability.CANNOT),
        ({}, None, Ability.UNKNOWN),
        ({}, [an_authenticator()], Ability.CAN),
        ({"on_unenrolled": OnUnenrolled.ENROLL}, [], Ability.MUST_ENROLL),
        ({"on_unenrolled": OnUnenrolled.ENROLL}, [an_authenticator()], Ability.CAN),
        ({"min_credential_age": timedelta(hours=1)}, [an_authenticator()], Ability.CANNOT),
        ({"acr": Acr("phr"), **FALLBACK}, [an_authenticator()], Ability.CAN),
        ({"acr": Acr("phr"), **FALLBACK}, [], Ability.CANNOT),
    ],
    ids=["nothing", "unreadable", "app", "may enroll", "need not", "too young", "falls back", "no"],
)
def test_who_could_pass(asks: dict, enrolled, expected: Ability):
    assert ability_of(DEFAULT_LADDER, a_requirement(**asks), enrolled, NOON) is expected


def test_what_was_answered_otherwise_at_the_time_is_drift_and_no_change():
    report = reported(GUARDED, GUARDED, [a_recorded_decision(sampled_as=4)])

    assert (report.drifted, report.changed) == (4, 0)


def test_what_the_caller_could_not_comply_with_is_no_drift():
    kept = a_recorded_decision(outcome=Outcome.DENY, reason="obligation_not_supported")
    assert reported(ALLOWED, ALLOWED, [kept]).drifted == 0


def test_actions_that_nobody_names_are_one_line():
    records = [
        a_recorded_decision(request=a_decision_request(action=f"invented-{n}")) for n in range(9)
    ]

    (action,) = reported(a_policy(), a_policy(), records).actions

    assert (action.action, action.decisions) == (UNNAMED, 9)


def test_an_example_shows_no_attribute():
    secret = a_decision_request(action_properties={"payee": "very secret", "amount": 1})
    report = reported(ALLOWED, GUARDED, [a_recorded_decision(request=secret)])

    text = msgspec.json.encode(report).decode()

    assert len(report.examples) == 1
    assert "very secret" not in text


def test_examples_are_a_few_of_each_kind():
    report = reported(ALLOWED, GUARDED, [a_recorded_decision() for _ in range(50)])
    assert (len(report.examples), len(report.cannot_pass_examples)) == (5, 5)


records = st.builds(
    lambda request, approval, age, weight, who: (request, approval, age, weight, who),
    decision_requests(),
    st.none() | approvals(),
    st.timedeltas(timedelta(0), timedelta(hours=1)),
    st.integers(1, 9),
    st.sampled_from([ALICE, BOB]),
)


def recorded_by(policy, drawn):
    request, approval, age, weight, who = drawn
    decision = decide(policy, request, approval, NOON + age)
    return a_recorded_decision(
        decision,
        at=NOON + age,
        request=request,
        approval=approval,
        sampled_as=weight,
        subject_id=who,
    )


@given(policies(), st.lists(records, max_size=8))
def test_the_active_policy_beside_itself_changes_nothing(policy, drawn):
    kept = [recorded_by(policy, each) for each in drawn]
    again = msgspec.structs.replace(policy, version=0)

    report = reported(policy, again, kept)

    assert (report.changed, report.drifted, report.undecidable) == (0, 0, 0)
    assert report.rules == []


@given(policies(), policies(), st.lists(records, max_size=8), st.integers(0, 8))
@settings(max_examples=settings.default.max_examples // 2)
def test_what_is_counted_adds_up(active, draft, drawn, split):
    kept = [recorded_by(active, each) for each in drawn]
    whole = replayed(active, draft, kept)
    parts = replayed(active, draft, kept[:split])
    parts.add(replayed(active, draft, kept[split:]))
    report = reported(active, draft, kept)

    assert msgspec.structs.replace(parts, prompts={}) == msgspec.structs.replace(whole, prompts={})
    assert parts.prompts.keys() == whole.prompts.keys()
    assert report.decisions == sum(each.sampled_as for each in kept)
    assert report.changed == sum(each.decisions for each in report.rules if each.difference)
    assert all(each.changed == sum(each.differences.values()) for each in report.actions)
    more = [a.differences.get(k, 0) for a in report.actions for k in PROMPTS_MORE]
    fewer = [a.differences.get(k, 0) for a in report.actions for k in PROMPTS_LESS]
    assert report.prompts_after - report.prompts_before == sum(more) - sum(fewer)
    assert report.subjects.cannot_pass + report.subjects.must_enroll <= report.subjects.seen


PROMPTS_MORE = (DifferenceKind.ALLOW_TO_STEP_UP, DifferenceKind.DENY_TO_STEP_UP)
PROMPTS_LESS = (DifferenceKind.STEP_UP_TO_ALLOW, DifferenceKind.STEP_UP_TO_DENY)


@given(policies(), guardrails(), st.lists(records, max_size=8))
def test_a_guardrail_more_lowers_nothing_for_anybody(policy, guardrail, drawn):
    kept = [recorded_by(policy, each) for each in drawn]
    guarded = a_policy(
        *policy.actions.values(),
        guardrails=(*policy.guardrails, guardrail),
        unknown_action=policy.unknown_action,
    )

    report = reported(policy, guarded, kept)

    assert all(not action.lowered for action in report.actions)
    assert report.subjects.no_longer_prompted == 0 or any(
        DifferenceKind.STEP_UP_TO_DENY in action.differences for action in report.actions
    )


def test_outcomes_have_their_own_words():
    assert {outcome_of(decide(a_policy(), a_decision_request(), None, NOON))} == {"step_up"}
