"""Whatever these tests check is held against the published schema too."""

import jsonschema_rs
import pytest

from stepup.policy_language import document
from stepup.policy_language.findings import Findings
from stepup.policy_language.json_schema import json_schema
from stepup.policy_language.reader import plain, read

VALIDATOR = jsonschema_rs.validator_for(json_schema())


def complaints(text: str) -> list[str]:
    """What the published schema says against a document."""
    node = read(text, Findings())
    assert node is not None
    return [error.message for error in VALIDATOR.iter_errors(plain(node))]


@pytest.fixture(autouse=True)
def held_against_the_schema(monkeypatch):
    """Every document that the reader accepts, the schema accepts."""
    read_as_it_is = document._read

    def read_and_compare(text, version, **options):
        reading = read_as_it_is(text, version, **options)
        if reading.policy is not None:
            assert complaints(text) == []
        return reading

    monkeypatch.setattr(document, "_read", read_and_compare)
