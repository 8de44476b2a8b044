"""Settings: every key an operator can set, with its type, its default and what it is for.

They are read once at start (`config_reading.py`) and passed down as a value.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from stepup.config_values import (
    parse_keys,
)


class Secret:
    """Text that shows itself only when asked to."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class UpstreamSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An identity provider that does base login.

    `jwks_uri` is discovered from the issuer when it is not given. `client_id` and `client_secret`
    are ours there; they serve the account pages' base login.

    With `signal_token` it may send security events, and shows this bearer token when it does. They
    are for `signal_audience`, by default our own issuer, and signed with its keys, or with those at
    `signal_jwks_uri`.
    """

    issuer: str
    audiences: tuple[str, ...] = ()
    jwks_uri: str | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    algorithms: tuple[str, ...] = ("ES256", "RS256")
    signal_token: Secret | None = None
    signal_audience: str | None = None
    signal_jwks_uri: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an operator can set."""

    issuer: Annotated[
        str,
        Meta(
            description="The service's own URL: issuer in tokens and metadata, base of every link. "
            "`http` is accepted for a loopback host only."
        ),
    ]
    postgres_url: Annotated[
        Secret,
        Meta(description="PostgreSQL, as `postgresql://user:password@host[,host]/database`."),
    ]
    redis_url: Annotated[
        Secret,
        Meta(
            description="Redis, as `redis://host:port/database`, `rediss://...`, `unix:///path`, "
            "`redis+sentinel://host:port,host:port/NAME/DB` or `redis+cluster://host:port,...`."
        ),
    ]
    key_encryption_keys: Annotated[
        Secret,
        Meta(
            description="Keys that seal secrets at rest, as `1:<32 bytes in base64>,2:...`; "
            "`key_encryption_active` says which one seals, all of them unseal. Must be given, "
            "unless `key_encryption_source` is `file`.",
            extra={"default": "-"},
        ),
    ] = Secret("")
    key_encryption_source: Annotated[
        Literal["settings", "file", "pkcs11"],
        Meta(
            description="Where those keys are: `settings` as they are, `file` in "
            "`key_encryption_file`, `pkcs11` in the settings and wrapped by `stepup keys wrap`."
        ),
    ] = "settings"
    key_encryption_file: Annotated[
        str | None,
        Meta(
            description="File with the keys, one `1:<base64>` a line, that nobody else may read "
            "(`0400` or `0440`); read at each start."
        ),
    ] = None
    pkcs11_module: Annotated[
        str | None, Meta(description="The vendor's PKCS#11 library, an absolute path.")
    ] = None
    pkcs11_token: Annotated[
        str | None, Meta(description="Label of the token that holds the wrapping key.")
    ] = None
    pkcs11_key: Annotated[
        str, Meta(description="Label of the AES key in that token which wraps.")
    ] = "stepup"
    pkcs11_pin: Annotated[
        Secret | None,
        Meta(description="PIN of the token, best as `pkcs11_pin_file`; never on a command line."),
    ] = None
    key_encryption_active: Annotated[
        int | None,
        Meta(
            description="Number of the key that seals. To change it, give the new key to every "
            "instance first, and name it here with the next restart.",
            extra={"default": "the highest number"},
        ),
    ] = None
    signing_key_lifetime: Annotated[
        timedelta,
        Meta(
            description="How long a key signs before its successor does; `0s` for "
            "`stepup keys rotate` alone."
        ),
    ] = timedelta(days=30)
    signing_key_announcement: Annotated[
        timedelta,
        Meta(
            description="How long a key is published before it signs, at least `15m`: longer than "
            "the slowest verifier goes without asking for keys. At least the time for which an "
            "instance serves without PostgreSQL, and 15 minutes."
        ),
    ] = timedelta(hours=24)
    signing_algorithm_token: Annotated[
        str,
        Meta(
            description="With what access tokens are signed: `ES256`, `RS256`, `PS256` or `EdDSA`. "
            "A change is announced like any new key; until then the old key signs."
        ),
    ] = "ES256"  # noqa: S105  the name of an algorithm
    signing_algorithms_id_token: Annotated[
        tuple[str, ...],
        Meta(
            description="With what ID tokens are signed, the preferred one first; `RS256` must be "
            "among them (OpenID Connect Discovery 1.0), and serves no client under FAPI."
        ),
    ] = ("ES256", "RS256")
    signing_algorithm_set: Annotated[
        str,
        Meta(
            description="With what security events are signed; receivers under the CAEP "
            "interoperability profile take `RS256` alone."
        ),
    ] = "RS256"
    signing_algorithm_status_list: Annotated[
        str, Meta(description="With what token status lists are signed.")
    ] = "ES256"
    signing_algorithms_introspection: Annotated[
        tuple[str, ...],
        Meta(
            description="With what signed introspection answers can be asked for, the first one "
            "where a client names none (RFC 9701 has RS256)."
        ),
    ] = ("RS256", "ES256")
    redis_replicas: Annotated[
        int | None,
        Meta(
            description="Replicas that must hold a spend before anybody is granted anything "
            "(`WAIT`); the server's `min-replicas-to-write` must not be less.",
            extra={
                "default": "1 behind Sentinels, 0 for one node; in a Cluster as many as the shard "
                "has, and never fewer"
            },
        ),
    ] = None
    redis_all_replicas: Annotated[
        int | None,
        Meta(
            description="Replicas that there are when all is well; with `redemption_fence` "
            "`required` all of them must hold a redemption that PostgreSQL does not.",
            extra={
                "default": "one fewer than Sentinels, 0 for one node; in a Cluster as many as the "
                "shard has, and never fewer"
            },
        ),
    ] = None
    redemption_fence: Annotated[
        Literal["preferred", "required"],
        Meta(
            description="What a redemption or a consumption needs while PostgreSQL is away: "
            "`preferred` lets Redis decide alone and writes its row later, `required` refuses "
            "with 503 unless all replicas hold it."
        ),
    ] = "preferred"
    region: Annotated[
        str,
        Meta(
            description="Name of this region, the first part of every handle.",
            pattern="^[a-z0-9]+$",
        ),
    ] = "r1"
    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to listen on.", ge=0, le=65535)] = 8000
    workers: Annotated[
        int, Meta(description="Worker processes; 0 means one per processor core.", ge=0, le=256)
    ] = 0
    rp_id: Annotated[
        str,
        Meta(
            description="WebAuthn relying-party identifier; passkeys are bound to it for ever.",
            extra={"default": "the issuer's host"},
        ),
    ] = ""
    rp_name: Annotated[
        str, Meta(description="Name of the organization, shown on pages and by authenticators.")
    ] = "stepup"
    webauthn_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Origins from which a passkey ceremony is accepted.",
            extra={"default": "the issuer's origin"},
        ),
    ] = ()
    upstreams: Annotated[
        tuple[UpstreamSettings, ...],
        Meta(
            description="Identity providers that do base login: tables with `issuer`, `audiences`, "
            "`jwks_uri`, `client_id`, `client_secret`, `algorithms`, and for its security events "
            "`signal_token`, `signal_audience`, `signal_jwks_uri` (JSON in the environment)."
        ),
    ] = ()
    subject_issuer: Annotated[
        str,
        Meta(
            description="The upstream that a bare subject identifier belongs to.",
            extra={"default": "the first upstream"},
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses and networks whose `X-Forwarded-For` and `-Proto` are believed, "
            "and whose `client_certificate_header`."
        ),
    ] = ()
    client_certificate_header: Annotated[
        str,
        Meta(
            description="Header in which `trusted_proxies` pass on the certificate that a client "
            "showed: PEM with percent escapes, DER in base64, or RFC 9440's `Client-Cert`. They must "
            "overwrite what a client sends under this name. Without it no certificate is believed.",
            pattern="^[A-Za-z0-9-]*$",
        ),
    ] = ""
    client_certificate_authorities: Annotated[
        str,
        Meta(
            description="File with the PEM certificates of the authorities that issue certificates "
            "for `tls_client_auth`. Without it only `self_signed_tls_client_auth` is offered."
        ),
    ] = ""
    development: Annotated[
        bool, Meta(description="Development mode: an admin token, `/dev/outbox`, policies at once.")
    ] = False
    admin_token: Annotated[
        Secret | None, Meta(description="Bearer token for `/v1/admin`; development mode only.")
    ] = None
    policy_approvals: Annotated[
        int | None,
        Meta(
            description="How many other administrators must approve a policy before it becomes "
            "active. With 0 whoever may activate does so at once.",
            extra={"default": "1, in development mode 0"},
        ),
    ] = None
    pushed_requests_required: Annotated[
        bool,
        Meta(
            description="Whether clients must push their authorization requests (RFC 9126). A "
            "client's registration may say otherwise; one of FAPI 2.0 always must."
        ),
    ] = True
    dpop_nonce: Annotated[
        Literal["required", "optional"],
        Meta(
            description="Whether a DPoP proof needs a nonce of ours (RFC 9449 section 8). It costs "
            "a client one more request after a minute of silence, and makes proofs that were made "
            "ahead of time worthless."
        ),
    ] = "optional"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severe line logged.")
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"], Meta(description="One JSON object per line, or text to read.")
    ] = "json"
    snapshot_usable_for: Annotated[
        timedelta,
        Meta(
            description="How long policy, clients and keys may serve after PostgreSQL confirmed "
            "them last; then everything is refused with 503. At least 30 s."
        ),
    ] = timedelta(hours=24)
    credential_cache: Annotated[
        Literal["recent", "all"],
        Meta(
            description="Whose challenges can open while PostgreSQL is away: subjects of the last "
            "24 hours, or `all` of them, whose sealed authenticators are then kept in Redis."
        ),
    ] = "recent"
    decision_sampling: Annotated[
        int,
        Meta(
            description="Of how many allowed decisions one is recorded: `1` for all, `0` for "
            "none. Step-ups and denials are always recorded.",
            ge=0,
            le=1_000_000,
        ),
    ] = 10
    shadow_sampling: Annotated[
        int,
        Meta(
            description="Of how many decisions a shadow policy is asked about one: `1` for all, "
            "`0` for none. Counts are multiplied by it.",
            ge=0,
            le=1_000_000,
        ),
    ] = 1
    decision_retention: Annotated[
        timedelta,
        Meta(
            description="How long recorded decisions are kept, in whole days of UTC: 1 to 90 days. "
            "They say who did what, so no longer than a replay looks back."
        ),
    ] = timedelta(days=30)
    signals_default_subjects: Annotated[
        Literal["ALL", "NONE"],
        Meta(
            description="Whom a new stream of security events covers: every subject of its "
            "receiver's issuer, or those alone that the receiver adds."
        ),
    ] = "ALL"
    drain_delay: Annotated[
        timedelta,
        Meta(
            description="How long a stopping server is `not ready` before it takes no more "
            "connections; twice the load balancer's probe interval."
        ),
    ] = timedelta(seconds=10)
    stop_timeout: Annotated[
        timedelta, Meta(description="How long running requests may take to finish after that.")
    ] = timedelta(seconds=15)

    @property
    def key_encryption_ring(self) -> dict[int, bytes]:
        """The key-encryption keys by number, once they are unwrapped."""
        return parse_keys(self.key_encryption_keys.reveal())

    @property
    def signing_algorithms(self) -> dict[str, tuple[str, ...]]:
        """With what each kind of token is signed, the preferred algorithm first."""
        return {
            "token": (self.signing_algorithm_token,),
            "id_token": self.signing_algorithms_id_token,
            "set": (self.signing_algorithm_set,),
            "status_list": (self.signing_algorithm_status_list,),
            "introspection": self.signing_algorithms_introspection,
        }

    @property
    def approvals_needed(self) -> int:
        """How many others must approve a policy: by default nobody changes it alone."""
        if self.policy_approvals is not None:
            return self.policy_approvals
        return 0 if self.development else 1

    @property
    def origin(self) -> str:
        """The issuer's origin, as a browser spells it."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"


TYPES: Mapping[str, Any] = get_type_hints(Settings, include_extras=True)
"""The annotated type of every key, in the order of the documentation."""

REQUIRED = tuple(field.name for field in msgspec.structs.fields(Settings) if field.required)
"""The keys that somebody must give."""


def describe(key: str) -> str:
    """Return what a key is for."""
    return str(meta_of(key).description)


def is_secret(key: str) -> bool:
    """Say whether a key's value must not be shown."""
    return Secret in bare_type(key)


def default_text(key: str) -> str:
    """Return a key's default as the documentation shows it; empty when the key must be given."""
    derived = (meta_of(key).extra or {}).get("default")
    if derived:
        return str(derived)
    field = next(field for field in msgspec.structs.fields(Settings) if field.name == key)
    default = None if field.required else field.default
    match default:
        case None | ():
            return ""
        case timedelta():
            return _span_text(default)
        case bool():
            return str(default).lower()
        case _:
            return str(default)


def _span_text(span: timedelta) -> str:
    for unit, seconds in (("d", 86400), ("h", 3600)):
        count, rest = divmod(span.total_seconds(), seconds)
        if count > 1 and not rest:
            return f"{count:g}{unit}"
    return f"{span.total_seconds():g}s"


def meta_of(key: str) -> Meta:
    """Return what the documentation says of a key."""
    return next(part for part in get_args(TYPES[key]) if isinstance(part, Meta))


def bare_type(key: str) -> tuple[Any, ...]:
    """Return a key's type without its description, and the types inside it."""
    bare = get_args(TYPES[key])[0]
    return (bare, *get_args(bare))
