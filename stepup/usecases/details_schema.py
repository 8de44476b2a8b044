"""What an authorization detail of our type may hold, as it is published."""

from functools import cache

import msgspec

from stepup.domain.action_details import ActionDetails, GrantedAction

# A name, not an address: the same whoever serves it.
SCHEMA_ID = "urn:stepup:schema:stepup-action:v1"


@cache
def published_details_schema() -> bytes:
    """Return the JSON Schema of `stepup_action`; `$defs/GrantedAction` is what tokens say of it."""
    (asked, _granted), parts = msgspec.json.schema_components(
        [ActionDetails, GrantedAction], ref_template="#/$defs/{name}"
    )
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "stepup_action",
        **asked,
        "$defs": dict(sorted(parts.items())),
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"
