"""What a policy document may hold, as it is published."""

from functools import cache

from stepup.policy_language.json_schema import json_schema_text


@cache
def published_schema() -> bytes:
    """Return the JSON Schema of the document."""
    return json_schema_text().encode()
