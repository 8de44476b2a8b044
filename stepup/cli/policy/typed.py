"""Attributes as they are typed at a prompt: `--attr amount=1500.00`, read by their declaration."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

import rich_click as click

from stepup.domain.binding import Value
from stepup.domain.decision_request import Attribute, AttributeType, Entity
from stepup.domain.ids import ActionName
from stepup.domain.policy import Policy
from stepup.policy_language.findings import did_you_mean

_WHOLE = re.compile(r"-?\d{1,19}\Z", re.ASCII)
_FLAGS = {"true": True, "false": False}

Properties = dict[Entity, dict[str, Value]]


def pairs_of(options: Iterable[str]) -> dict[str, list[str]]:
    """Take `NAME=VALUE` apart; a name may come again, for a list."""
    pairs: dict[str, list[str]] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise click.ClickException(f"--attr {option!r} is not NAME=VALUE")
        pairs.setdefault(name, []).append(value)
    return pairs


def properties_of(policy: Policy, action: ActionName, options: Iterable[str]) -> Properties:
    """Put each attribute where the action declares it, as a value of its type.

    A text that is no value of the type stays a text: what becomes of it is worth seeing.
    """
    properties: Properties = {entity: {} for entity in Entity}
    catalogued = policy.actions.get(action)
    for name, texts in pairs_of(options).items():
        if catalogued is None:
            # Nobody declares anything of it; the decision is made without looking.
            properties[Entity.ACTION][name] = texts[-1]
            continue
        attribute = _declared(catalogued.attributes, name)
        if attribute is None:
            known = [each.name for each in catalogued.attributes]
            raise click.ClickException(
                f"{action} declares no attribute `{name}`{did_you_mean(name, known)}"
            )
        properties[attribute.entity][attribute.name] = _value(attribute, texts)
    return properties


def _declared(attributes: Sequence[Attribute], name: str) -> Attribute | None:
    """Find an attribute by its name, or with its entity, as `context.ip`."""
    return next((a for a in attributes if name in {a.name, f"{a.entity}.{a.name}"}), None)


def _value(attribute: Attribute, texts: list[str]) -> Value:
    if attribute.type is AttributeType.LIST:
        return [text for text in texts if text]
    if len(texts) > 1:
        raise click.ClickException(f"--attr {attribute.name} is no list and comes once")
    (text,) = texts
    match attribute.type:
        case AttributeType.INT if _WHOLE.match(text):
            return int(text)
        case AttributeType.DOUBLE:
            with suppress(ValueError):
                return float(text)
        case AttributeType.BOOL:
            return _FLAGS.get(text.lower(), text)
        case _:
            pass
    return text
