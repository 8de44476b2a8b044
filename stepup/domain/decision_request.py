"""What a caller asks about, and the attributes that an action declares of it."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from stepup.domain.binding import Properties, Value
from stepup.domain.ids import ActionName


class AttributeType(StrEnum):
    """The types an attribute may be declared with."""

    STRING = "string"
    INT = "int"
    DOUBLE = "double"
    DECIMAL = "decimal"
    BOOL = "bool"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    IP = "ip"
    LIST = "list"


class Entity(StrEnum):
    """Where in a request an attribute is found."""

    SUBJECT = "subject"
    RESOURCE = "resource"
    ACTION = "action"
    CONTEXT = "context"


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """A declared attribute of an action's request.

    `scale` is the number of decimal places of a decimal; `default` stands in for a value that was
    not sent, in conditions only.
    """

    name: str
    type: AttributeType
    entity: Entity = Entity.ACTION
    required: bool = False
    enum: tuple[str, ...] = ()
    default: Value = None
    scale: int = 2
    sensitive: bool = False


PROPERTIES: Mapping[Entity, str] = {
    Entity.SUBJECT: "subject",
    Entity.RESOURCE: "resource",
    Entity.ACTION: "action_properties",
    Entity.CONTEXT: "context",
}
"""Where a request keeps what came with each entity."""


class DecisionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks about, in the entities of AuthZEN 1.0 section 5.

    `subject_issuer` is whose the subject is; None when it is the deployment's own issuer.
    """

    subject_type: str
    subject_id: str
    action: ActionName
    resource_type: str
    resource_id: str
    subject: Properties = {}
    resource: Properties = {}
    action_properties: Properties = {}
    context: Properties = {}
    subject_issuer: str | None = None

    def properties_of(self, entity: Entity) -> Properties:
        """Return the properties that came with one entity."""
        properties: Properties = getattr(self, PROPERTIES[entity])
        return properties

    def value_of(self, attribute: Attribute) -> Value:
        """Return the attribute's value, None when it was not sent."""
        return self.properties_of(attribute.entity).get(attribute.name)
