"""Settings become adapters, adapters become ports, ports become the application.

The only importer of the adapters that serve requests; the CLI reaches them through here.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from stepup import log, telemetry
from stepup.adapters.keywrap.pkcs11 import Pkcs11Keys, Token
from stepup.adapters.keywrap.plain import PlainKeys, read_private_file
from stepup.adapters.observed import ObservedOutbox
from stepup.adapters.observed_cache import ObservedCredentialCache
from stepup.adapters.observed_decisions import ObservedDecisionLog
from stepup.adapters.observed_keys import ObservedKeys
from stepup.adapters.observed_shadow import ObservedShadowLog
from stepup.adapters.observed_signals import ObservedSignals
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.postgres.standbys import Standbys
from stepup.adapters.receivers.pushing import HttpPusher
from stepup.adapters.redis.seals import find_seals
from stepup.adapters.redis.server_settings import Inspection
from stepup.adapters.redis.state import RedisState
from stepup.adapters.system import SystemClock, SystemEntropy, monotonic
from stepup.adapters.upstream.provider import Provider, digest_of_token
from stepup.adapters.upstream.upstreams import HttpUpstreams
from stepup.adapters.workshop.processes import ProcessWorkshop
from stepup.config import Secret, Settings, UpstreamSettings
from stepup.config_reading import SettingsError, check_sealing_key
from stepup.config_values import parse_entries, parse_keys
from stepup.crypto.certificates import read_authorities
from stepup.crypto.sealing import Sealer
from stepup.domain.client import Client
from stepup.domain.errors import (
    DependencyUnavailableError,
    NewerFormatError,
    PolicyNotFoundError,
)
from stepup.domain.key_life import KeyRules
from stepup.domain.keyring import KeyPlan, KeyUse
from stepup.domain.site import Site
from stepup.ports import Ports
from stepup.ports.key_wrapping import KeyWrapError, KeyWrapping
from stepup.ports.seals import SealedUntil
from stepup.ports.workshop import Workshop
from stepup.usecases import revocation_feed, shadow, status_lists
from stepup.usecases.activations import keep_schedule
from stepup.usecases.drain import drain
from stepup.usecases.fill_cache import fill_cache
from stepup.usecases.losses import follow_losses
from stepup.usecases.push_signals import push
from stepup.usecases.record import carry_records, send_last_records, send_records
from stepup.usecases.refresh import follow, refresh
from stepup.usecases.revocation_feed import LiveRevocations
from stepup.usecases.sealed_copy import look_after_copy
from stepup.usecases.snapshot import LiveSnapshot
from stepup.usecases.status_lists import LiveStatusLists
from stepup.usecases.tell_signals import tell
from stepup.usecases.tend_keys import keep_keys

# What is done in it is among these, or small beside them.
_SHOP_MODULES = (
    "stepup.policy_language.document",
    "stepup.policy_language.meaning.documents",
    "stepup.usecases.replay_part",
)
_configuration_age = telemetry.cache_age_seconds.labels("configuration")


class Application:
    """The service over one set of settings, as an ASGI application that can be drained.

    The edge is imported here and not above: commands that only open ports start in half the time.
    """

    def __init__(self, settings: Settings) -> None:
        from stepup.http.app import Beside, create_app  # noqa: PLC0415  see above
        from stepup.http.background import Background  # noqa: PLC0415
        from stepup.http.health import Readiness  # noqa: PLC0415
        from stepup.http.page_errors import PageErrorRenderer  # noqa: PLC0415
        from stepup.usecases.account import account_client  # noqa: PLC0415

        self._parts = _Parts(settings, [account_client(_site(settings))])
        self._workshop = ProcessWorkshop(_SHOP_MODULES)
        lists = LiveStatusLists(self._parts.revocations, monotonic)
        ports, snapshot, sealer = self._parts.ports, self._parts.snapshot, self._parts.sealer
        revocations = self._parts.revocations
        filling = {"credential_cache": lambda: fill_cache(ports)}
        self._background = Background(
            {
                "configuration": lambda: follow(ports, snapshot, sealer),
                "sealed_copy": lambda: look_after_copy(ports, snapshot, sealer),
                "outbox": lambda: drain(ports),
                "shadow": lambda: shadow.follow(ports),
                "decision_log": lambda: send_records(ports),
                "decisions": lambda: carry_records(ports, settings.decision_retention),
                "rotation": lambda: keep_keys(ports, sealer, key_rules(settings), ObservedKeys()),
                "revocation_feed": lambda: revocation_feed.follow(ports, revocations),
                "status_lists": lambda: status_lists.follow(ports, lists),
                "losses": lambda: follow_losses(ports),
                "signals": lambda: tell(ports),
                "signal_push": lambda: push(ports, self._parts.pusher, ObservedSignals()),
                "policy_schedule": lambda: keep_schedule(ports, self._workshop),
                **(filling if settings.credential_cache == "all" else {}),
            }
        )
        checks = {
            "postgres": self._parts.database.check,
            "redis": self._parts.state.check,
            "redis_generation": ports.state.generations.current,
            "revocations": revocations.check,
        }
        self._readiness = Readiness(
            {**checks, **self._background.checks}, replaceable=frozenset({"postgres"})
        )
        self._app = create_app(
            self._parts.ports,
            readiness=self._readiness,
            page_errors=PageErrorRenderer(self._parts.ports),
            beside=Beside(self._workshop, lists),
            lifespan=[self._run],
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection, or start and stop."""
        await self._app(scope, receive, send)

    def drain(self) -> None:
        """Ask load balancers for no more requests."""
        self._readiness.drain()

    def close_connections(self) -> None:
        """End kept-alive connections with their next answer."""
        self._readiness.close_connections()

    @asynccontextmanager
    async def _run(self, _app: object) -> AsyncIterator[None]:
        parts = self._parts
        async with parts.opened():
            # Without a configuration we are not ready, and become so when there is one.
            with suppress(PolicyNotFoundError, DependencyUnavailableError, NewerFormatError):
                await refresh(parts.ports, parts.snapshot, parts.sealer)
            try:
                async with self._background.running():
                    yield
            finally:
                await self._workshop.close()
                await send_last_records(parts.ports)


@asynccontextmanager
async def open_workshop(places: int) -> AsyncIterator[Workshop]:
    """Open a workshop for one task of an operator."""
    workshop = ProcessWorkshop(_SHOP_MODULES, places=places)
    try:
        yield workshop
    finally:
        await workshop.close()


def import_application() -> None:
    """Import what an application is made of, so that making one is quick."""
    import stepup.http.app  # noqa: PLC0415  see Application
    import stepup.http.page_errors  # noqa: F401, PLC0415


def create_application(settings: Settings) -> Application:
    """Make the application; its lifespan opens and closes everything."""
    return Application(settings)


@asynccontextmanager
async def open_ports(settings: Settings) -> AsyncIterator[tuple[Ports, Sealer]]:
    """Open the ports for one task of an operator; the snapshot in them is empty."""
    async with _opened(settings) as parts:
        yield parts.ports, parts.sealer


def key_rules(settings: Settings) -> KeyRules:
    """Return how long signing keys stay in each state."""
    return KeyRules(
        announced_for=settings.signing_key_announcement,
        lifetime=settings.signing_key_lifetime,
        heard_within=settings.snapshot_usable_for,
    )


def key_plan(settings: Settings) -> KeyPlan:
    """Return which rings of signing keys these settings name."""
    algorithms = {KeyUse(use): names for use, names in settings.signing_algorithms.items()}
    return KeyPlan(region=settings.region, algorithms=algorithms)


def key_wrapping(settings: Settings) -> KeyWrapping:
    """Return what unwraps the key-encryption keys of these settings.

    Raises:
        KeyWrapError: If the settings do not say enough.
    """
    if settings.key_encryption_source == "pkcs11":
        given = {name: getattr(settings, name) for name in settings.__struct_fields__}
        return pkcs11_keys(given)
    return PlainKeys(settings.key_encryption_source)


def pkcs11_keys(settings: Mapping[str, Any]) -> Pkcs11Keys:
    """Return the token that these settings name, of which others may be missing.

    Raises:
        KeyWrapError: If they name none.
    """
    module, label = settings.get("pkcs11_module"), settings.get("pkcs11_token")
    pin = settings.get("pkcs11_pin")
    if module is None or label is None or pin is None:
        raise KeyWrapError("no token: pkcs11_module, pkcs11_token and pkcs11_pin_file name it")
    return Pkcs11Keys(Token(module, label, settings.get("pkcs11_key") or "stepup", pin.reveal()))


def keys_in_file(path: Path) -> Mapping[int, bytes]:
    """Read key-encryption keys from a file of theirs.

    Raises:
        KeyWrapError: If somebody else can read the file, or it cannot be read.
        ValueError: If it holds none.
    """
    return parse_keys(read_private_file(path))


def with_keys(settings: Settings) -> Settings:
    """Return settings that hold the key-encryption keys themselves, wherever they come from.

    Done once at a start, before anything is served; who runs needs neither the file nor the token.

    Raises:
        KeyWrapError: If they cannot be had.
    """
    if settings.key_encryption_source == "settings":
        return settings
    if settings.key_encryption_source == "file":
        text = read_private_file(Path(settings.key_encryption_file or ""))
    else:
        text = settings.key_encryption_keys.reveal()
    wrapping = key_wrapping(settings)
    try:
        entries = parse_entries(text)
        check_sealing_key(settings, entries)
    except (ValueError, SettingsError) as error:
        raise KeyWrapError(f"key-encryption keys: {error}") from error
    keys = {number: wrapping.unwrap(number, entry) for number, entry in entries.items()}
    as_they_are = PlainKeys("settings")
    plain = ",".join(f"{number}:{as_they_are.wrap(number, key)}" for number, key in keys.items())
    return msgspec.structs.replace(
        settings,
        key_encryption_source="settings",
        key_encryption_keys=Secret(plain),
        pkcs11_pin=None,
    )


async def standbys_of_postgres(settings: Settings) -> Standbys:
    """Say whom PostgreSQL's commits wait for, and who acknowledges.

    Raises:
        DependencyUnavailableError: If the primary does not answer.
    """
    async with _opened(settings) as parts:
        return await parts.database.standbys()


async def inspect_redis(settings: Settings) -> Inspection:
    """Say what in the settings of the Redis servers contradicts what the service promises.

    Raises:
        DependencyUnavailableError: If none of them answers.
    """
    async with _opened(settings) as parts:
        return await parts.state.inspect()


async def seals_in_redis(settings: Settings) -> Mapping[int, SealedUntil]:
    """Say under which key-encryption keys things lie in Redis, and for how long.

    Raises:
        DependencyUnavailableError: If it does not answer.
    """
    async with _opened(settings) as parts:
        return await find_seals(parts.state.client)


@asynccontextmanager
async def _opened(settings: Settings) -> "AsyncIterator[_Parts]":
    log.log_for_operator()
    parts = _Parts(settings)
    parts.state.for_operator()
    async with parts.opened():
        yield parts


class _Parts:
    """Everything that is made of the settings, before it is opened."""

    def __init__(self, settings: Settings, built_in_clients: Sequence[Client] = ()) -> None:
        clock, entropy = SystemClock(), SystemEntropy()
        settings = with_keys(settings)
        site = _site(settings)
        self.sealer = Sealer(
            settings.key_encryption_ring,
            entropy.bytes,
            current=settings.key_encryption_active,
        )
        self.database = PostgresDatabase(settings.postgres_url.reveal(), self.sealer)
        self.state = RedisState(
            settings.redis_url.reveal(),
            self.sealer,
            clock,
            settings.redis_replicas,
            all_replicas=settings.redis_all_replicas,
            refuse_unsafe=not settings.development,
        ).remembered_in(self.database.generations_of(settings.region))
        self.upstreams = HttpUpstreams(
            tuple(_provider(each, settings) for each in settings.upstreams),
            clock,
            development=settings.development,
        )
        self.pusher = HttpPusher(development=settings.development)
        self.snapshot = LiveSnapshot(
            clock,
            usable_for=settings.snapshot_usable_for,
            built_in_clients=tuple(built_in_clients),
            on_swap=lambda policy: telemetry.policy_version.set(policy.version),
            on_age=lambda age: _configuration_age.set(age.total_seconds()),
            on_activation=lambda took: telemetry.policy_activation_seconds.observe(
                took.total_seconds()
            ),
        )
        self.revocations = LiveRevocations(
            monotonic,
            on_look=partial(_show_feed, settings.region),
            on_heard=telemetry.revocation_propagation_seconds.observe,
        )
        self.ports = Ports(
            clock=clock,
            entropy=entropy,
            site=site,
            snapshot=self.snapshot,
            revocations=self.revocations,
            state=self.state.stores._replace(
                outbox=ObservedOutbox(self.state.stores.outbox, clock),
                decisions=ObservedDecisionLog(self.state.stores.decisions, clock),
                shadow=ObservedShadowLog(self.state.stores.shadow),
                credentials=ObservedCredentialCache(self.state.stores.credentials),
            ),
            database=self.database,
            upstreams=self.upstreams,
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open what must be opened in the event loop that uses it, and close it again."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.database.close)
            stack.push_async_callback(self.upstreams.close)
            stack.push_async_callback(self.pusher.close)
            await stack.enter_async_context(self.state)
            yield


def _show_feed(region: str, entries: int, lag: float) -> None:
    telemetry.revocation_entries.set(entries)
    telemetry.revocation_feed_lag_seconds.labels(region).set(lag)


def _site(settings: Settings) -> Site:
    token = settings.admin_token
    return Site(
        issuer=settings.issuer,
        region=settings.region,
        rp_id=settings.rp_id,
        rp_name=settings.rp_name,
        origins=settings.webauthn_origins,
        subject_issuer=settings.subject_issuer,
        other_subject_issuers=tuple(upstream.issuer for upstream in settings.upstreams),
        development=settings.development,
        ledger_required=settings.redemption_fence == "required",
        decision_sampling=settings.decision_sampling,
        shadow_sampling=settings.shadow_sampling,
        policy_approvals=settings.approvals_needed,
        signals_about_everybody=settings.signals_default_subjects == "ALL",
        pushed_requests_required=settings.pushed_requests_required,
        base_login=any(
            upstream.issuer == settings.subject_issuer and upstream.client_id is not None
            for upstream in settings.upstreams
        ),
        dpop_nonce_required=settings.dpop_nonce == "required",
        signing_algorithms=key_plan(settings).algorithms,
        admin_token_digest=hashlib.sha256(token.reveal().encode()).digest() if token else None,
        hears_certificates=bool(settings.client_certificate_header),
        client_authorities=_authorities(settings),
    )


def _authorities(settings: Settings) -> tuple[bytes, ...]:
    path = settings.client_certificate_authorities
    return read_authorities(Path(path).read_text(encoding="ascii")) if path else ()


def _provider(upstream: UpstreamSettings, settings: Settings) -> Provider:
    secret, signal_token = upstream.client_secret, upstream.signal_token
    return Provider(
        issuer=upstream.issuer,
        audiences=frozenset(upstream.audiences),
        jwks_uri=upstream.jwks_uri,
        client_id=upstream.client_id,
        client_secret=None if secret is None else secret.reveal(),
        algorithms=frozenset(upstream.algorithms),
        signal_token_digest=digest_of_token(signal_token.reveal()) if signal_token else None,
        signal_audience=upstream.signal_audience or settings.issuer,
        signal_jwks_uri=upstream.signal_jwks_uri,
    )
