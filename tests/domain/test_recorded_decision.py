"""What a record keeps of a decision, and what it never does."""

import hashlib
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.assurance import Acr
from stepup.domain.binding import bound_digest
from stepup.domain.decision import Allow, Decision, StepUp, decide
from stepup.domain.decision_request import AttributeType, Entity
from stepup.domain.ids import ClientId, DecisionId
from stepup.domain.policy import Effect
from stepup.domain.recorded_decision import (
    LONGEST_LIST,
    LONGEST_TEXT,
    MOST_BYTES,
    Decided,
    Outcome,
    RecordedDecision,
    decision_id,
    moment_of,
    record_of,
    weight_of,
)
from stepup.domain.requirement import OnDegraded
from tests.domain.strategies import ATTRIBUTES, approvals, decision_requests, policies
from tests.support.builders import (
    a_decision_request,
    a_guardrail,
    a_policy,
    a_requirement,
    a_rule,
    a_subject,
    an_action,
    an_approval,
    an_approval_of,
    an_attribute,
)
from tests.support.determinism import NOON

SECRET = "DE02120300000000202051"
IBAN = an_attribute("iban", entity=Entity.RESOURCE, sensitive=True)
AMOUNT = an_attribute("amount", type=AttributeType.DECIMAL)


def digest(data: bytes) -> str:
    return hashlib.sha256(b"key" + data).hexdigest()


def recorded(policy, request, approval=None) -> RecordedDecision:
    decision = decide(policy, request, approval, NOON)
    decided = Decided(
        at=NOON,
        client_id=ClientId("bank"),
        subject=a_subject("alice"),
        policy=policy,
        request=request,
        approval=approval,
        decision=decision,
    )
    return record_of(decided, decision_id(NOON, "d1"), digest)


def with_attributes(*attributes, **changes):
    return a_policy(an_action(attributes=attributes, **changes))


class TestWhatIsKept:
    def test_of_a_step_up_what_was_asked_and_what_it_rests_on(self):
        policy = a_policy(
            an_action(rules=(a_rule("large"),)), guardrails=(a_guardrail(id="money"),)
        )
        record = recorded(policy, a_decision_request())

        assert (record.outcome, record.reason) == (Outcome.STEP_UP, None)
        assert (record.rule, record.guardrails) == ("large", ("money",))
        assert record.acr is not None
        assert record.policy_version == policy.version
        assert record.subject_id == a_subject("alice").id

    def test_of_an_allowance_and_a_denial_the_reason(self):
        allowed = recorded(a_policy(an_action(default=Effect.ALLOW)), a_decision_request())
        denied = recorded(a_policy(), a_decision_request(action="unheard.of"))

        assert (allowed.outcome, allowed.reason) == (Outcome.ALLOW, "not_required")
        assert (denied.outcome, denied.reason) == (Outcome.DENY, "unknown_action")

    def test_reads_back_as_it_was_written(self):
        record = recorded(
            with_attributes(IBAN, AMOUNT),
            a_decision_request(resource={"iban": SECRET}, action_properties={"amount": "7.00"}),
            an_approval(),
        )
        assert msgspec.json.decode(msgspec.json.encode(record), type=RecordedDecision) == record


class TestWhatIsDropped:
    def test_attributes_that_the_action_does_not_declare(self):
        request = a_decision_request(
            action_properties={"amount": "7.00", "comment": SECRET},
            subject={"password": SECRET},
            context={"elevated_token": SECRET, "authentication": {"acr": SECRET}},
        )
        record = recorded(with_attributes(AMOUNT), request)

        assert record.request.action_properties == {"amount": "7.00"}
        assert SECRET.encode() not in msgspec.json.encode(record)

    def test_everything_of_an_action_that_nobody_declared(self):
        request = a_decision_request(action="unheard.of", context={"ip": SECRET})
        assert SECRET.encode() not in msgspec.json.encode(recorded(a_policy(), request))

    @pytest.mark.parametrize("name", ["elevated_token", "authentication"])
    def test_a_token_is_never_open_even_where_a_policy_declares_it(self, name):
        declared = an_attribute(name, entity=Entity.CONTEXT)
        record = recorded(with_attributes(declared), a_decision_request(context={name: SECRET}))

        assert record.digested == {f"context.{name}"}
        assert SECRET.encode() not in msgspec.json.encode(record)

    @pytest.mark.parametrize(
        "value",
        [
            "x" * (LONGEST_TEXT + 1),
            ["x"] * (LONGEST_LIST + 1),
            ["x" * (LONGEST_TEXT + 1)],
            [["x"]],
            {"deep": {"deeper": "x" * 9000}},
        ],
    )
    def test_what_is_too_large_for_its_place(self, value):
        request = a_decision_request(action_properties={"amount": value})
        record = recorded(with_attributes(AMOUNT), request)

        assert record.digested == {"action.amount"}
        assert len(msgspec.json.encode(record)) < 1000

    @pytest.mark.parametrize("sensitive", [False, True])
    def test_attack_a_hundred_long_lists_push_the_records_of_others_out(self, sensitive: bool):
        """They would: what is held is bounded in bytes, what waits in Redis in records."""
        names = [f"a{n}" for n in range(100)]
        text = "x" * (1 if sensitive else LONGEST_TEXT)
        lists = [an_attribute(name, type=AttributeType.LIST, sensitive=sensitive) for name in names]
        sent = dict.fromkeys(names, [text] * LONGEST_LIST) | {"amount": "7.00"}
        record = recorded(
            with_attributes(*lists, AMOUNT), a_decision_request(action_properties=sent)
        )

        assert len(msgspec.json.encode(record)) < 2 * MOST_BYTES
        assert record.digested >= {"action.a99"}
        assert record.request.action_properties["amount"] == "7.00"


class TestSensitiveAttributes:
    def test_are_digested(self):
        record = recorded(with_attributes(IBAN), a_decision_request(resource={"iban": SECRET}))

        assert record.digested == {"resource.iban"}
        assert str(record.request.resource["iban"]).startswith("digest:")
        assert SECRET.encode() not in msgspec.json.encode(record)

    def test_equal_values_stay_equal_whatever_the_attribute(self):
        payer = an_attribute("payer", entity=Entity.CONTEXT, sensitive=True)
        request = a_decision_request(resource={"iban": SECRET}, context={"payer": SECRET})
        record = recorded(with_attributes(IBAN, payer), request)
        other = recorded(with_attributes(IBAN), a_decision_request(resource={"iban": "other"}))

        assert record.request.resource["iban"] == record.request.context["payer"]
        assert record.request.resource["iban"] != other.request.resource["iban"]

    def test_values_of_two_types_are_not_confused(self):
        text = an_attribute("a", sensitive=True)
        number = an_attribute("b", type=AttributeType.DECIMAL, sensitive=True)
        request = a_decision_request(action_properties={"a": "7", "b": "7"})
        kept = recorded(with_attributes(text, number), request).request.action_properties

        assert kept["a"] != kept["b"]

    def test_of_a_list_every_item_is_digested(self):
        payees = an_attribute("payees", type=AttributeType.LIST, sensitive=True)
        request = a_decision_request(action_properties={"payees": [SECRET, "b", SECRET]})
        kept = recorded(with_attributes(payees), request).request.action_properties["payees"]

        assert isinstance(kept, list)
        assert kept[0] == kept[2] != kept[1]
        assert SECRET not in str(kept)

    def test_what_was_not_sent_stays_absent(self):
        record = recorded(with_attributes(IBAN), a_decision_request())
        assert "iban" not in record.request.resource
        assert record.digested == frozenset()


class TestTheApproval:
    BINDS = a_rule(then=a_requirement(bind=frozenset({"iban"}), max_age=timedelta(minutes=5)))

    def test_for_the_bound_values_is_one_for_their_digests(self):
        policy = with_attributes(IBAN, rules=(self.BINDS,))
        request = a_decision_request(resource={"iban": SECRET})
        asked = decide(policy, request, None, NOON)
        assert isinstance(asked, StepUp)
        approval = an_approval_of(request.action, asked.bound)
        assert isinstance(decide(policy, request, approval, NOON), Allow)

        record = recorded(policy, request, approval)

        assert record.approval is not None
        assert record.approval.bound_digest != approval.bound_digest
        assert isinstance(decide(policy, record.request, record.approval, record.at), Allow)

    def test_for_other_values_is_one_for_nothing_and_no_digest_to_search_with(self):
        policy = with_attributes(IBAN, rules=(self.BINDS,))
        request = a_decision_request(resource={"iban": SECRET})
        approval = an_approval_of(request.action, {"iban": "another"})

        record = recorded(policy, request, approval)

        assert record.approval is not None
        assert record.approval.bound_digest is None
        assert isinstance(decide(policy, record.request, record.approval, record.at), StepUp)

    @pytest.mark.parametrize("is_known", [True, False])
    def test_attack_the_account_number_is_left_out_beside_a_token_that_is_bound_to_it(
        self, is_known: bool
    ):
        policy = with_attributes(IBAN, rules=(self.BINDS,)) if is_known else a_policy()
        action = "payments.transfer" if is_known else "payments.gone"
        approval = an_approval_of(action, {"iban": SECRET})

        record = recorded(policy, a_decision_request(action=action), approval)

        assert record.digested == frozenset()
        assert bound_digest(action, {"iban": SECRET}) not in str(record)

    def test_for_another_action_is_kept_without_its_values(self):
        record = recorded(
            with_attributes(AMOUNT),
            a_decision_request(),
            an_approval_of("payments.close", {"iban": SECRET}),
        )
        assert record.approval is not None
        assert record.approval.bound_digest is None
        assert bound_digest("payments.close", {"iban": SECRET}) not in str(record)

    def test_for_this_action_is_kept_as_it_is_when_nothing_is_sensitive(self):
        request = a_decision_request()
        approval = an_approval_of(request.action, {"amount": "7.00"})
        assert recorded(with_attributes(AMOUNT), request, approval).approval == approval


ALLOWED = decide(a_policy(an_action(default=Effect.ALLOW)), a_decision_request(), None, NOON)
REFUSED = decide(a_policy(), a_decision_request(), None, NOON)
DENIED = decide(a_policy(), a_decision_request(action="unheard.of"), None, NOON)


def on(**changes: object) -> Decision:
    """The allowance on another basis."""
    basis = msgspec.structs.replace(ALLOWED.basis, **changes)
    return msgspec.structs.replace(ALLOWED, basis=basis)


class TestSampling:
    IDS = tuple(decision_id(NOON, f"id-{number}") for number in range(4000))

    @pytest.mark.parametrize(
        "decision",
        [
            REFUSED,
            DENIED,
            on(reported=REFUSED),
            on(reported=DENIED),
            on(error="a condition failed"),
            on(fallback=Acr("urn:stepup:acr:1")),
        ],
    )
    @pytest.mark.parametrize("one_in", [0, 1, 1000])
    def test_always_keeps_what_is_no_plain_allowance(self, decision, one_in):
        assert all(weight_of(each, decision, one_in) == 1 for each in self.IDS)

    @pytest.mark.parametrize(
        "decision", [ALLOWED, on(reported=ALLOWED), on(degraded=OnDegraded.SERVE)]
    )
    def test_keeps_one_allowance_in_so_many_and_says_what_it_stands_for(self, decision):
        weights = [weight_of(each, decision, 10) for each in self.IDS]
        assert set(weights) == {0, 10}
        assert 0.8 * len(self.IDS) < sum(weights) < 1.2 * len(self.IDS)

    def test_keeps_all_or_none_where_asked_to(self):
        assert all(weight_of(each, ALLOWED, 1) == 1 for each in self.IDS)
        assert all(weight_of(each, ALLOWED, 0) == 0 for each in self.IDS)

    def test_chooses_by_the_identifier_alone(self):
        assert [weight_of(each, ALLOWED, 3) for each in self.IDS] == [
            weight_of(each, ALLOWED, 3) for each in self.IDS
        ]


class TestNames:
    def test_say_when_to_the_millisecond(self):
        at = NOON + timedelta(microseconds=1234)
        assert moment_of(decision_id(at, "x")) == NOON + timedelta(milliseconds=1)

    def test_are_in_the_order_of_time(self):
        moments = [NOON + timedelta(milliseconds=9 * n) for n in range(50)]
        names = [decision_id(at, "zA-_"[n % 4]) for n, at in enumerate(moments)]
        assert names == sorted(names)

    @pytest.mark.parametrize(
        "text", ["", "x", "0" * 12, "00000000000G.x", "f" * 12 + ".x", "0" * 12 + ".x\n"]
    )
    def test_of_nothing_have_no_moment(self, text):
        assert moment_of(DecisionId(text)) is None


# --- properties ---------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@given(
    policies(), decision_requests(), st.none() | approvals(), st.sets(st.sampled_from(ATTRIBUTES))
)
def test_the_same_policy_decides_a_record_the_same(policy, request, approval, sensitive):
    """Whatever is digested: what an approval is bound to is compared, and nothing else looks."""
    declared = tuple(an_attribute(name, sensitive=name in sensitive) for name in ATTRIBUTES)
    actions = {
        name: msgspec.structs.replace(action, attributes=declared)
        for name, action in policy.actions.items()
    }
    policy = msgspec.structs.replace(policy, actions=actions)
    record = recorded(policy, request, approval)
    before = decide(policy, request, approval, NOON)
    again = decide(policy, record.request, record.approval, record.at)

    assert type(again) is type(before)
    assert again.basis.rule == before.basis.rule
    assert getattr(again, "reason", None) == getattr(before, "reason", None)
    assert getattr(again, "requirement", None) == getattr(before, "requirement", None)


@given(st.fixed_dictionaries(dict.fromkeys(ATTRIBUTES, anything)), st.booleans())
def test_whatever_was_sent_can_be_recorded(sent, sensitive):
    declared = [an_attribute(name, sensitive=sensitive) for name in ATTRIBUTES]
    policy = with_attributes(*declared, default=Effect.ALLOW)
    record = recorded(policy, a_decision_request(action_properties=sent))

    assert len(msgspec.json.encode(record)) < 1000 + MOST_BYTES
    sent_at_all = {f"action.{name}" for name, value in sent.items() if value is not None}
    assert record.digested == sent_at_all if sensitive else record.digested <= sent_at_all
