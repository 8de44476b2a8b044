"""Who this deployment is: the names that tokens, pages and ceremonies carry."""

from collections.abc import Mapping

import msgspec

from stepup.domain.keyring import DEFAULT_ALGORITHMS, KeyPlan, KeyUse


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The deployment's own names, fixed at start.

    `issuer` is the identifier in tokens and metadata, without a trailing slash. `rp_id` and
    `origins` are WebAuthn's relying-party identifier and the origins its pages have.
    `subject_issuer` is the upstream that a bare subject id belongs to when a client names none.
    `admin_token_digest` is the SHA-256 of the development administrator's token; None in production.
    `ledger_required` when nothing is granted once without the ledger, or all replicas in its place.
    `decision_sampling` is of how many allowances one is recorded; 0 for none.
    `shadow_sampling` is of how many decisions the shadow is asked about one; 0 for none.
    `dpop_nonce_required` when a DPoP proof is good only with a nonce of ours.
    `policy_approvals` is how many others must approve a policy before it becomes active.
    `signals_about_everybody` when a new stream of security events covers every subject.
    `pushed_requests_required` when clients that say nothing else must push their requests.
    `base_login` when a subject that no client proves can sign in at `subject_issuer`.
    `hears_certificates` when proxies pass on what clients show in the TLS handshake, and
    `client_authorities` are the certificates (DER) of those who issue such to clients.
    `signing_algorithms` is with what each kind of token is signed, the preferred one first.
    """

    issuer: str
    region: str
    rp_id: str
    rp_name: str
    origins: tuple[str, ...]
    subject_issuer: str
    other_subject_issuers: tuple[str, ...] = ()
    development: bool = False
    admin_token_digest: bytes | None = None
    hears_certificates: bool = False
    client_authorities: tuple[bytes, ...] = ()
    ledger_required: bool = False
    decision_sampling: int = 1
    shadow_sampling: int = 1
    policy_approvals: int = 0
    signals_about_everybody: bool = True
    pushed_requests_required: bool = True
    base_login: bool = False
    dpop_nonce_required: bool = False
    signing_algorithms: Mapping[KeyUse, tuple[str, ...]] = msgspec.field(
        default_factory=lambda: DEFAULT_ALGORITHMS
    )

    @property
    def subject_issuers(self) -> frozenset[str]:
        """Every issuer whose subjects we know."""
        return frozenset({self.subject_issuer, *self.other_subject_issuers})

    @property
    def key_plan(self) -> KeyPlan:
        """Which rings of signing keys this region looks after."""
        return KeyPlan(region=self.region, algorithms=self.signing_algorithms)

    @property
    def secure(self) -> bool:
        """Say whether the deployment is reached over TLS, so that cookies may be `Secure`."""
        return self.issuer.startswith("https://")

    def url(self, path: str) -> str:
        """Return the absolute URL of one of our paths."""
        return f"{self.issuer}{path}"
