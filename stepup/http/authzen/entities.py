"""What an AuthZEN request says (section 5), and the question it makes.

Unknown members are ignored (section 10.1.1); what is required and missing is a 400.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from stepup.domain import errors
from stepup.domain.assurance import Acr, Amr, AuthnContext
from stepup.domain.binding import Value
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.ids import ActionName
from stepup.domain.obligation import ObligationType
from stepup.usecases.decide import Question

Properties = dict[str, Value]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
# More than any authentication shows; they are kept with each decision that rests on them.
Amrs = Annotated[list[Annotated[str, msgspec.Meta(max_length=128)]], msgspec.Meta(max_length=32)]
# NumericDate up to the year 9999.
Seconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]

# Obligations that a caller can comply with; each decision of a batch looks for ours among them.
_MOST_SAID = 100


class SubjectEntity(msgspec.Struct, frozen=True):
    """Section 5.1. `properties.issuer` names the upstream that the id belongs to."""

    type: Text
    id: Text
    properties: Properties = {}


class ResourceEntity(msgspec.Struct, frozen=True):
    """Section 5.2."""

    type: Text
    id: Text
    properties: Properties = {}


class ActionEntity(msgspec.Struct, frozen=True):
    """Section 5.3."""

    name: Text
    properties: Properties = {}


class ReportedAuthentication(msgspec.Struct, frozen=True):
    """An authentication that a client reports; believed only of clients that may."""

    acr: Text
    auth_time: Seconds
    amr: Amrs = []


class EvaluationRequest(msgspec.Struct, frozen=True):
    """Section 6.1.

    `context.elevated_token` is one of our tokens that the subject holds already, and
    `context.authentication` an authentication that the client reports.
    """

    subject: SubjectEntity
    action: ActionEntity
    resource: ResourceEntity
    context: Properties = {}


class EvaluationResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """Section 6.2. `context` is there when a reason or a step-up is to be told."""

    decision: bool
    context: dict[str, Any] | None = None


def question_of(asked: EvaluationRequest) -> Question:
    """Turn a request into the domain's question."""
    token = asked.context.get("elevated_token")
    issuer = asked.subject.properties.get("issuer")
    return Question(
        request=request_of(asked.subject, asked.action, asked.resource, asked.context),
        subject_issuer=issuer if isinstance(issuer, str) else None,
        elevated_token=token if isinstance(token, str) else None,
        asserted=_reported(asked.context.get("authentication")),
        obligations=supported_obligations(asked.context),
    )


def request_of(
    subject: SubjectEntity, action: ActionEntity, resource: ResourceEntity, context: Properties
) -> DecisionRequest:
    """Put the four members of an evaluation together, as the domain knows them."""
    return DecisionRequest(
        subject_type=subject.type,
        subject_id=subject.id,
        action=ActionName(action.name),
        resource_type=resource.type,
        resource_id=resource.id,
        subject=subject.properties,
        resource=resource.properties,
        action_properties=action.properties,
        context=context,
    )


def supported_obligations(context: Properties) -> frozenset[ObligationType] | None:
    """Read which obligations a caller says it can comply with; None when it says nothing.

    Of what it says, anything that we do not advertise counts as not said (obligations profile,
    "Negotiation"), and what is no list says nothing.
    """
    said = context.get("supported_obligations")
    if not isinstance(said, list):
        return None
    return frozenset(kind for kind in ObligationType if kind.value in said[:_MOST_SAID])


def _reported(value: Value) -> AuthnContext | None:
    if value is None:
        return None
    try:
        reported = msgspec.convert(value, ReportedAuthentication)
    except msgspec.ValidationError as error:
        raise errors.InvalidRequestError(f"context.authentication: {error}.") from None
    return AuthnContext(
        acr=Acr(reported.acr),
        amr=tuple(Amr(value) for value in reported.amr),
        auth_time=datetime.fromtimestamp(reported.auth_time, UTC),
    )
