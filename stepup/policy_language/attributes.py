"""The `attributes` of an action: what a request may say, and of which type it is."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from stepup.domain.decision_request import Attribute, AttributeType, Entity
from stepup.policy_language.fields import Fields
from stepup.policy_language.findings import Code, Findings, Place
from stepup.policy_language.messages import BUILT_IN
from stepup.policy_language.reader import plain
from stepup.policy_language.shape import actions as shape
from stepup.policy_language.shape.actions import MAX_ATTRIBUTES, MAX_SCALE
from stepup.policy_language.values import WrongValueError, reader_of

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")
# CEL language definition, "Syntax": what no field may be called.
_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in"}
    | {"let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while"}
)
_ENUM_TYPES = frozenset({AttributeType.STRING, AttributeType.LIST})


class Declared(NamedTuple):
    """The attributes of an action, and where each was declared: the refused ones too."""

    attributes: tuple[Attribute, ...]
    places: Mapping[str, Place]

    @property
    def refused(self) -> frozenset[str]:
        """The names whose declaration was told to be wrong; nothing else needs to be said of them."""
        return frozenset(self.places) - {attribute.name for attribute in self.attributes}


def read_attributes(action: Fields) -> Declared:
    """Read an action's declared attributes."""
    places: dict[str, Place] = {}
    attributes: dict[str, Attribute] = {}
    for name, at, fields in action.named(
        "attributes", "name", shape.Attribute, most=MAX_ATTRIBUTES
    ):
        places.setdefault(name, at)
        attribute = _attribute(name, at, fields)
        if attribute is None:
            continue
        if name in attributes:
            action.findings.error(Code.DUPLICATE_ID, f"`{name}` is declared twice", at)
            continue
        attributes[name] = attribute
    return Declared(tuple(attributes.values()), places)


def _attribute(name: str, at: Place, fields: Fields) -> Attribute | None:
    if "type" not in fields:
        fields.missing("type")
    kind = fields.choice("type", AttributeType)
    entity = fields.choice("in", Entity) or Entity.ACTION
    scale = fields.number("scale", 0, MAX_SCALE)
    enum = fields.texts("enum")
    attribute = Attribute(
        name=name,
        type=kind or AttributeType.STRING,
        entity=entity,
        required=fields.flag("required") or False,
        enum=enum,
        scale=2 if scale is None else scale,
        sensitive=fields.flag("sensitive") or False,
    )
    default = fields.peek("default")
    fields.finish()
    if kind is None or not _is_good_name(name, entity, at, fields.findings):
        return None
    if enum and kind not in _ENUM_TYPES:
        fields.wrong("enum", "is for attributes of type string or list", Code.CONTRADICTION)
    if scale is not None and kind is not AttributeType.DECIMAL:
        fields.wrong("scale", "is for attributes of type decimal", Code.CONTRADICTION)
    return attribute if default is None else _with_default(attribute, fields)


def _is_good_name(name: str, entity: Entity, at: Place, findings: Findings) -> bool:
    if not _NAME.match(name) or name in _RESERVED:
        message = f"`{name}` cannot be an attribute: use letters, digits and `_`, no word of CEL"
        findings.error(Code.WRONG_VALUE, message, at)
        return False
    if any(name == built_in.name for built_in in BUILT_IN[entity]):
        message = f"`{entity}.{name}` is always there and cannot be declared"
        findings.error(Code.RESERVED_NAME, message, at)
        return False
    return True


def _with_default(attribute: Attribute, fields: Fields) -> Attribute:
    if attribute.required:
        message = "is for attributes that are not required"
        fields.wrong("default", message, Code.CONTRADICTION)
    node = fields.peek("default")
    value = plain(node) if node else None
    try:
        reader_of(attribute)(value)
    except WrongValueError as error:
        fields.wrong("default", str(error))
        return attribute
    return Attribute(
        name=attribute.name,
        type=attribute.type,
        entity=attribute.entity,
        enum=attribute.enum,
        default=value,
        scale=attribute.scale,
        sensitive=attribute.sensitive,
    )
