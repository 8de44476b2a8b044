"""The OpenAPI document keeps its word: schemathesis sends what it allows, and what it does not.

Nothing is a 5xx, every status and content type is a documented one, and every JSON answer has the
shape that is promised.
"""

import asyncio
import hashlib
from contextlib import suppress

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation, BaseSchema

from stepup.usecases import machine_tokens
from tests.http.flow import BANK
from tests.support.one_app import app_of
from tests.support.world import World

TOKEN = "an-administrators-token"
RECEIVERS: dict[str, str] = {}

load_all_checks()
# A SET is one line of text, which schemathesis does not know.
schemathesis.serializer.alias("application/secevent+jwt", "text/plain")
PROMISES = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ]
)


@pytest.fixture(scope="module")
def described() -> BaseSchema:
    """The document of the whole service, and the service behind it."""
    world = World()
    trusted = msgspec.structs.replace(world.bank, asserts_subject=True)
    world.snapshot.clients[trusted.client_id] = trusted
    site = msgspec.structs.replace(
        world.site, admin_token_digest=hashlib.sha256(TOKEN.encode()).digest()
    )
    app = app_of(world.ports._replace(site=site))
    _, RECEIVERS["token"] = asyncio.run(machine_tokens.grant(world.ports, trusted, None, None))
    return schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_the_document_keeps_its_word(
    described: BaseSchema, subtests: pytest.Subtests, mode: GenerationMode
):
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 20

    for operation in operations:
        with subtests.test(operation.label):
            explore(operation, mode)


def explore(operation: APIOperation, mode: GenerationMode) -> None:
    """Call one operation with some of what its description allows, or forbids."""
    administrators = operation.path.startswith("/v1/admin")
    receivers = operation.path.startswith("/v1/signals") and not operation.path.endswith("receive")
    token = TOKEN if administrators else RECEIVERS["token"] if receivers else None
    headers = {"authorization": f"Bearer {token}"} if token else {}

    @settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=PROMISES, headers=headers, auth=None if token else BANK)

    # Some operations take nothing that could be wrong.
    with suppress(Unsatisfiable):
        call()
