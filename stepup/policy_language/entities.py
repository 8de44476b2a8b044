"""The `entities` of a document: the subjects and resources that it knows."""

from collections.abc import Iterable, Iterator, Mapping

from stepup.domain.binding import Value
from stepup.domain.decision_request import Attribute, Entity
from stepup.domain.directory import ISSUER, MAX_ENTITIES, Directory, EntityKey, KnownEntity
from stepup.domain.policy import Action
from stepup.policy_language.fields import Fields
from stepup.policy_language.findings import Code
from stepup.policy_language.reader import plain
from stepup.policy_language.shape import entities as shape
from stepup.policy_language.shape.entities import MAX_NAME
from stepup.policy_language.values import WrongValueError, reader_of

_Declared = Mapping[str, tuple[Attribute, ...]]


def read_directory(document: Fields, actions: Iterable[Action]) -> Directory:
    """Read what the document knows, and hold its properties against what the actions declare."""
    fields = document.mapping("entities", shape.Entities)
    if fields is None:
        return Directory()
    every = tuple(actions)
    directory = Directory(
        subjects=_entities(fields, "subjects", _declared(every, Entity.SUBJECT)),
        resources=_entities(fields, "resources", _declared(every, Entity.RESOURCE)),
    )
    fields.finish()
    return directory


def _entities(fields: Fields, name: str, declared: _Declared) -> dict[EntityKey, KnownEntity]:
    known: dict[EntityKey, KnownEntity] = {}
    unused: set[str] = set()
    for written in fields.listing(name, shape.KnownEntity, most=MAX_ENTITIES):
        entity = _entity(written)
        if entity is None:
            continue
        if entity.key in known:
            message = f"the {entity.type} `{entity.id}` is there twice"
            fields.findings.error(Code.DUPLICATE_ID, message, written.at)
            continue
        known[entity.key] = entity
        _check_values(entity, declared, written)
        unused |= entity.properties.keys() - declared.keys() - {ISSUER}
    for each in sorted(unused):
        message = f"no action declares `{each}`; nothing but a search's own filter looks at it"
        fields.findings.warn(Code.DEAD_ATTRIBUTE, message, fields.place(name))
    return known


def _entity(fields: Fields) -> KnownEntity | None:
    kind, identifier = _name(fields, "type"), _name(fields, "id")
    node = fields.fieldset("properties")
    properties: dict[str, Value] = {}
    if node is not None:
        properties = {name: plain(entry.node) for name, entry in node.entries.items()}
    fields.finish()
    if kind is None or identifier is None:
        return None
    return KnownEntity(type=kind, id=identifier, properties=properties)


def _name(fields: Fields, name: str) -> str | None:
    if name not in fields:
        fields.missing(name)
        return None
    text = fields.text(name)
    if text is not None and not 0 < len(text) <= MAX_NAME:
        fields.wrong(name, f"must have 1 to {MAX_NAME} characters")
        return None
    return text


def _check_values(entity: KnownEntity, declared: _Declared, written: Fields) -> None:
    for name, value in entity.properties.items():
        for message in _complaints(declared.get(name, ()), value):
            written.wrong("properties", f"of `{entity.id}`: `{name}` {message}")


def _complaints(declared: Iterable[Attribute], value: Value) -> Iterator[str]:
    for attribute in declared:
        try:
            reader_of(attribute)(value)
        except WrongValueError as error:
            yield str(error)


def _declared(actions: Iterable[Action], entity: Entity) -> _Declared:
    # Of the many actions that declare the same, one is enough to hold a value against.
    different: dict[object, Attribute] = {}
    for attribute in (a for action in actions for a in action.attributes if a.entity is entity):
        form = attribute.name, attribute.type, attribute.enum, attribute.scale
        different.setdefault(form, attribute)
    declared: dict[str, tuple[Attribute, ...]] = {}
    for attribute in different.values():
        declared[attribute.name] = (*declared.get(attribute.name, ()), attribute)
    return declared
