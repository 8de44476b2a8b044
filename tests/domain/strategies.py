"""Hypothesis strategies for domain values; small alphabets, so that things meet."""

from datetime import timedelta

from hypothesis import strategies as st

from stepup.domain.assurance import DEFAULT_LADDER, Acr, Amr, Approval, AuthnContext, Method
from stepup.domain.binding import bound_digest
from stepup.domain.condition import EvaluationError
from stepup.domain.ids import ActionName
from stepup.domain.policy import Effect, Guardrail, Policy, Rule
from stepup.domain.requirement import (
    MAX_TOKEN_LIFETIME,
    Fallback,
    OnDegraded,
    OnUnenrolled,
    Requirement,
)
from tests.support.builders import (
    TRANSFER,
    Answers,
    AnySchema,
    a_decision_request,
    a_policy,
    an_action,
)
from tests.support.determinism import NOON

ATTRIBUTES = ["amount", "payee"]
ACTIONS = ["payments.transfer", "payments.cancel", "balance.read"]
acrs = st.sampled_from([*DEFAULT_LADDER.acrs])


def ages(
    minimum: timedelta = timedelta(0), maximum: timedelta = timedelta(hours=2)
) -> st.SearchStrategy[timedelta]:
    return st.timedeltas(min_value=minimum, max_value=maximum)


methods = st.none() | st.frozensets(st.sampled_from(Method), max_size=3)
words = st.sampled_from(["hwk", "swk", "user", "mfa", "otp", "sms", "pwd"])
max_ages = st.none() | st.just(timedelta(0)) | ages()
credential_ages = st.just(timedelta(0)) | st.sampled_from([timedelta(hours=1), timedelta(days=1)])
fallbacks = st.builds(
    Fallback, acr=acrs, max_age=max_ages, methods=methods, min_credential_age=credential_ages
)


@st.composite
def requirements(draw: st.DrawFn, *, floor: bool = False) -> Requirement:
    """A rule's requirement, or a guardrail's, which names no fallback."""
    on_unenrolled = draw(st.sampled_from(OnUnenrolled))
    has_fallback = on_unenrolled is OnUnenrolled.FALLBACK and not floor
    return Requirement(
        acr=draw(acrs),
        max_age=draw(max_ages),
        methods=draw(methods),
        once=draw(st.booleans()),
        bind=draw(st.frozensets(st.sampled_from(ATTRIBUTES))),
        display=draw(st.lists(st.sampled_from(ATTRIBUTES), unique=True).map(tuple)),
        token_lifetime=draw(ages(timedelta(seconds=1), MAX_TOKEN_LIFETIME)),
        audience=draw(st.none() | st.sampled_from(["bank-api", "other-api"])),
        on_unenrolled=on_unenrolled,
        min_credential_age=draw(credential_ages),
        fallback=draw(fallbacks) if has_fallback else None,
        on_degraded=draw(st.sampled_from(OnDegraded)),
    )


outcomes = st.sampled_from(Effect) | requirements()
answers = st.booleans() | st.just(EvaluationError("broken"))


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    drawn = draw(st.lists(st.tuples(answers, outcomes), max_size=4))
    return tuple(
        Rule(id=f"rule-{i}", when=Answers(answer), then=then)
        for i, (answer, then) in enumerate(drawn)
    )


@st.composite
def guardrails(draw: st.DrawFn) -> Guardrail:
    return Guardrail(
        id=f"guardrail-{draw(st.integers(0, 99))}",
        require=draw(requirements(floor=True)),
        tags=draw(st.frozensets(st.sampled_from(["money", "other"]))),
        actions=draw(st.sampled_from([(), ("*",), ("payments.*",), ("balance.read",)])),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    actions = [
        an_action(
            name=ActionName(name),
            tags=draw(st.frozensets(st.just("money"))),
            schema=AnySchema(draw(st.none() | st.just("unreadable"))),
            rules=draw(rules()),
            default=draw(outcomes),
            shared=draw(st.none() | requirements()),
        )
        for name in ACTIONS[:2]
    ]
    return a_policy(
        *actions,
        guardrails=tuple(draw(st.lists(guardrails(), max_size=3))),
        unknown_action=draw(st.sampled_from(Effect)),
    )


@st.composite
def approvals(draw: st.DrawFn) -> Approval:
    context = AuthnContext(
        acr=draw(acrs | st.just(Acr("elsewhere"))),
        auth_time=NOON - draw(ages(timedelta(seconds=-30))),
        amr=tuple(Amr(word) for word in draw(st.lists(words, unique=True))),
    )
    action = draw(st.none() | st.sampled_from(ACTIONS))
    bound = draw(st.sampled_from([{}, TRANSFER, {"amount": 5000}]))
    digest = None if action is None else bound_digest(action, bound)
    once = action is not None and draw(st.booleans())
    return Approval(context=context, action=action, bound_digest=digest, once=once)


def decision_requests() -> st.SearchStrategy:
    return st.builds(
        a_decision_request,
        action=st.sampled_from(ACTIONS).map(ActionName),
        action_properties=st.sampled_from([TRANSFER, {}, {"amount": 5000}]),
    )
