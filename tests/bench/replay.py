"""How long a replay of recorded decisions takes: `python -m tests.bench.replay [RECORDS]`.

Real PostgreSQL; the workshop in two processes of its own, as the command line has it, and in one,
as the service has it. Every decision has attributes and an authentication, and the draft asks a
third of the subjects for more, so that their authenticators are read too.
"""

import asyncio
import os
import resource
import sys
import time
from datetime import timedelta
from typing import NamedTuple

from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.workshop.processes import ProcessWorkshop
from stepup.crypto import keys
from stepup.crypto.sealing import Sealer
from stepup.domain.decision import decide
from stepup.domain.ids import ActionName, DecisionId, Subject
from stepup.domain.policy import Policy
from stepup.domain.recorded_decision import RecordedDecision
from stepup.policy_language import document
from stepup.ports import Ports
from stepup.usecases import policies, replay
from stepup.usecases.replay import ReplayQuestion
from tests.support.application import memory_ports
from tests.support.builders import (
    a_decision_request,
    a_recorded_decision,
    an_approval,
    an_authenticator,
)
from tests.support.determinism import NOON
from tests.support.engines import fresh_database, running_postgres

RECORDS = 100_000
RECORDS_EACH = 20
# A transaction takes no longer than a request may wait.
_ENROLLED_AT_ONCE = 100
_AT_ONCE = 1_000
_MODULES = ("stepup.policy_language.document", "stepup.usecases.replay_part")
_ACTIVE = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    attributes:
      amount: {type: decimal, required: true}
      currency: {type: string, enum: [EUR, USD]}
      payee: {type: string, required: true}
      country: {type: string, in: context}
    bind: [amount, payee]
    rules:
      - {id: abroad, when: 'has(context.country) && context.country == "XX"', deny: true}
      - {id: small, when: action.amount <= 10000, allow: true}
      - {id: large, when: action.amount > 100000, require: {level: phr}}
    default: {level: urn:stepup:acr:2}
"""
_DRAFT = _ACTIVE.replace("<= 10000", "<= 5000")


class ReplayCost(NamedTuple):
    """How long one replay took, and CPU seconds: of the workshop, and of whoever asks it."""

    places: int
    seconds: float
    shop_cpu: float
    own_cpu: float
    recorded: int
    changed: int


async def measure(url: str, records: int) -> list[ReplayCost]:
    """Record that many decisions, and replay them."""
    sealer = Sealer({1: bytes(32)}, os.urandom)
    database = PostgresDatabase(url, sealer)
    ports = memory_ports()._replace(database=database)
    try:
        async with database.transaction() as stores:
            await stores.keys.add(keys.seal_root(bytes(32), sealer, NOON))
        await policies.activate(ports, _ACTIVE, "bench")
        await _enroll(ports, records // RECORDS_EACH)
        await _record(ports, records)
        return [await _replayed(ports, places) for places in (2, 1)]
    finally:
        await database.close()


async def _replayed(ports: Ports, places: int) -> ReplayCost:
    workshop = ProcessWorkshop(_MODULES, places=places)
    began, cpu, shop = time.monotonic(), time.process_time(), _shop_cpu()
    try:
        asked = ReplayQuestion(document=_DRAFT)
        report = await replay.replay(ports, workshop, asked, at_once=places)
    finally:
        await workshop.close()
    took, own = time.monotonic() - began, time.process_time() - cpu
    return ReplayCost(places, took, _shop_cpu() - shop, own, report.recorded, report.changed)


def _shop_cpu() -> float:
    """Return the CPU time of the processes that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _enroll(ports: Ports, subjects: int) -> None:
    """Give every second subject something to pass with."""
    for first in range(0, subjects, 2 * _ENROLLED_AT_ONCE):
        async with ports.database.transaction() as stores:
            for number in range(first, first + 2 * _ENROLLED_AT_ONCE, 2):
                await stores.authenticators.add(an_authenticator(subject=_subject(number)))


async def _record(ports: Ports, records: int) -> None:
    policy = document.parse(_ACTIVE, version=1)
    for first in range(0, records, _AT_ONCE):
        some = [_decided(policy, n) for n in range(first, min(first + _AT_ONCE, records))]
        async with ports.database.transaction() as stores:
            await stores.decisions.add_all(some)


def _decided(policy: Policy, number: int) -> RecordedDecision:
    amount = ("20.00", "75.00", "500.00", "5000.00")[number % 4]
    request = a_decision_request(
        action=ActionName("payments.transfer"),
        action_properties={"amount": amount, "currency": "EUR", "payee": f"payee-{number}"},
        context={"country": "DE"},
    )
    at = NOON + timedelta(milliseconds=number)
    approval = an_approval("urn:stepup:acr:1")
    return a_recorded_decision(
        decide(policy, request, approval, at),
        at=at,
        id=DecisionId(f"{number:012x}.r"),
        subject_id=_subject(number // RECORDS_EACH).id,
        request=request,
        approval=approval,
    )


def _subject(number: int) -> Subject:
    return Subject("https://idp.example", f"subject-{number}")


def main(records: int) -> None:
    """Measure and print."""
    with running_postgres() as server, fresh_database(server) as url:
        migrate.upgrade(url)
        costs = asyncio.run(measure(url, records))
    for cost in costs:
        sys.stdout.write(
            f"{cost.recorded:,} records, {cost.places} processes: {cost.seconds:.1f} s, "
            f"CPU {cost.shop_cpu:.1f} s there and {cost.own_cpu:.1f} s here; "
            f"{cost.changed:,} change\n"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS)
