"""Receivers of security events: the client `crm`, and what it answers to what is pushed."""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from stepup.crypto import security_events
from stepup.crypto.keys import generate_signing_key
from stepup.domain.client import Client, Role
from stepup.domain.ids import ClientId
from stepup.domain.keyring import KeyState, KeyUse
from stepup.domain.pushing import Delivered, Verdict
from stepup.domain.signals import SecurityEvent
from stepup.domain.streams import DeliveryMethod, Stream
from stepup.ports import Pusher, SignalBacklog
from stepup.usecases import streams
from stepup.usecases.drain import drain_once
from stepup.usecases.streams import Wish
from stepup.usecases.tell_signals import tell_once
from tests.crypto.forging import read
from tests.support.application import a_client
from tests.support.world import World

CRM = ClientId("crm")
SET_KEY = generate_signing_key("RS256", state=KeyState.ACTIVE, use=KeyUse.SET)
ENDPOINT = "https://crm.example/events"
PUSHED = Wish(
    method=DeliveryMethod.PUSH, endpoint_url=ENDPOINT, authorization_header="Bearer of-the-crm"
)


def a_receiver(world: World, client_id: str = CRM, **changes: object) -> Client:
    """Register a receiver of security events."""
    fields: dict = {"roles": frozenset({Role.SSF})}
    client = a_client(world.keyring, client_id, **fields | changes)
    world.snapshot.clients[client.client_id] = client
    keyring = world.snapshot.keyring
    if SET_KEY not in keyring.keys:
        world.snapshot.held_keyring = replace(keyring, keys=(*keyring.keys, SET_KEY))
    return client


async def a_stream(world: World, wish: Wish = PUSHED, client_id: str = CRM) -> Stream:
    """Make a stream of a receiver that hears what happens from now on."""
    client = world.snapshot.clients.get(ClientId(client_id)) or a_receiver(world, client_id)
    stream = await streams.create(world.ports, client, wish)
    await told(world)
    return stream


async def told(world: World) -> None:
    """Carry everything to the log, and tell of it."""
    while await drain_once(world.ports):
        pass
    await tell_once(world.ports)


async def waiting(world: World, stream: Stream) -> list[SecurityEvent]:
    """Return what waits in a stream."""
    async with world.ports.database.transaction() as stores:
        current = await stores.streams.lock(stream.id)
        found = await stores.signals.waiting(current, 100)
    return [security_events.parse(each.claims) for each in found]


class PretendPusher(Pusher):
    """Receivers that answer as they are told; `sent` is what they were sent, as it was signed."""

    def __init__(self, answer: Callable[[dict], Verdict] = lambda _: Delivered()) -> None:
        self.answer = answer
        self.sent: list[tuple[str, str, str | None]] = []

    async def push(self, url: str, text: str, authorization: str | None) -> Verdict:
        """Take it, and answer."""
        self.sent.append((url, text, authorization))
        return self.answer(read(text, 1))

    @property
    def claims(self) -> list[dict]:
        """What the SETs say that were sent."""
        return [read(text, 1) for _, text, _ in self.sent]


class Noted:
    """A watch that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def delivered(self, kind: str) -> None:
        """Write it down."""
        self.heard.append(("delivered", kind.rsplit("/", 1)[-1]))

    def set_aside(self, problem: str) -> None:
        """Write it down."""
        self.heard.append(("set_aside", problem))

    def failed(self, problem: str) -> None:
        """Write it down."""
        self.heard.append(("failed", problem))

    def paused(self) -> None:
        """Write it down."""
        self.heard.append(("paused",))

    def expired(self, count: int) -> None:
        """Write it down."""
        self.heard.append(("expired", count))

    def waits(self, backlog: SignalBacklog, now: datetime) -> None:
        """Write it down."""
        self.heard.append(("waits", backlog.waiting, backlog.set_aside))
