"""What can go wrong when clients are registered and changed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from typing_extensions import override

from stepup.domain.errors import StepUpError


class Finding(NamedTuple):
    """What cannot work about a registration: which member, and why."""

    name: str
    reason: str


class ClientInvalidError(StepUpError):
    """What was to be registered could not work, or would be unsafe."""

    code = "client_invalid"
    message = "The client cannot be registered like this."

    def __init__(self, findings: Sequence[Finding], client_id: str = "") -> None:
        told = "; ".join(f"{each.name}: {each.reason}" for each in findings)
        super().__init__(f"client {client_id}: {told}." if client_id else f"{told}.")
        self.findings = tuple(findings)

    @property
    @override
    def facts(self) -> Mapping[str, object]:
        return {"invalid": [each._asdict() for each in self.findings]}


class ClientNotFoundError(StepUpError):
    """There is no client with this identifier."""

    code = "client_not_found"
    message = "There is no such client."


class ClientExistsError(StepUpError):
    """Another client has this identifier."""

    code = "client_exists"
    message = "There is a client with this identifier."


class SecretlessClientError(StepUpError):
    """A client that authenticates with a key, a certificate or not at all has no secret."""

    code = "secretless_client"
    message = "The client has no secret: its keys change with its JWK set."
