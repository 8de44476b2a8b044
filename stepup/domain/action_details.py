"""The authorization detail `stepup_action` (RFC 9396): one action that a client wants approved.

It carries what an AuthZEN evaluation of the action would. Clients send one; what is granted says
the action and the digest of the values that were bound.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from stepup.domain.binding import Value
from stepup.domain.decision_request import DecisionRequest, Entity
from stepup.domain.errors import InvalidAuthorizationDetailsError, InvalidRequestError
from stepup.domain.ids import ActionName, Subject
from stepup.domain.policy import Action
from stepup.domain.unambiguous_json import check_unambiguous

STEPUP_ACTION = "stepup_action"
"""The only type there is."""

MAX_DETAILS = 16 * 1024
# They say something of an evaluation's caller, who is not asking here.
_RESERVED = frozenset({"authentication", "elevated_token", "supported_obligations"})

_Name = Annotated[str, Meta(min_length=1, max_length=1024)]
_Properties = dict[str, Value]


class DetailsResource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the action is done to, as AuthZEN 1.0 section 5.2 says it."""

    type: _Name
    id: _Name
    properties: _Properties = {}


class ActionDetails(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=STEPUP_ACTION
):
    """What a client asks for."""

    action: Annotated[_Name, Meta(description="The action's name in the policy.")]
    properties: Annotated[
        _Properties, Meta(description="The attributes that the policy declares of the action.")
    ] = {}
    resource: Annotated[
        DetailsResource | None,
        Meta(description="What the action is done to; the action itself when left out."),
    ] = None
    context: Annotated[
        _Properties, Meta(description="The circumstances that the policy's conditions look at.")
    ] = {}

    def request_of(self, subject: Subject) -> DecisionRequest:
        """Return what an evaluation of this action would ask about."""
        resource = self.resource or DetailsResource(type="action", id=self.action)
        return DecisionRequest(
            subject_type="user",
            subject_id=subject.sub,
            action=ActionName(self.action),
            resource_type=resource.type,
            resource_id=resource.id,
            resource=resource.properties,
            action_properties=self.properties,
            context=self.context,
        )

    def __repr__(self) -> str:
        return f"ActionDetails({self.action})"


class GrantedAction(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=STEPUP_ACTION
):
    """What a token says: the action, the digest of what was bound, and whether it is used up."""

    action: str
    bound_digest: str | None = None
    once: bool = False


class _Typed(msgspec.Struct, frozen=True):
    type: str


_typed = msgspec.json.Decoder(list[_Typed])
_details = msgspec.json.Decoder(tuple[ActionDetails, ...])


def read_details(text: str, allowed_types: tuple[str, ...] | None) -> ActionDetails:
    """Read the one action that a client asks for; `allowed_types` are its own, None for all.

    Raises:
        InvalidAuthorizationDetailsError: If it is no array of what the schema says, or holds more
            than one action, or a type that this client may not use (RFC 9396 section 5).
    """
    if len(text) > MAX_DETAILS:
        raise InvalidAuthorizationDetailsError("authorization_details is too long.")
    try:
        check_unambiguous(text.encode())
        types = {each.type for each in _typed.decode(text)}
    except (InvalidRequestError, msgspec.DecodeError, UnicodeError):
        raise InvalidAuthorizationDetailsError(
            "authorization_details is no array of objects with a type."
        ) from None
    if types != {STEPUP_ACTION} or not (allowed_types is None or STEPUP_ACTION in allowed_types):
        raise InvalidAuthorizationDetailsError("A type is not supported, or not for this client.")
    try:
        details = _details.decode(text)
    except msgspec.ValidationError as error:
        # Says what was expected and where, never what was sent.
        raise InvalidAuthorizationDetailsError(f"{error}.") from None
    if len(details) > 1:
        raise InvalidAuthorizationDetailsError("One request is for one action.")
    if not _RESERVED.isdisjoint(details[0].context):
        raise InvalidAuthorizationDetailsError("The context has a member that is not for it.")
    return details[0]


def check_declared(details: ActionDetails, action: Action | None) -> None:
    """Refuse what the policy does not know of the action (RFC 9396 section 5).

    Raises:
        InvalidAuthorizationDetailsError: If the action is unknown, or has no such attributes.
    """
    if action is None:
        raise InvalidAuthorizationDetailsError("The action is not known.")
    declared = {each.name for each in action.attributes if each.entity is Entity.ACTION}
    if not declared.issuperset(details.properties):
        raise InvalidAuthorizationDetailsError("A property is not declared for the action.")
