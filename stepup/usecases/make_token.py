"""Make the tokens that a grant gives: the elevated token, and the ID token that comes with it.

Who may have them is decided before (`redeem.py`, `refresh_tokens.py`); here they are only made, and
the same grant makes the same ones.
"""

import asyncio

import msgspec

from stepup.crypto import digests, id_tokens, tokens
from stepup.domain import fapi
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authorization_errors import InvalidDpopProofError
from stepup.domain.client import Client
from stepup.domain.confirmation import Confirmation
from stepup.domain.errors import InvalidRequestError
from stepup.domain.id_token import IdToken
from stepup.domain.ids import ChallengeId, TokenId
from stepup.domain.keyring import Keyring, KeyUse, SigningKey
from stepup.domain.token import ElevatedToken
from stepup.ports import AuditRecorded, OutboxEntry, Ports
from stepup.usecases.listing import with_place
from stepup.usecases.signing import signer_for


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a grant gives, before anything is signed.

    `nonce` is the client's own, for its ID token; `session_id` is the `sid` of it.
    """

    token: ElevatedToken
    kind: AuditKind
    repeated: bool
    nonce: str | None = None
    session_id: str | None = None
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return f"Given({self.token.id})"


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """An elevated token and its text, and what comes with it."""

    token: ElevatedToken
    text: str
    key_id: str
    expires_in: int
    repeated: bool
    id_token: str | None = None
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return f"Issued({self.token.id})"


class Signers(msgspec.Struct, frozen=True):
    """The keys that the tokens of one client are signed with."""

    of_tokens: SigningKey
    of_id_tokens: SigningKey


def signers_for(ports: Ports, client: Client) -> Signers:
    """Find the keys before anything is spent for tokens that nobody could sign.

    Raises:
        DependencyUnavailableError: If no key signs as the client has registered.
    """
    return Signers(
        signer_for(ports, client, KeyUse.TOKEN),
        signer_for(ports, client, KeyUse.ID_TOKEN, client.id_token_signed_response_alg),
    )


def check_proof(client: Client, proof: Confirmation | None) -> None:
    """Refuse a client whose tokens are always bound, and that proves to hold no key.

    Raises:
        InvalidDpopProofError: If a DPoP proof is missing (RFC 9449 section 5.2).
        InvalidRequestError: If a client certificate is (RFC 8705 section 3.4).
    """
    if client.dpop_bound and (proof is None or proof.jkt is None):
        raise InvalidDpopProofError("The tokens of this client need a DPoP proof.")
    if client.dpop_bound or (proof is not None and proof.x5t_s256 is not None):
        return
    if client.tls_bound:
        raise InvalidRequestError("The tokens of this client need a client certificate.")
    if fapi.must_be_bound(client.profile) and proof is None:
        raise InvalidDpopProofError("The tokens of this client need a DPoP proof.")


def token_id(keyring: Keyring, challenge_id: ChallengeId, count: int = 0) -> TokenId:
    """Compute the identifier of a challenge's token: of its code, or of the refresh of that count.

    It is computed and not drawn, so that even an undetected double redemption would yield one
    token identity, which one revocation ends.
    """
    key = digests.derive(keyring.root, "jti")
    # The first has no count, as before there were any others.
    text = challenge_id if count == 0 else f"{challenge_id} {count}"
    return TokenId(f"{challenge_id}.{digests.encode(digests.keyed_digest(key, text)[:16])}")


async def issue(
    ports: Ports, signers: Signers, given: Given, entries: tuple[OutboxEntry, ...]
) -> Issued:
    """Sign what is given, and put on record that it was; `entries` are recorded with it."""
    token = given.token
    event = AuditEvent(
        kind=given.kind,
        at=token.issued_at,
        client_id=token.client_id,
        subject_id=token.subject.id,
        action=token.action,
        challenge_id=token.challenge_id,
        details=_details(token),
    )
    # Both leave in one write, and the place does not wait for the record.
    token, _ = await asyncio.gather(
        with_place(ports, token, signers.of_tokens.id),
        ports.state.outbox.append(*entries, AuditRecorded(event=event)),
    )
    root = ports.snapshot.keyring.root
    text = tokens.sign_elevated(token, signers.of_tokens, ports.site, root)
    id_token = _id_token(ports, signers.of_id_tokens, given, text)
    left = token.expires_at - ports.clock.now()
    return Issued(
        token=token,
        text=text,
        key_id=signers.of_tokens.id,
        expires_in=max(0, round(left.total_seconds())),
        repeated=given.repeated,
        id_token=id_token,
        refresh_token=given.refresh_token,
    )


def _id_token(ports: Ports, key: SigningKey, given: Given, access_token: str) -> str | None:
    token = given.token
    if "openid" not in (token.scope or "").split(" "):
        return None
    # As long as the access token: past that, what it says of the authentication is too old.
    id_token = IdToken(
        subject=token.subject,
        client_id=token.client_id,
        acr=token.acr,
        amr=token.amr,
        auth_time=token.auth_time,
        issued_at=token.issued_at,
        expires_at=token.expires_at,
        nonce=given.nonce,
        session_id=given.session_id,
    )
    return id_tokens.sign(id_token, access_token, key, ports.site)


def _details(token: ElevatedToken) -> dict[str, str | int | bool | None]:
    # Nothing that differs when the attempt repeats: the log keeps one of the two.
    details: dict[str, str | int | bool | None] = {
        "jti": token.id,
        "acr": token.acr,
        "expires_at": int(token.expires_at.timestamp()),
    }
    if token.fallback_for is not None:
        details["fallback_for"] = token.fallback_for
    if token.authenticators is not None:
        details["authenticators"] = " ".join(token.authenticators)
    return details
