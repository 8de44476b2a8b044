"""The JSON Schema of the document, made from the types in `shape`."""

from functools import cache
from typing import Any

import msgspec

from stepup.policy_language.shape.document import Document
from stepup.policy_language.shape.examples import Suite

# A name, not an address: the same whoever serves it. An editor is given the file or our address.
SCHEMA_ID = "urn:stepup:schema:policy:v1"


@cache
def json_schema() -> dict[str, Any]:
    """Return the schema of a document (JSON Schema 2020-12); `$defs/Suite` is a file of tests."""
    (document, _suite), parts = msgspec.json.schema_components(
        [Document, Suite], ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "stepup policy document",
        **document,
        "$defs": dict(sorted(parts.items())),
    }


def json_schema_text() -> str:
    """Return the schema as it is published."""
    text = msgspec.json.encode(json_schema())
    return msgspec.json.format(text, indent=2).decode() + "\n"
