"""What makes a policy milder than it looks is said; what cannot be meant is refused."""

import pytest

from stepup.domain.policy import Mode
from stepup.domain.requirement import OnDegraded, OnUnenrolled
from tests.policy_language.documents import HEAD, a_document, codes, findings, parsed

ACTION = a_document("default: {level: phr}")


class TestModes:
    def test_are_read(self):
        guardrails = "- {id: a, match: {actions: [pay]}, require: {level: phr}, mode: report}"
        policy = parsed(a_document("mode: report\ndefault: allow", guardrails=guardrails))

        assert policy.actions["pay"].mode is Mode.REPORT
        assert policy.guardrails[-1].mode is Mode.REPORT
        assert policy.mode is Mode.ENFORCE

    def test_the_document_s_is_read(self):
        assert parsed(f"{ACTION}mode: report\n").mode is Mode.REPORT

    @pytest.mark.parametrize("written", ["off", '"off"', "'off'"])
    def test_what_is_off_is_a_warning_and_the_word_is_read_as_it_stands(self, written):
        text = a_document(f"mode: {written}\ndefault: allow")

        assert findings(text) == ["SU035 the action `pay` is switched off"]

    def test_a_document_and_a_guardrail_that_are_off(self):
        guardrails = "- {id: a, match: {actions: [pay]}, require: {level: phr}, mode: off}"
        text = a_document(guardrails=guardrails) + "mode: off\n"

        assert codes(text) == ["SU035", "SU035"]

    def test_of_our_own_action_is_an_error(self):
        name = "account.authenticator.add_first"
        text = HEAD + f"actions:\n  {name}: {{default: allow, mode: report}}\n"

        assert codes(text) == ["SU014"]

    def test_a_mistyped_one(self):
        assert findings(f"{ACTION}mode: reprot\n") == [
            "SU012 unknown word `reprot`; did you mean `report`?"
        ]

    def test_tests_run_as_if_everything_were_enforced(self):
        text = a_document(
            """
            mode: report
            default: {level: phr}
            tests: [{name: it asks, expect: step_up, acr: phr}]
            """
        )

        assert codes(text) == []


class TestFallbacks:
    @pytest.mark.parametrize(
        ("demand", "code"),
        [
            ("{level: phr, on_unenrolled: fallback}", "SU011"),
            ("{level: phr, fallback: {level: urn:stepup:acr:2}}", "SU014"),
            ("{level: phr, on_unenrolled: fallback, fallback: {max_age: 5m}}", "SU011"),
            ("{level: phr, on_unenrolled: fallback, fallback: {level: ph}}", "SU020"),
            ("{level: phr, on_unenrolled: fallback, fallback: {level: phr, once: true}}", "SU010"),
            ("{level: phr, on_unenrolled: fallback, fallback: {level: phrh}}", "SU014"),
            (
                "{level: phrh, on_unenrolled: fallback, fallback: {level: phr, methods: [totp]}}",
                "SU021",
            ),
        ],
        ids=["missing", "not asked for", "no level", "unknown", "once", "stronger", "unreachable"],
    )
    def test_that_mean_nothing(self, demand, code):
        assert code in codes(a_document(f"default: {demand}"))

    def test_of_the_action_holds_for_its_requirements(self):
        policy = parsed(
            a_document(
                """
                on_unenrolled: fallback
                fallback: {level: urn:stepup:acr:2, preset: always}
                rules: [{id: own, when: action.name == "x", require: {level: phr, on_unenrolled: deny}}]
                default: {level: phr}
                """
            )
        )

        action = policy.actions["pay"]
        assert action.default.fallback.acr == "urn:stepup:acr:2"
        assert action.default.fallback.max_age.total_seconds() == 0
        assert action.shared.fallback == action.default.fallback
        assert action.rules[0].then.on_unenrolled is OnUnenrolled.DENY

    def test_a_guardrail_has_none(self):
        for field in ("on_unenrolled: fallback", "fallback: {level: phr}"):
            guardrails = f"- {{id: a, match: {{actions: [pay]}}, require: {{level: phr, {field}}}}}"

            assert set(codes(a_document(guardrails=guardrails))) <= {"SU010", "SU012"} != set()

    def test_enrolling_something_that_is_too_new_is_a_warning(self):
        demand = "{level: phr, min_credential_age: 24h, on_unenrolled: enroll}"

        assert codes(a_document(f"default: {demand}")) == ["SU036"]


def test_on_degraded_is_read_of_actions_rules_and_guardrails():
    guardrails = "- {id: a, match: {actions: [pay]}, require: {on_degraded: refuse}}"
    action = "on_degraded: raise\nrules: [{id: r, require: {level: phr, on_degraded: serve}}]\ndefault: allow"
    policy = parsed(a_document(action, guardrails=guardrails))

    pay = policy.actions["pay"]
    assert pay.shared.on_degraded is OnDegraded.RAISE
    assert pay.rules[0].then.on_degraded is OnDegraded.SERVE
    assert policy.guardrails[-1].require.on_degraded is OnDegraded.REFUSE


class TestPunishedStrength:
    @pytest.mark.parametrize(
        ("rule", "default"),
        [
            ("auth.level >= 2, require: {level: phrh}", "{level: urn:stepup:acr:2}"),
            ('auth.acr == "phr", deny: no', "{level: urn:stepup:acr:2}"),
            ("has(auth.age_seconds) && auth.age_seconds < 60, deny: no", "allow"),
            ("action.big && auth.level > 0, deny: no", "{level: phr}"),
            ("auth.level < 1, allow: true", "{level: phrh}"),
        ],
    )
    def test_a_rule_that_asks_more_of_who_has_shown_more(self, rule, default):
        text = a_document(
            f"""
            attributes: {{big: {{type: bool, default: false}}}}
            rules: [{{id: odd, when: "{rule.partition(", ")[0].replace('"', "'")}", {rule.partition(", ")[2]}}}]
            default: {default}
            """
        )

        assert "SU037" in codes(text)

    @pytest.mark.parametrize(
        ("rule", "default"),
        [
            ("auth.level >= 2, allow: true", "{level: phr}"),
            ("auth.level < 1, require: {level: phr}", "{level: urn:stepup:acr:2}"),
            ("auth.level < 1, deny: sign in first", "{level: phr}"),
            ("has(auth.age_seconds) && auth.age_seconds < 60, allow: true", "{level: phr}"),
        ],
    )
    def test_a_rule_that_asks_less_is_fine(self, rule, default):
        when, _, then = rule.partition(", ")
        text = a_document(f"rules: [{{id: fine, when: '{when}', {then}}}]\ndefault: {default}")

        assert "SU037" not in codes(text)
