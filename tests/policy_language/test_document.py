"""Documents to policies, and what is wrong with the others."""

import json
from datetime import timedelta

import pytest

from stepup.domain.administrator import AdminAction
from stepup.domain.assurance import DEFAULT_LADDER, Acr, Factor, Method
from stepup.domain.decision import Deny, StepUp, decide
from stepup.domain.decision_request import AttributeType, Entity
from stepup.domain.errors import PolicyInvalidError
from stepup.domain.policy import Effect
from stepup.domain.requirement import OnUnenrolled, Requirement
from stepup.policy_language import builtin, defaults, document
from stepup.policy_language.requirements import NOT_SUPPORTED_YET
from tests.policy_language.documents import (
    HEAD,
    a_document,
    a_document_when,
    codes,
    errors,
    findings,
    parsed,
)
from tests.support.builders import a_decision_request
from tests.support.determinism import NOON

LEVEL_1, LEVEL_2, PHR = Acr("urn:stepup:acr:1"), Acr("urn:stepup:acr:2"), Acr("phr")


def default_of(text: str) -> Requirement | Effect:
    return parsed(text).actions["pay"].default


class TestWholeDocument:
    def test_reads_every_part(self):
        policy = parsed(
            a_document(
                """
                title: {en: send a payment, de: eine Zahlung senden}
                description: Only for people.
                tags: [money]
                attributes:
                  amount: {type: decimal, required: true, sensitive: true, scale: 3}
                  currency: {type: string, enum: [EUR, USD], required: true}
                  urgent: {type: bool, default: false}
                  ip: {type: ip, in: context}
                bind: [amount, currency]
                display: [amount, currency]
                token: {ttl: 30s, once: true, audience: bank-api}
                on_unenrolled: enroll
                rules:
                  - id: nowhere
                    when: has(context.ip) && inCidr(context.ip, "192.0.2.0/24")
                    deny: not from there
                  - id: small
                    when: action.amount < 1000 && !action.urgent
                    allow: true
                  - id: large
                    when: action.amount > 100000
                    require: {level: phr, max_age: 0s, methods: [webauthn]}
                default: {level: urn:stepup:acr:2}
                """,
                guardrails="""
                - id: money
                  match: {tags: [money], actions: ["pay*"]}
                  require: {max_age: 5m}
                """,
            )
        )

        action = policy.actions["pay"]
        assert action.title == {"en": "send a payment", "de": "eine Zahlung senden"}
        assert action.description == {"en": "Only for people."}
        amount, currency, urgent, ip = action.attributes
        assert (amount.type, amount.required, amount.scale) == (AttributeType.DECIMAL, True, 3)
        assert (amount.sensitive, currency.enum) == (True, ("EUR", "USD"))
        assert (urgent.default, ip.entity) == (False, Entity.CONTEXT)
        nowhere, small, large = action.rules
        assert (nowhere.then, nowhere.reason) == (Effect.DENY, "not from there")
        assert small.then is Effect.ALLOW
        assert large.then == Requirement(
            acr=PHR,
            max_age=timedelta(0),
            methods=frozenset({Method.WEBAUTHN}),
            once=True,
            bind=frozenset({"amount", "currency"}),
            display=("amount", "currency"),
            token_lifetime=timedelta(seconds=30),
            audience="bank-api",
            on_unenrolled=OnUnenrolled.ENROLL,
        )
        assert [guardrail.id for guardrail in policy.guardrails_for(action)] == ["money"]
        assert policy.ladder == DEFAULT_LADDER
        assert policy.unknown_action is Effect.DENY

    def test_reads_the_same_from_json(self):
        text = json.dumps(
            {"apiVersion": "stepup/v1", "actions": {"pay": {"default": {"level": "phr"}}}},
            indent="\t",
        )

        assert default_of(text) == default_of(a_document("default: {level: phr}"))

    def test_reads_actions_from_a_list(self):
        text = HEAD + "actions:\n  - {name: pay, default: allow}\n  - {name: see, default: deny}\n"

        policy = parsed(text)

        assert policy.actions["pay"].default is Effect.ALLOW
        assert policy.actions["see"].default is Effect.DENY

    def test_needs_no_actions_at_all(self):
        assert parsed(HEAD).unknown_action is Effect.DENY

    def test_allows_unknown_actions_only_when_told(self):
        assert parsed(HEAD + "unknown_action: allow\n").unknown_action is Effect.ALLOW

    def test_gives_the_version_it_is_told(self):
        assert document.parse(HEAD, version=17).version == 17

    def test_a_document_with_errors_is_no_policy(self):
        with pytest.raises(PolicyInvalidError) as raised:
            document.parse(a_document("defalt: allow"), version=1)

        assert [finding.code.value for finding in raised.value.findings] == ["SU026", "SU010"]
        assert "did you mean `default`?" in raised.value.detail

    def test_warnings_do_not_forbid_a_document(self):
        text = a_document("title: pay")

        assert codes(text) == ["SU026"]
        assert document.parse(text, version=1).actions["pay"].default is Effect.DENY


class TestRequirements:
    @pytest.mark.parametrize(
        ("written", "max_age"),
        [
            ("level: phr", timedelta(minutes=10)),
            ("level: urn:stepup:acr:2", timedelta(minutes=15)),
            ("level: phr, max_age: 0s", timedelta(0)),
            ("level: phr, max_age: 0", timedelta(0)),
            ("level: phr, max_age: 90", timedelta(seconds=90)),
            ("level: phr, max_age: 1h30m", timedelta(minutes=90)),
            ("level: phr, preset: always", timedelta(0)),
            ("level: phr, preset: strict", timedelta(minutes=10)),
            ("level: phr, preset: moderate", timedelta(minutes=60)),
            ("level: phr, preset: relaxed", timedelta(hours=24)),
            ("level: phr, preset: strict, max_age: 10m", timedelta(minutes=10)),
        ],
    )
    def test_has_the_age_that_is_written_or_its_level_s(self, written, max_age):
        requirement = default_of(a_document(f"default: {{{written}}}"))

        assert isinstance(requirement, Requirement)
        assert requirement.max_age == max_age

    def test_what_the_requirement_says_goes_before_what_the_action_says(self):
        requirement = default_of(
            a_document(
                """
                attributes: {amount: {type: decimal, required: true}}
                token: {ttl: 30s, audience: bank-api}
                on_unenrolled: enroll
                default:
                  level: phr
                  token_ttl: 60s
                  audience: other-api
                  on_unenrolled: deny
                  bind: [amount]
                """
            )
        )

        assert isinstance(requirement, Requirement)
        assert requirement.token_lifetime == timedelta(seconds=60)
        assert requirement.audience == "other-api"
        assert requirement.on_unenrolled is OnUnenrolled.DENY
        assert requirement.display == ("amount",)

    def test_a_guardrail_raises_an_allowed_action_with_the_action_s_token_settings(self):
        policy = parsed(
            a_document(
                """
                attributes: {amount: {type: decimal, required: true}}
                token: {ttl: 30s, audience: bank-api}
                bind: [amount]
                default: allow
                """,
                guardrails="- {id: all, match: {actions: ['*']}, require: {max_age: 5m}}",
            )
        )

        decision = decide(policy, a_decision_request(action="pay"), None, NOON)

        assert isinstance(decision, StepUp)
        assert decision.requirement == Requirement(
            acr=LEVEL_1,
            max_age=timedelta(minutes=5),
            bind=frozenset({"amount"}),
            display=("amount",),
            token_lifetime=timedelta(seconds=30),
            audience="bank-api",
        )


class TestLevels:
    LADDER = """
        - acr: bronze
          any_of: [email, [totp]]
          max_age: 1h
        - acr: silver
          any_of: [[totp, {method: webauthn, user_verified: true, device_bound: true}]]
          max_age: 5m
        """

    def test_reads_combinations_of_factors(self):
        policy = parsed(a_document("default: {level: silver}", levels=self.LADDER))

        bronze, silver = policy.ladder.levels
        assert bronze.any_of == ((Factor(method=Method.EMAIL),), (Factor(method=Method.TOTP),))
        assert silver.any_of == (
            (
                Factor(method=Method.TOTP),
                Factor(method=Method.WEBAUTHN, user_verified=True, device_bound=True),
            ),
        )
        assert policy.actions["pay"].default.max_age == timedelta(minutes=5)

    def test_puts_our_own_actions_on_the_same_rung_of_another_ladder(self):
        policy = parsed(a_document(levels=self.LADDER))

        assert policy.actions["account.authenticator.add"].default.acr == "bronze"
        assert policy.actions["account.authenticator.remove"].default.acr == "silver"
        assert policy.actions["stepup.admin.policy.activate"].default.acr == "silver"
        assert {guardrail.require.acr for guardrail in policy.guardrails} == {"bronze", "silver"}
        assert {a.shared.acr for a in policy.actions.values() if a.shared} == {"bronze"}

    def test_keeps_the_rung_of_the_same_name_on_another_ladder(self):
        ladder = "- {acr: phr, any_of: [webauthn], max_age: 5m}"

        policy = parsed(a_document(levels=ladder))

        assert policy.actions["account.authenticator.add"].default.acr == "phr"

    @pytest.mark.parametrize(
        ("level", "finding"),
        [
            ("{any_of: [totp], max_age: 5m}", "SU011 `acr` is missing"),
            ("{acr: a, max_age: 5m}", "SU011 `any_of` is missing"),
            ("{acr: a, any_of: [totp]}", "SU011 `max_age` is missing"),
            ("{acr: a b, any_of: [totp], max_age: 5m}", "SU012 a level's name has no spaces"),
            ("{acr: a, any_of: [top], max_age: 5m}", "SU012 unknown method `top`; did you mean `totp`?"),
            ("{acr: a, any_of: totp, max_age: 5m}", "SU012 `any_of` must be a list of combinations"),
            ("{acr: a, any_of: [[]], max_age: 5m}", "SU012 a combination needs a factor"),
            ("{acr: a, any_of: [7], max_age: 5m}", "SU012 a factor is a method, or a mapping with one"),
            ("{acr: a, any_of: [{user_verified: true}], max_age: 5m}", "SU011 `method` is missing"),
            ("{acr: a, any_of: [{method: webauthn, uv: true}], max_age: 5m}", "SU010 unknown field `uv`"),
        ],
        ids=repr,
    )  # fmt: skip
    def test_says_what_is_wrong_with_a_level(self, level, finding):
        found = findings(a_document(levels=f"- {level}"))

        assert any(line.startswith(finding) for line in found), found

    @pytest.mark.parametrize(
        "combination",
        [
            "[webauthn, {method: webauthn, user_verified: true}]",
            "[totp, webauthn, totp]",
            "[{method: webauthn, aaguids: [a]}, webauthn]",
            "[{method: webauthn, aaguids: [a, b]}, {method: webauthn, aaguids: [b]}]",
        ],
    )
    def test_attack_one_authenticator_passes_for_both_factors_of_a_combination(self, combination):
        level = f"- {{acr: a, any_of: [{combination}], max_age: 5m}}"

        assert "SU014" in codes(a_document(levels=level))

    def test_two_models_of_authenticator_are_two_factors(self):
        two = "[{method: webauthn, aaguids: [a]}, {method: webauthn, aaguids: [b]}]"
        level = f"- {{acr: a, any_of: [{two}], max_age: 5m}}"

        assert "SU014" not in codes(a_document(levels=level))

    def test_refuses_a_level_twice(self):
        level = "{acr: a, any_of: [totp], max_age: 5m}"

        assert "SU023" in codes(a_document(levels=f"- {level}\n- {level}"))


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "line", "column", "path", "finding"),
        [
            (HEAD + "action: {}\n", 2, 1, "action", "SU010 unknown field `action`; did you mean `actions`?"),
            ("actions: {}\n", 1, 1, "", "SU011 `apiVersion` is missing"),
            ("apiVersion: stepup/v2\n", 1, 13, "apiVersion", "SU012 `apiVersion` must be stepup/v1"),
            ("apiVersion: 1\n", 1, 13, "apiVersion", "SU012 `apiVersion` must be text"),
            (HEAD + "actions: [1]\n", 2, 10, "actions", "SU012 `actions` must be a list of mappings"),
            (HEAD + "actions: pay\n", 2, 10, "actions", "SU012 `actions` must be a mapping from names"),
            (HEAD + "actions: {pay: allow}\n", 2, 16, "actions.pay", "SU012 `pay` must be a mapping"),
            (HEAD + "actions: {'a b': {default: allow}}\n", 2, 11, 'actions["a b"]', "SU012 `a b` is no name"),
            (HEAD + "unknown_action: alow\n", 2, 17, "unknown_action", "SU012 unknown word `alow`; did you mean `allow`?"),
            (a_document("default: maybe"), 4, 14, "actions.pay.default", "SU012 unknown word `maybe`; known here: allow, deny"),
            (a_document("default: {level: phr, metods: [totp]}"), 4, 27, "actions.pay.default.metods", "SU010 unknown field `metods`; did you mean `methods`?"),
            (a_document("default: {level: pfr}"), 4, 22, "actions.pay.default.level", "SU020 `level` is unknown: pfr; did you mean `phr`?"),
            (a_document("default: {max_age: 5m}"), 4, 14, "actions.pay.default", "SU011 `level` is missing"),
            (a_document("default: {level: phr, max_age: 5 minutes}"), 4, 36, "actions.pay.default.max_age", "SU012 `max_age` must be a span of time"),
            (a_document("default: {level: phr, max_age: -1}"), 4, 36, "actions.pay.default.max_age", "SU012 `max_age` must be a span of time"),
            (a_document("default: {level: phr, preset: strict, max_age: 5m}"), 4, 35, "actions.pay.default.preset", "SU014 `preset` says another age than `max_age`"),
            (a_document("default: {level: phr, methods: [passkey]}"), 4, 37, "actions.pay.default.methods[0]", "SU012 unknown word `passkey`"),
            (a_document("default: {level: phr, methods: []}"), 4, 36, "actions.pay.default.methods", "SU012 `methods` must name a method"),
            (a_document("default: {level: phr, once: yes}"), 4, 33, "actions.pay.default.once", "SU012 `once` must be true or false"),
            (a_document("default: {level: phr, token_ttl: 601s}"), 4, 38, "actions.pay.default.token_ttl", "SU012 `token_ttl` must be longer than nothing and at most 600s"),
            (a_document("default: {level: phr}\ntoken: {ttl: 0s}"), 5, 18, "actions.pay.token.ttl", "SU012 `ttl` must be longer"),
            (a_document("default: allow\ntoken: 60"), 5, 12, "actions.pay.token", "SU012 `token` must be a mapping"),
            (a_document("default: allow\ntoken: {life: 5s}"), 5, 13, "actions.pay.token.life", "SU010 unknown field `life`"),
            (a_document("default: allow\ntags: {a: b}"), 5, 11, "actions.pay.tags", "SU012 `tags` must be a list of texts"),
            (a_document("default: allow\ntags: [[a]]"), 5, 11, "actions.pay.tags", "SU012 `tags` must be a list of texts"),
            (a_document("default: allow\ntitle: {en: 5}"), 5, 17, "actions.pay.title.en", "SU012 `en` must be text"),
            (a_document("default: allow\nname: buy"), 5, 11, "actions.pay.name", "SU012 `name` is not `pay`"),
            (HEAD + "actions: {pay: {default: allow, " + ", ".join(f"tests{i}: 1" for i in range(3)) + "}}\n", 2, 33, "actions.pay.tests0", "SU010 unknown field `tests0`; did you mean `tests`?"),
            (a_document("default: allow\ntitle: {english: pay}"), 5, 13, "actions.pay.title.english", "SU012 `english` is no language tag"),
            (a_document("default: allow\nattributes: {a: {}}"), 5, 21, "actions.pay.attributes.a", "SU011 `type` is missing"),
            (a_document("default: allow\nattributes: {a: {type: money}}"), 5, 28, "actions.pay.attributes.a.type", "SU012 unknown word `money`"),
            (a_document("default: allow\nattributes: {a-b: {type: int}}"), 5, 18, 'actions.pay.attributes["a-b"]', "SU012 `a-b` cannot be an attribute"),
            (a_document("default: allow\nattributes: {in: {type: int}}"), 5, 18, "actions.pay.attributes.in", "SU012 `in` cannot be an attribute"),
            (a_document("default: allow\nattributes: {name: {type: string}}"), 5, 18, "actions.pay.attributes.name", "SU024 `action.name` is always there"),
            (a_document("default: allow\nattributes: {a: {type: int, enum: [x]}}"), 5, 39, "actions.pay.attributes.a.enum", "SU014 `enum` is for"),
            (a_document("default: allow\nattributes: {a: {type: int, scale: 2}}"), 5, 40, "actions.pay.attributes.a.scale", "SU014 `scale` is for"),
            (a_document("default: allow\nattributes: {a: {type: decimal, scale: 10}}"), 5, 44, "actions.pay.attributes.a.scale", "SU012 `scale` must be a whole number from 0 to 9"),
            (a_document("default: allow\nattributes: {a: {type: int, default: x}}"), 5, 42, "actions.pay.attributes.a.default", "SU012 `default` must be a whole number"),
            (a_document("default: allow\nattributes: {a: {type: int, default: 1, required: true}}"), 5, 42, "actions.pay.attributes.a.default", "SU014 `default` is for"),
            (a_document("default: allow\nrules: [{id: a, when: 'true'}]"), 5, 13, "actions.pay.rules[0]", "SU011 a rule says exactly one of"),
            (a_document("default: allow\nrules: [{id: a, allow: true, deny: x}]"), 5, 13, "actions.pay.rules[0]", "SU014 a rule says exactly one of"),
            (a_document("default: allow\nrules: [{id: a, allow: false}]"), 5, 28, "actions.pay.rules[0].allow", "SU012 `allow` must be true"),
            (a_document("default: allow\nrules: [{id: a, deny: false}]"), 5, 27, "actions.pay.rules[0].deny", "SU012 `deny` must be true, or the reason"),
            (a_document("default: allow\nrules: [{allow: true}]"), 5, 13, "actions.pay.rules[0]", "SU011 `id` is missing"),
            (a_document("default: allow\nrules: [{id: a, when: true, allow: true}]"), 5, 27, "actions.pay.rules[0].when", "SU012 leave `when` out"),
            (a_document("default: allow\nrules: [{id: a, when: 5, allow: true}]"), 5, 27, "actions.pay.rules[0].when", "SU012 `when` must be text"),
            (a_document("default: allow", guardrails="- {id: a}"), 6, 5, "guardrails[0]", "SU011 `match` is missing"),
            (a_document("default: allow", guardrails="- {id: a, match: {}, require: {level: phr}}"), 6, 20, "guardrails[0].match", "SU011 a guardrail matches by"),
            (a_document("default: allow", guardrails="- {match: {tags: a}, require: {level: phr}}"), 6, 5, "guardrails[0]", "SU011 `id` is missing"),
            (a_document("default: allow", guardrails="- {id: stepup.mine, match: {tags: a}, require: {level: phr}}"), 6, 6, "guardrails[0].id", "SU024 names of guardrails"),
        ],
        ids=lambda value: str(value).removeprefix(HEAD)[:90],
    )  # fmt: skip
    def test_are_found_where_they_are(self, text, line, column, path, finding):
        at_place = [
            f"{f.code.value} {f.message}"
            for f in document.check(text)
            if (f.line, f.column, f.path) == (line, column, path)
        ]

        assert any(message.startswith(finding) for message in at_place), document.check(text)

    def test_a_condition_s_mistake_is_found_inside_its_block(self):
        text = HEAD + (
            "actions:\n"
            "  pay:\n"
            "    attributes: {amount: {type: int, required: true}}\n"
            "    rules:\n"
            "      - id: one\n"
            "        when: |\n"
            "          action.amount > 1 &&\n"
            "          action.amont > 1\n"
            "        allow: true\n"
            "    default: deny\n"
        )

        found = errors(text)

        assert [(f.line, f.column, f.path) for f in found] == [(9, 18, "actions.pay.rules[0].when")]

    @pytest.mark.parametrize("name", ["rules", "guardrails", "actions", "levels", "attributes"])
    def test_two_of_one_name_are_refused(self, name):
        texts = {
            "rules": a_document("default: allow\nrules: [{id: a, when: 'now > now', allow: true}, {id: a, allow: true}]"),
            "guardrails": a_document(guardrails="- &&\n- &&".replace("&&", "{id: a, match: {actions: pay}, require: {level: phr}}")),
            "actions": HEAD + "actions: [{name: a, default: deny}, {name: a, default: allow}]\n",
            "levels": a_document(levels="- &&\n- &&".replace("&&", "{acr: a, any_of: [totp], max_age: 1m}")),
            "attributes": a_document("default: allow\nattributes: [{name: a, type: int, required: true}, {name: a, type: int}]"),
        }  # fmt: skip

        assert "SU023" in codes(texts[name])


class TestLaterWork:
    """What will have a meaning is refused until then, never ignored."""

    @pytest.mark.parametrize("name", ["approvals", "on_degraded"])
    def test_in_a_document(self, name):
        assert findings(HEAD + f"{name}: report\n") == [f"SU013 `{name}` is not supported yet"]

    def test_a_shadow_is_made_of_a_draft_and_not_in_a_document(self):
        (found,) = findings(HEAD + "shadow: true\n")
        assert "SU013 `shadow` is no field: PUT /v1/admin/policy/drafts/{id}/shadow" in found

    @pytest.mark.parametrize("name", ["shadow", *NOT_SUPPORTED_YET])
    def test_in_an_action(self, name):
        assert codes(a_document(f"default: allow\n{name}: x")) == ["SU013"]

    @pytest.mark.parametrize("name", NOT_SUPPORTED_YET)
    def test_in_a_requirement(self, name):
        assert codes(a_document(f"default: {{level: phr, {name}: 24h}}")) == ["SU013"]

    def test_in_a_guardrail(self):
        guardrail = "- {id: a, match: {actions: pay}, require: {level: phr}, shadow: x}"

        assert codes(a_document(guardrails=guardrail)) == ["SU013"]


class TestLint:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            pytest.param(
                a_document("default: allow\nrules: [{id: a, allow: true}, {id: b, deny: true}]"),
                "SU025",
                id="a rule after one that always applies",
            ),
            pytest.param(
                a_document(
                    "default: allow\nrules: [{id: a, when: now > now, allow: true},"
                    " {id: b, when: now > now, deny: true}]"
                ),
                "SU025",
                id="a rule with the condition of an earlier one",
            ),
            pytest.param(a_document("rules: []"), "SU026", id="no default"),
            pytest.param(
                a_document(guardrails="- {id: a, match: {tags: x}, require: {level: phr}}"),
                "SU027",
                id="a guardrail over nothing",
            ),
            pytest.param(
                a_document("default: allow\nattributes: {a: {type: int}}"),
                "SU028",
                id="an attribute that nothing uses",
            ),
            pytest.param(
                a_document(
                    "attributes: {a: {type: string, required: true}, b: {type: string, required: true}}\n"
                    "default: {level: phr, bind: [a, b], display: b}"
                ),
                "SU029",
                id="bound but not displayed",
            ),
            pytest.param(
                a_document(
                    "attributes: {a: {type: string, required: true}, b: {type: string}}\n"
                    "default: {level: phr, bind: a, display: [a, b]}"
                ),
                "SU034",
                id="displayed but not bound, so that it may be changed after the approval",
            ),
            pytest.param(
                a_document(
                    "tags: x\nattributes: {a: {type: string, required: true}, b: {type: string}}\n"
                    "display: [a, b]\ndefault: {level: phr}",
                    guardrails="- {id: g, match: {tags: x}, require: {bind: a}}",
                ),
                "SU034",
                id="displayed, but not among what a guardrail binds",
            ),
            pytest.param(
                a_document(
                    "attributes: {a: {type: string}}\ndefault: {level: phr, bind: a, display: a}"
                ),
                "SU029",
                id="bound but optional",
            ),
            pytest.param(
                a_document_when("action.a > 5", "{a: {type: int}}"),
                "SU033",
                id="an optional attribute without has()",
            ),
        ],
    )
    def test_doubts_are_warnings(self, text, code):
        assert codes(text) == [code]
        assert errors(text) == []

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(
                a_document("attributes: {b: {type: string}}\ndefault: {level: phr, display: b}"),
                id="nothing is bound",
            ),
            pytest.param(
                a_document(
                    "tags: x\nattributes: {a: {type: string, required: true},"
                    " b: {type: string, required: true}}\n"
                    "bind: a\ndisplay: [a, b]\ndefault: {level: phr}",
                    guardrails="- {id: g, match: {tags: x}, require: {bind: b}}",
                ),
                id="a guardrail binds the rest",
            ),
        ],
    )
    def test_what_is_displayed_may_be_bound_elsewhere_or_be_all(self, text):
        assert codes(text) == []

    @pytest.mark.parametrize(
        ("text", "finding"),
        [
            pytest.param(
                a_document("default: {level: phr, bind: amont}\nattributes: {amount: {type: int, required: true}}"),
                "SU022 `pay` declares no attribute `amont`; did you mean `amount`?",
                id="bound but not declared",
            ),
            pytest.param(
                a_document("default: {level: phr, bind: a}\nattributes: {a: {type: double, required: true}}"),
                "SU014 `a` is a double and cannot be bound; declare it a decimal",
                id="a bound double",
            ),
            pytest.param(
                a_document("default: {level: phr, methods: [totp]}"),
                "SU021 nobody can reach `phr` with these methods",
                id="a level that the methods do not reach",
            ),
            pytest.param(
                a_document(
                    "default: {level: urn:stepup:acr:2, methods: [totp]}",
                    guardrails="- {id: g, match: {actions: pay}, require: {level: phr}}",
                ),
                "SU021 nobody can reach `phr` with the methods that the guardrail `g` leaves",
                id="a level that a guardrail puts out of reach",
            ),
            pytest.param(
                a_document(guardrails="- {id: g, match: {actions: pay}, require: {level: phr, methods: [sms]}}"),
                "SU021 nobody can reach `phr` with the guardrail's methods",
                id="a guardrail that nobody passes",
            ),
            pytest.param(
                a_document(guardrails="- {id: g, match: {actions: pay}, require: {level: phr, bind: [amount]}}"),
                "SU022 `pay`, which this guardrail matches, declares no `amount`",
                id="a guardrail that binds what an action lacks",
            ),
            pytest.param(
                a_document(levels="- {acr: a, any_of: [], max_age: 1m}"),
                "SU012 `any_of` must be a list of combinations",
                id="a level that nothing reaches",
            ),
        ],
    )  # fmt: skip
    def test_what_cannot_work_is_an_error(self, text, finding):
        assert finding in [f"{found.code.value} {found.message}" for found in errors(text)]

    @pytest.mark.parametrize(
        "attributes", ["{a: {type: int, required: true}}", "{a: {type: int, default: 3}}"]
    )
    def test_an_attribute_that_always_has_a_value_needs_no_has(self, attributes):
        assert codes(a_document_when("action.a > 5", attributes)) == []

    def test_a_name_unlike_any_of_many_is_not_answered_with_a_list(self):
        attributes = ", ".join(f"a{i}: {{type: int, required: true}}" for i in range(21))

        found = errors(a_document_when("action.quantity > 5", f"{{{attributes}}}"))

        assert [finding.message for finding in found] == ["`action` has no attribute `quantity`"]

    def test_asking_has_is_enough(self):
        assert codes(a_document_when("has(action.a) && action.a > 5", "{a: {type: int}}")) == []


class TestOwnActions:
    def test_are_in_every_policy(self):
        actions = parsed(HEAD).actions

        assert actions["account.authenticator.add"].default == Requirement(
            acr=LEVEL_1,
            max_age=timedelta(minutes=5),
            methods=frozenset({Method.WEBAUTHN, Method.TOTP, Method.HOTP, Method.RECOVERY_CODE}),
            on_unenrolled=OnUnenrolled.ENROLL,
        )
        assert actions["account.authenticator.remove"].default.acr == LEVEL_2
        assert actions["account.recovery_codes.generate"].default.acr == LEVEL_2
        assert actions["stepup.admin.policy.activate"].default.acr == PHR

    def test_nothing_of_ours_changes_with_an_older_authentication_than_five_minutes(self):
        policy = parsed(HEAD)
        harmless = {action.value for action in AdminAction if action.only_reads}
        harmless.add(AdminAction.POLICY_DRAFT)

        for action in policy.actions.values():
            for requirement in action.demands:
                age = timedelta(hours=1) if action.name in harmless else timedelta(minutes=5)
                assert requirement.max_age == age, action.name

    @pytest.mark.parametrize("name", list(AdminAction))
    def test_whatever_an_administrator_does_takes_a_passkey(self, name: AdminAction):
        assert parsed(HEAD).actions[name].default.acr == PHR

    def test_can_be_raised_by_a_guardrail(self):
        text = a_document(
            guardrails="- {id: g, match: {actions: account.authenticator.remove}, require: {level: phr}}"
        )

        decision = decide(
            parsed(text), a_decision_request(action="account.authenticator.remove"), None, NOON
        )

        assert isinstance(decision, StepUp)
        assert decision.requirement.acr == PHR
        assert decision.basis.guardrails == ("stepup.own-account", "g")

    @pytest.mark.parametrize(
        "name", ["account.authenticator.remove", "stepup.admin.policy.activate", "stepup.new"]
    )
    def test_cannot_be_written_anew(self, name):
        text = HEAD + f"actions: {{{name}: {{default: allow}}}}\n"

        assert codes(text) == ["SU024"]

    def test_leave_other_account_actions_to_the_document(self):
        policy = parsed(HEAD + "actions: {account.close: {default: {level: phr}}}\n")

        assert policy.guardrails_for(policy.actions["account.close"]) == ()

    def test_the_first_enrollment_needs_no_step_up_whatever_a_guardrail_says(self):
        text = a_document(guardrails="- {id: g, match: {actions: '*'}, require: {level: phr}}")
        policy = parsed(text)

        assert policy.guardrails_for(policy.actions["account.authenticator.add_first"]) == ()

    def test_the_first_enrollment_may_depend_on_the_base_login(self):
        text = HEAD + (
            "actions:\n"
            "  account.authenticator.add_first:\n"
            "    attributes: {base_age_seconds: {type: int, in: context, required: true}}\n"
            "    rules: [{id: old, when: context.base_age_seconds > 600, deny: sign in again}]\n"
            "    default: allow\n"
        )
        request = a_decision_request(
            action="account.authenticator.add_first", context={"base_age_seconds": 601}
        )

        decision = decide(parsed(text), request, None, NOON)

        assert isinstance(decision, Deny)
        assert decision.text == "sign in again"

    def test_the_first_enrollment_cannot_ask_for_a_step_up(self):
        text = HEAD + "actions: {account.authenticator.add_first: {default: {level: phr}}}\n"

        assert codes(text) == ["SU014"]


class TestPackagedDocuments:
    def test_the_demo_bank_s_policy_has_no_findings(self):
        assert findings(defaults.development()) == []

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("actions: [", id="unreadable"),
            pytest.param(HEAD + "actions: {a: {}}", id="doubtful"),
        ],
    )
    def test_the_package_does_not_start_with_broken_actions_of_its_own(self, text, monkeypatch):
        monkeypatch.setattr(defaults, "builtin", lambda: text)
        builtin._read.cache_clear()

        try:
            with pytest.raises(PolicyInvalidError, match="Our own actions"):
                document.parse(HEAD, version=1)
        finally:
            builtin._read.cache_clear()

    def test_our_own_actions_have_titles_in_english_and_german(self):
        for action in parsed(HEAD).actions.values():
            assert set(action.title) == {"en", "de"}, action.name
