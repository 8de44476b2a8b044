"""The demo bank's world in memory: its policy, the client `bank`, subjects with authenticators."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyotp
from typing_extensions import override

from stepup.ceremonies import otp, provisioned
from stepup.crypto import security_events
from stepup.crypto.upstream import UpstreamKey
from stepup.domain.account import BaseIdentity, PendingLogin
from stepup.domain.authenticator import Authenticator, TotpSecret
from stepup.domain.client import Client, Role
from stepup.domain.errors import DependencyUnavailableError, InvalidSubjectTokenError
from stepup.domain.ids import AuthenticatorId, ClientId, Subject
from stepup.domain.keyring import Keyring
from stepup.domain.signal_errors import SetError, SetRefusedError
from stepup.domain.signals import SecurityEvent
from stepup.domain.site import Site
from stepup.domain.streams import RETENTION
from stepup.policy_language import document
from stepup.ports import Ports, Upstreams
from stepup.usecases.account import account_client
from stepup.usecases.policies import development_document
from tests.support.application import HeldSnapshot, a_client, a_keyring, a_site, memory_ports
from tests.support.authenticator import SoftwareAuthenticator
from tests.support.determinism import StillClock

IDP = "https://idp.example"
SIGNAL_TOKEN = "of-the-idp"
BANK_CALLBACK = "https://bank.example/callback"
PKCE_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
PKCE_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
TOTP_SECRET = b"12345678901234567890"


class PretendUpstreams(Upstreams):
    """An identity provider whose tokens read `<issuer>|<sub>`, and whose codes are names."""

    def __init__(self) -> None:
        self.logins: list[PendingLogin] = []
        self.signal_keys: dict[str, UpstreamKey] = {}
        self.key_sets: dict[str, list[dict]] = {}

    @override
    async def verify(self, token: str, now: datetime) -> BaseIdentity:
        issuer, _, sub = token.partition("|")
        if not sub:
            raise InvalidSubjectTokenError
        return BaseIdentity(subject=Subject(issuer, sub), name=f"{sub}@example.com", auth_time=now)

    @override
    async def hear(self, text: str, token: str, now: datetime) -> SecurityEvent:
        if token != SIGNAL_TOKEN:
            raise SetRefusedError(SetError.AUTHENTICATION_FAILED)
        return security_events.read(
            text,
            self.signal_keys,
            expected_issuer=IDP,
            expected_audiences={"stepup"},
            algorithms=frozenset({"RS256"}),
            now=now,
            oldest=RETENTION,
        )

    @override
    async def login_url(
        self, login: PendingLogin, *, state: str, redirect_uri: str, code_challenge: str
    ) -> str:
        self.logins.append(login)
        return f"{IDP}/authorize?state={state}"

    @override
    async def finish_login(
        self, login: PendingLogin, *, code: str, redirect_uri: str, now: datetime
    ) -> BaseIdentity:
        return await self.verify(f"{IDP}|{code}", now)

    @override
    async def key_set(self, url: str, kid: str | None) -> list[dict]:
        if url not in self.key_sets:
            raise DependencyUnavailableError(url)
        return self.key_sets[url]


@dataclass
class World:
    """Ports in memory, and everything a test wants to do to them."""

    keyring: Keyring = field(default_factory=a_keyring)
    clock: StillClock = field(default_factory=StillClock)
    upstreams: PretendUpstreams = field(default_factory=PretendUpstreams)
    document: str = field(default_factory=development_document)
    site: Site = field(default_factory=a_site)

    def __post_init__(self) -> None:
        self.bank = a_client(
            self.keyring,
            redirect_uris=(BANK_CALLBACK,),
            roles=frozenset(Role),
            audiences=("bank-api",),
        )
        self.snapshot = HeldSnapshot(
            document.parse(self.document, version=1),
            self.keyring,
            {self.bank.client_id: self.bank, ClientId("stepup-account"): account_client(self.site)},
        )
        self.ports: Ports = memory_ports(
            site=self.site, snapshot=self.snapshot, upstreams=self.upstreams, clock=self.clock
        )

    def add_client(self, client_id: str, **changes: object) -> Client:
        client = a_client(self.keyring, client_id, **changes)
        self.snapshot.clients[client.client_id] = client
        return client

    def subject(self, sub: str = "alice") -> Subject:
        return Subject(IDP, sub)

    def subject_token(self, sub: str = "alice", issuer: str = IDP) -> str:
        return f"{issuer}|{sub}"

    async def enroll_app(self, sub: str = "alice", name: str = "My phone") -> Authenticator:
        return await self.enroll(TotpSecret(secret=TOTP_SECRET), sub, name)

    async def enroll_passkey(
        self, sub: str = "alice", **traits: object
    ) -> tuple[Authenticator, SoftwareAuthenticator]:
        passkey = SoftwareAuthenticator(origin=self.site.origins[0], **traits)
        credential = provisioned.read_credential(passkey.provisioning())
        return await self.enroll(credential, sub, "My passkey"), passkey

    def code(self, at: timedelta = timedelta(0), secret: bytes = TOTP_SECRET) -> str:
        """The code that an authenticator app shows, now or some time from now."""
        moment = int((self.clock.now() + at).timestamp())
        shared = otp.TotpSecret(secret=secret)
        return pyotp.TOTP(otp.group_secret(shared).replace(" ", "")).at(moment)

    def wrong_code(self) -> str:
        near = {self.code(timedelta(seconds=30 * n)) for n in range(-2, 3)}
        return next(f"{n:06}" for n in range(10) if f"{n:06}" not in near)

    async def enroll(
        self, credential: object, sub: str = "alice", name: str = "Something"
    ) -> Authenticator:
        authenticator = Authenticator(
            id=AuthenticatorId(self.ports.entropy.token(12)),
            subject=self.subject(sub),
            name=name,
            credential=credential,
            created_at=self.clock.now(),
        )
        async with self.ports.database.transaction() as stores:
            await stores.authenticators.add(authenticator)
        return authenticator
