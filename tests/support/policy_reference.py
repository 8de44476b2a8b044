"""docs/policy-reference.md: every field of a policy document, as the published schema has it."""

from collections.abc import Iterator, Mapping
from typing import Any

from stepup.http.schemas import SCHEMA_PATH
from stepup.policy_language.json_schema import json_schema

# In the order in which a reader meets them.
_PARTS = (
    *(
        "Document",
        "Level",
        "Factor",
        "Action",
        "Attribute",
        "Rule",
        "Requirement",
        "Floor",
        "Fallback",
    ),
    *("Token", "Guardrail", "Match", "Test", "Request", "Party", "Properties", "Auth", "Suite"),
    *("Entities", "KnownEntity"),
)
# A table holds no more of them.
_FEW = 4
_INTRODUCTION = f"""# Policy reference

Every field of a [policy document](policy.md). Written by `make docs` from the same types as the
JSON Schema at `{SCHEMA_PATH}`, which `stepup policy schema` writes too.
An editor that knows YAML schemas completes and checks a document with the first line
`# yaml-language-server: $schema=https://stepup.example{SCHEMA_PATH}`.

A *span* is `90s`, `15m`, `1h30m`, `30d`, or a number of seconds. *Texts* are a list, in which a
single one need not stand. Fields in **bold** are required. No field may be there and empty."""


def policy_reference_page() -> str:
    """Return docs/policy-reference.md."""
    parts: Mapping[str, Any] = json_schema()["$defs"]
    words = {name for name, part in parts.items() if "enum" in part}
    assert set(parts) == {*_PARTS, *words}, "a part is missing in the reference"
    sections = [_section(name, parts[name], parts) for name in _PARTS]
    listed = [_words(name, parts[name]) for name in sorted(words)]
    return "\n\n".join([_INTRODUCTION, *sections, "## Words", *listed]) + "\n"


def _words(name: str, part: Mapping[str, Any]) -> str:
    return f"**{name}**: {', '.join(f'`{word}`' for word in part['enum'])}."


def _section(name: str, part: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    rows = [
        f"| {_name(field, part)} | {_cell(_kind(schema, parts))} | {_cell(schema['description'])} |"
        for field, schema in part["properties"].items()
    ]
    head = ["| Field | Type | Meaning |", "|---|---|---|"]
    text = " ".join(part["description"].split())
    return "\n".join([f"## {name}", "", text, "", *head, *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _name(field: str, part: Mapping[str, Any]) -> str:
    return f"**`{field}`**" if field in part["required"] else f"`{field}`"


def _kind(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """Say in words what a field may be."""
    kinds = list(_kinds(schema, parts))
    limits = schema.get("maxItems")
    text = " or ".join(dict.fromkeys(kinds))
    return f"{text}; at most {limits:,}" if limits else text


def _kinds(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    if "anyOf" in schema and "$ref" not in schema:
        told = [_kind(each, parts) for each in schema["anyOf"]]
        if told == ["text", "list of text"]:
            yield "texts"
        elif told == ["span", "span"]:
            yield "span"
        else:
            yield from told
    elif "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        part = parts[name]
        words = [f"`{word}`" for word in part.get("enum", ())]
        if len(words) > _FEW:
            yield f"[{name}](#words)"
        elif words:
            yield from words
        else:
            yield f"[{name}](#{name.lower()})"
    elif "const" in schema:
        yield "`true`" if schema["const"] is True else f"`{schema['const']}`"
    else:
        yield _plain_kind(schema, parts)


def _plain_kind(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    match schema.get("type"):
        case "string" if "[0-9]{1,5}d" in schema.get("pattern", ""):
            return "span"
        case "integer" if schema.get("maximum") == 10**9:
            return "span"
        case "integer":
            return f"whole number from {schema['minimum']} to {schema['maximum']}"
        case "array":
            items = _kind(schema["items"], parts)
            return f"list of ({items})" if " or " in items else f"list of {items}"
        case "object":
            inner = schema.get("additionalProperties")
            return f"names to {_kind(inner, parts) if inner else 'values'}"
        case kind:
            return {"string": "text", "boolean": "`true` or `false`", None: "anything"}[kind]
