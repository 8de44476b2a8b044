"""Both demo sites in one process, next to each other on this machine."""

import asyncio
import signal
from dataclasses import dataclass

import uvicorn
from litestar import Litestar

from stepup.demo.bank import BankSettings, create_bank
from stepup.demo.idp import IdpClient, IdpSettings, create_idp

# The account pages of stepup sign people in here as well.
ACCOUNT_CLIENT = "stepup"
ACCOUNT_CALLBACK = "/account/login/callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """Where the two sites listen, and which service they use."""

    issuer: str
    idp_port: int
    bank_port: int
    client_id: str
    client_secret: str
    api_audience: str
    host: str = "127.0.0.1"

    @property
    def idp(self) -> str:
        """The identity provider's issuer."""
        return f"http://{self.host}:{self.idp_port}"

    @property
    def bank(self) -> str:
        """The bank's origin."""
        return f"http://{self.host}:{self.bank_port}"


def create_sites(settings: DemoSettings) -> tuple[Litestar, Litestar]:
    """Make the identity provider and the bank."""
    clients = {
        settings.client_id: IdpClient("Demo bank", frozenset({f"{settings.bank}/signed-in"})),
        ACCOUNT_CLIENT: IdpClient(
            "your security settings", frozenset({settings.issuer + ACCOUNT_CALLBACK})
        ),
    }
    idp = create_idp(IdpSettings(settings.idp, settings.api_audience, clients))
    bank = create_bank(
        BankSettings(
            origin=settings.bank,
            issuer=settings.issuer,
            idp=settings.idp,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            api_audience=settings.api_audience,
        )
    )
    return idp, bank


async def serve(settings: DemoSettings) -> None:
    """Serve both until the process is told to stop."""
    idp, bank = create_sites(settings)
    servers = [
        _server(idp, settings.host, settings.idp_port),
        _server(bank, settings.host, settings.bank_port),
    ]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, servers)
    # `_serve`, because `serve` would take the signals for one server alone.
    await asyncio.gather(*(server._serve() for server in servers))  # noqa: SLF001  see above


def _server(app: Litestar, host: str, port: int) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(app, host=host, port=port, access_log=False, log_level="warning")
    )


def _stop(servers: list[uvicorn.Server]) -> None:
    for server in servers:
        server.should_exit = True
