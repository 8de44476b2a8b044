"""The key set over HTTP: of every ring, and never too late for a cache that obeys its headers."""

import re
from datetime import datetime, timedelta

import jwt
import pytest

from stepup.crypto import jwts
from stepup.crypto.keys import public_members, thumbprint
from stepup.crypto.sealing import Sealer
from stepup.domain.key_life import KeyRules
from stepup.domain.keyring import KeyPlan, Keyring
from stepup.http.app import create_app
from stepup.http.health import Readiness
from stepup.usecases import keys, rotate
from stepup.usecases.tend_keys import tend
from tests.http.probe_routes import FRAME
from tests.support.application import HeldSnapshot, a_policy, calling, memory_ports
from tests.support.determinism import StillClock

JWKS = "/.well-known/jwks.json"
SEALER = Sealer({1: bytes(32)}, lambda count: bytes(range(count)))
RINGS = KeyPlan(region="r1").rings
RULES = KeyRules(lifetime=timedelta(hours=30))
STEP = timedelta(minutes=5)
KINDS = {"EC": "ES256", "RSA": "RS256"}


class Deployment:
    """Ports in memory, and the application over them."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.snapshot = HeldSnapshot(a_policy())
        self.ports = memory_ports(snapshot=self.snapshot, clock=self.clock)
        self.app = create_app(self.ports, readiness=Readiness({}), routers=FRAME)
        self.version = -1

    @property
    def keyring(self) -> Keyring:
        return self.snapshot.keyring

    async def hear(self) -> None:
        version = await self.ports.database.configuration_version()
        if version != self.version:
            async with self.ports.database.transaction() as stores:
                keyring = await keys.read_keyring(stores, SEALER, self.ports.site.key_plan)
            self.version, self.snapshot.held_keyring = version, keyring

    def sign(self, number: int) -> str:
        ring = RINGS[number % len(RINGS)]
        key = self.keyring.signer(ring.use, ring.algorithm)
        signing = jwts.Key(algorithm=key.algorithm, key=key.private_key)
        return jwts.sign(b"{}", signing, typ="JWT", key_id=key.id)


class Cache:
    """An HTTP cache at the end of what it may: the oldest answer that the headers let it give."""

    def __init__(self, http, clock: StillClock) -> None:
        self.http, self.clock = http, clock
        self.taken_at: datetime | None = None
        self.body: dict = {}
        self.tag = ""
        self.asked = self.unchanged = 0

    async def get(self) -> dict:
        now = self.clock.now()
        if self.taken_at is None or now - self.taken_at > self.may_be:
            answer = await self.http.get(JWKS, headers={"if-none-match": self.tag})
            self.asked += 1
            self.unchanged += answer.status_code == 304
            if answer.status_code == 200:
                self.body, self.tag = answer.json(), answer.headers["etag"]
            spans = re.findall(r"(?:max-age|revalidate)=(\d+)", answer.headers["cache-control"])
            self.may_be = timedelta(seconds=sum(map(int, spans)))
            self.taken_at = now
        return self.body


@pytest.fixture
async def deployment() -> Deployment:
    deployment = Deployment()
    await keys.ensure_keys(deployment.ports, SEALER)
    await tend(deployment.ports, SEALER, RULES)
    await deployment.hear()
    return deployment


async def test_fapi2_5_4_2_no_two_keys_have_one_kid_and_each_says_what_it_is(deployment):
    async with calling(deployment.app) as http:
        published = (await http.get(JWKS)).json()["keys"]

    assert len({key["kid"] for key in published}) == len(published) == 2 * len(RINGS)
    for key in published:
        assert key["use"] == "sig"
        assert key["alg"] == KINDS[key["kty"]]
        assert key["kid"] == thumbprint(key)


async def test_rfc7517_9_3_no_private_member_is_published(deployment):
    async with calling(deployment.app) as http:
        published = (await http.get(JWKS)).json()["keys"]

    for key in published:
        assert key.keys() == {*public_members(key), "kid", "use", "alg"}


async def test_caep_interop_2_6_the_keys_of_security_events_have_2048_bits_at_least(deployment):
    async with calling(deployment.app) as http:
        published = (await http.get(JWKS)).json()["keys"]

    sizes = [jwt.PyJWK(key).key.key_size for key in published if key["kty"] == "RSA"]
    assert sizes
    assert min(sizes) >= 2048


async def test_a_cache_as_old_as_it_may_be_verifies_everything_through_rotations_of_every_ring(
    deployment,
):
    signed_with: set[str] = set()
    async with calling(deployment.app) as http:
        cache = Cache(http, deployment.clock)
        for number in range(int(timedelta(days=4) / STEP)):
            await tend(deployment.ports, SEALER, RULES)
            await deployment.hear()
            text = deployment.sign(number)
            kid = jwt.get_unverified_header(text)["kid"]
            known = {key["kid"]: key for key in (await cache.get())["keys"]}
            assert kid in known
            jwt.decode(text, jwt.PyJWK(known[kid]), algorithms=[known[kid]["alg"]])
            signed_with.add(kid)
            deployment.clock.advance(STEP)

    # Each ring has signed with three keys at least, and most answers were "you have it".
    assert len(signed_with) >= 3 * len(RINGS)
    assert cache.unchanged > cache.asked / 2


@pytest.mark.parametrize("ring", RINGS, ids=str)
async def test_a_key_that_leaked_leaves_the_key_set_at_once_whatever_it_signed(deployment, ring):
    leaked = deployment.keyring.signer(ring.use, ring.algorithm).id
    async with calling(deployment.app) as http:
        before = await http.get(JWKS)
        done = await rotate.revoke(deployment.ports, SEALER, leaked, RULES)
        await deployment.hear()
        after = await http.get(JWKS, headers={"if-none-match": before.headers["etag"]})

    assert leaked in {key["kid"] for key in before.json()["keys"]}
    assert leaked not in {key["kid"] for key in after.json()["keys"]}
    # Whoever signs in its place was announced before: caches know it.
    assert done.id in {key["kid"] for key in before.json()["keys"]}
    assert deployment.keyring.signer(ring.use, ring.algorithm).id == done.id
