"""A service as the operator of the host reaches it: by its database."""

from collections.abc import Sequence

import msgspec
import rich_click as click
from typing_extensions import override

from stepup import wiring
from stepup.cli.admin.operator import operator
from stepup.cli.policy.service import APPLIED, Pending, Remark, Service, Version, draft_name
from stepup.crypto.sealing import Sealer
from stepup.domain.administrator import Administrator, AdministratorKind, Scope
from stepup.domain.errors import DependencyUnavailableError, StepUpError
from stepup.domain.ids import AdministratorId
from stepup.domain.policy_errors import ApprovalRequiredError
from stepup.ports import Ports
from stepup.ports.workshop import Workshop
from stepup.usecases import activations, drafts, policies
from stepup.usecases.activations import Wanted
from stepup.usecases.drafts import NewDraft
from stepup.usecases.keys import ensure_keys


class HostService(Service):
    """Ports that are open; a refusal of the domain ends the command with one line."""

    def __init__(self, ports: Ports, sealer: Sealer) -> None:
        self._ports = ports
        self._sealer = sealer

    @override
    async def find_active(self) -> Version | None:
        found = await policies.find_active(self._ports)
        return None if found is None else _version(found)

    @override
    async def get(self, number: int) -> Version:
        return _version(await policies.get_version(self._ports, number))

    @override
    async def check(self, text: str) -> Sequence[Remark]:
        return ()

    @override
    async def activate(self, text: str, source: str, *, replacing: int) -> int | Pending:
        # What is activated is recorded, and the record is chained under a key.
        await ensure_keys(self._ports, self._sealer)
        if replacing == 0:
            made = await policies.activate(
                self._ports, text, APPLIED, by=operator(), replacing=replacing
            )
            return made.version
        wanted = NewDraft(draft_name(source), text)
        async with wiring.open_workshop(places=1) as workshop:
            return await self._activate_draft(workshop, wanted, replacing)

    @override
    async def force(self, text: str, reason: str) -> int:
        await ensure_keys(self._ports, self._sealer)
        return (await policies.force(self._ports, text, operator(), reason)).version

    @override
    async def roll_back(self, number: int, reason: str) -> int:
        by = the_operator()
        async with wiring.open_workshop(places=1) as workshop:
            made = await policies.roll_back(self._ports, workshop, number, by, reason)
        return made.version

    async def _activate_draft(
        self, workshop: Workshop, wanted: NewDraft, replacing: int
    ) -> int | Pending:
        by = the_operator()
        draft = await drafts.begin(self._ports, wanted, by)
        if draft.base != replacing:
            await drafts.discard(self._ports, draft.id, by, draft.revision)
            raise click.ClickException(f"version {draft.base} became active meanwhile: plan again")
        try:
            version = await activations.activate(
                self._ports, workshop, draft.id, Wanted(draft.revision), by
            )
        except ApprovalRequiredError as error:
            missing = error.needed - error.approvals
            return Pending(draft=draft.id, missing=f"{missing} of {error.needed} approvals missing")
        return version.version


def the_operator() -> Administrator:
    """Return whoever has the host, as the author of what the command does."""
    name = operator()
    return Administrator(
        id=AdministratorId(name),
        name=name,
        kind=AdministratorKind.HOST,
        scopes=frozenset(Scope) - {Scope.POLICY_APPROVE},
    )


def explained(error: StepUpError) -> click.ClickException | StepUpError:
    """Turn a refusal into one line; what `operate` explains itself stays as it is."""
    if isinstance(error, DependencyUnavailableError):
        return error
    return click.ClickException(error.detail)


def _version(found: object) -> Version:
    return msgspec.convert(found, Version, from_attributes=True)
