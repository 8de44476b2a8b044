"""A decision as it is kept: enough to decide it again, and nothing secret."""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from stepup.domain.assurance import Acr, Approval
from stepup.domain.binding import Properties, Value, bound_digest
from stepup.domain.decision import Allow, Decision, StepUp
from stepup.domain.decision_request import Attribute, DecisionRequest, Entity
from stepup.domain.ids import ActionName, ClientId, DecisionId, Subject, SubjectId
from stepup.domain.policy import Action, Mode, Policy, least_requirement, strongest_requirement

DIGEST_PREFIX = "digest:"
# What an attribute may hold by its type, and a little more; a longer value is wrong anyhow.
LONGEST_TEXT = 1024
LONGEST_LIST = 200
# All of a record's values, as conditions may look at no more; the rest stands there as one digest
# each. Large records would push others out of what is held, and fill the stream.
MOST_BYTES = 16 * 1024
# Credentials and claims of the caller. A policy that declares them gets them; the record never.
_NEVER_OPEN = frozenset({"elevated_token", "authentication"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# The first digit is 0 for another four hundred years.
_ID = re.compile(r"(0[0-9a-f]{11})\.[A-Za-z0-9_-]{1,43}\Z", re.ASCII)

_canonical = msgspec.json.Encoder(order="sorted")

Digest = Callable[[bytes], str]
"""A keyed one-way function: without the key nobody can try out values."""


class Outcome(StrEnum):
    """The three answers."""

    ALLOW = "allow"
    STEP_UP = "step_up"
    DENY = "deny"


class RecordedDecision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked, by whom, and what was answered.

    `request` holds the attributes that the action declared and no others; of those in `digested`
    (as `resource.iban`) a keyed digest stands in place of the value. Equal values of one type have
    equal digests, whatever the attribute; of a list every item has its own. `approval` is the
    authentication that was at hand: decided again at `at`, the same policy answers the same, as
    far as no condition looks into what is digested. `reported` is what would have been answered if
    everything were enforced that is only reported, and `degraded` whether something that the
    answer rested on was away. `sampled_as` is how many decisions this one stands for.
    """

    id: DecisionId
    at: datetime
    client_id: ClientId
    subject_id: SubjectId
    request: DecisionRequest
    digested: frozenset[str] = frozenset()
    approval: Approval | None = None
    policy_version: int
    outcome: Outcome
    reason: str | None = None
    rule: str | None = None
    guardrails: tuple[str, ...] = ()
    acr: Acr | None = None
    max_age: timedelta | None = None
    error: str | None = None
    mode: Mode = Mode.ENFORCE
    reported: Outcome | None = None
    fallback: Acr | None = None
    degraded: bool = False
    sampled_as: int = 1

    @property
    def is_refusal(self) -> bool:
        """Say whether it is a step-up or a denial, or would be if everything were enforced."""
        return self.outcome is not Outcome.ALLOW or self.reported not in {None, Outcome.ALLOW}


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A decision with all that it was made of.

    `request` is what was decided on; `sent` is it before the policy's own knowledge was added, when
    anything was.
    """

    at: datetime
    client_id: ClientId
    subject: Subject
    policy: Policy
    request: DecisionRequest
    approval: Approval | None
    decision: Decision
    sent: DecisionRequest | None = None


def decision_id(at: datetime, random: str) -> DecisionId:
    """Name a decision; the name begins with its time, so that it is found by that."""
    return DecisionId(f"{(at - _EPOCH) // _MILLISECOND:012x}.{random}")


def moment_of(identifier: DecisionId) -> datetime | None:
    """Return the millisecond in which a decision was made; None when the text names none."""
    match = _ID.match(identifier)
    return _EPOCH + int(match[1], 16) * _MILLISECOND if match else None


def outcome_of(decision: Decision) -> Outcome:
    """Say which of the three answers a decision is."""
    if isinstance(decision, Allow):
        return Outcome.ALLOW
    return Outcome.STEP_UP if isinstance(decision, StepUp) else Outcome.DENY


def weight_of(identifier: DecisionId, decision: Decision, one_in: int) -> int:
    """Return how many decisions this one stands for; 0 when it is not kept.

    Of what was allowed one in so many is kept, as the identifier alone chooses. Step-ups and
    denials are always kept, those as well that were only reported; so is what was allowed after a
    condition had failed, or by a fallback.
    """
    basis = decision.basis
    is_refused = not isinstance(decision, Allow) or not isinstance(basis.reported, Allow | None)
    if is_refused or basis.error or basis.fallback:
        return 1
    if one_in <= 1:
        return one_in
    chance = hashlib.blake2b(identifier.encode(), digest_size=8).digest()
    return one_in if int.from_bytes(chance) % one_in == 0 else 0


def record_of(
    decided: Decided, identifier: DecisionId, digest: Digest, weight: int = 1
) -> RecordedDecision:
    """Keep of a decision what its action declared, without what must not be read."""
    decision = decided.decision
    action = decided.policy.find(decided.request.action)
    request, digested = _kept(decided.request, action, digest)
    requirement = decision.requirement if isinstance(decision, StepUp) else None
    return RecordedDecision(
        id=identifier,
        at=decided.at,
        client_id=decided.client_id,
        subject_id=decided.subject.id,
        request=request,
        digested=digested,
        approval=_approval(decided, action, request, is_closed=bool(digested)),
        policy_version=decision.basis.policy_version,
        outcome=outcome_of(decision),
        reason=None if isinstance(decision, StepUp) else decision.reason.value,
        rule=decision.basis.rule,
        guardrails=decision.basis.guardrails,
        acr=requirement.acr if requirement else None,
        max_age=requirement.max_age if requirement else None,
        error=decision.basis.error,
        mode=decision.basis.mode,
        reported=outcome_of(decision.basis.reported) if decision.basis.reported else None,
        fallback=decision.basis.fallback,
        degraded=decision.basis.degraded is not None,
        sampled_as=weight,
    )


def _kept(
    request: DecisionRequest, action: Action | None, digest: Digest
) -> tuple[DecisionRequest, frozenset[str]]:
    properties: dict[Entity, dict[str, Value]] = {entity: {} for entity in Entity}
    digested: set[str] = set()
    room = MOST_BYTES
    for attribute in action.attributes if action else ():
        value = request.value_of(attribute)
        if value is None:
            continue
        if _is_closed(attribute, value):
            digested.add(f"{attribute.entity}.{attribute.name}")
            value = _digested(attribute, value, digest)
        size = len(_canonical.encode(value))
        if size > room:
            digested.add(f"{attribute.entity}.{attribute.name}")
            value, size = _digest_of(attribute, request.value_of(attribute), digest), 0
        room -= size
        properties[attribute.entity][attribute.name] = value
    kept = DecisionRequest(
        subject_type=request.subject_type,
        subject_id=request.subject_id,
        action=request.action,
        resource_type=request.resource_type,
        resource_id=request.resource_id,
        subject=properties[Entity.SUBJECT],
        resource=properties[Entity.RESOURCE],
        action_properties=properties[Entity.ACTION],
        context=properties[Entity.CONTEXT],
        subject_issuer=request.subject_issuer,
    )
    return kept, frozenset(digested)


def _is_closed(attribute: Attribute, value: Value) -> bool:
    if attribute.sensitive:
        return True
    if attribute.entity is Entity.CONTEXT and attribute.name in _NEVER_OPEN:
        return True
    # Whatever was sent where something small belongs must not fill the store.
    match value:
        case str():
            return len(value) > LONGEST_TEXT
        case list():
            return len(value) > LONGEST_LIST or not all(
                isinstance(item, str) and len(item) <= LONGEST_TEXT for item in value
            )
        case dict():
            return True
        case _:
            return False


def _digested(attribute: Attribute, value: Value, digest: Digest) -> Value:
    if isinstance(value, list) and len(value) <= LONGEST_LIST:
        return [_digest_of(attribute, item, digest) for item in value]
    return _digest_of(attribute, value, digest)


def _digest_of(attribute: Attribute, value: Value, digest: Digest) -> str:
    return DIGEST_PREFIX + digest(attribute.type.encode() + b"\0" + _canonical.encode(value))


def _own(decided: Decided) -> Approval | None:
    """Keep an approval; one for other actions, whose values may be sensitive, without them."""
    approval = decided.approval
    if approval is None or approval.action in {None, decided.request.action}:
        return approval
    return msgspec.structs.replace(approval, bound_digest=None)


def _approval(
    decided: Decided, action: Action | None, kept: DecisionRequest, *, is_closed: bool
) -> Approval | None:
    """Bind an approval to the digests as it was bound to the values.

    What it is bound to is digested without a key: an account number could be found by trial, also
    when this request leaves the number out.
    """
    approval = _own(decided)
    if approval is None or approval.bound_digest is None:
        return approval
    if action is not None:
        if not is_closed and not any(each.sensitive for each in action.attributes):
            return approval
        for names in _ways_to_bind(decided.policy, action):
            if approval.bound_digest == _bound(action, decided.request, names):
                return msgspec.structs.replace(approval, bound_digest=_bound(action, kept, names))
    return msgspec.structs.replace(approval, bound_digest=None)


def _ways_to_bind(policy: Policy, action: Action) -> set[frozenset[str]]:
    raised = frozenset[str]().union(
        *(guardrail.require.bind for guardrail in policy.guardrails_for(action))
    )
    least = least_requirement(policy.ladder, action)
    demands = (*action.demands, least, strongest_requirement(policy, action))
    return {demand.bind | raised for demand in demands}


def _bound(action: Action, request: DecisionRequest, names: frozenset[str]) -> str:
    declared: Mapping[str, Attribute] = {a.name: a for a in action.attributes}
    values: Properties = {
        name: request.value_of(declared[name]) if name in declared else None for name in names
    }
    return bound_digest(ActionName(action.name), values)
