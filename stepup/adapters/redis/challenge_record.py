"""A challenge as a Redis hash: what never changes as JSON, secrets sealed, the rest in fields."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from stepup.adapters.redis import keys
from stepup.adapters.redis.scripts import Argument
from stepup.adapters.redis.times import epoch_ms, from_epoch_ms, span_ms
from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.assurance import CeremonyFacts, Method
from stepup.domain.authenticator import Authenticator
from stepup.domain.authorization import Authorization
from stepup.domain.browser_session import Proof
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import AttemptId, ChallengeId

_json = msgspec.json.Encoder()
_TRIES = b"t:"
# The attempt of an answer is a digest in base64url, so none begins like this.
_BY_SESSION = b"session:"


class _Fixed(msgspec.Struct, frozen=True):
    """The part that is written once."""

    id: ChallengeId
    authorization: Authorization
    methods: tuple[Method, ...]
    opened_at: datetime
    expires_at: datetime


_fixed = msgspec.json.Decoder(_Fixed)
_passed = msgspec.json.Decoder(tuple[CeremonyFacts, ...])
_authenticators = msgspec.json.Decoder(tuple[Authenticator, ...])


class CrossedReplyError(Exception):
    """The reply belongs to another challenge: the connection is out of step."""


def seal_authenticators(challenge: Challenge, sealer: Sealer) -> bytes:
    """Seal the authenticators; the bytes are new each time."""
    return sealer.seal(_json.encode(challenge.authenticators), context=_context(challenge.id))


def fields_of(challenge: Challenge, request_uri_digest: bytes | None) -> list[Argument]:
    """Return every other field of a new challenge: name, value, ..."""
    authorization = challenge.authorization
    fixed = _Fixed(
        id=challenge.id,
        authorization=authorization,
        methods=challenge.methods,
        opened_at=challenge.opened_at,
        expires_at=challenge.expires_at,
    )
    fields: dict[str, Argument] = {
        "v": keys.FORMAT,
        "fixed": _json.encode(fixed),
        "state": challenge.state.value,
        "expires_at": epoch_ms(challenge.expires_at),
        "client": authorization.client_id,
        "redirect_uri": optional(authorization.redirect_uri),
        "pkce": _proof_wanted(authorization),
        "once_ms": _once_ms(authorization),
    }
    if request_uri_digest is not None:
        fields["uri"] = request_uri_digest
    return [part for field in fields.items() for part in field]


def read_challenge(values: Sequence[bytes], expected_id: ChallengeId, sealer: Sealer) -> Challenge:
    """Make a challenge of the fields of its hash.

    Raises:
        CrossedReplyError: If it is another challenge.
    """
    held = dict(zip(values[::2], values[1::2], strict=True))
    fixed = _fixed.decode(held[b"fixed"])
    if fixed.id != expected_id:
        raise CrossedReplyError(fixed.id)
    verified_at = held.get(b"verified_at")
    return Challenge(
        id=fixed.id,
        state=ChallengeState(held[b"state"].decode()),
        authorization=fixed.authorization,
        methods=fixed.methods,
        authenticators=_unseal(held[b"sealed"], fixed.id, sealer),
        passed=_passed.decode(b"[%b]" % held.get(b"passed", b"")),
        tries=_tries(held),
        browser_digest=held.get(b"browser"),
        opened_at=fixed.opened_at,
        expires_at=fixed.expires_at,
        verified_at=None if verified_at is None else from_epoch_ms(verified_at),
        by_session=held.get(b"by", b"").startswith(_BY_SESSION),
    )


def encode_facts(facts: CeremonyFacts) -> bytes:
    """Return one member of the list of passed ceremonies."""
    return _json.encode(facts)


def attempt_of(proof: Proof) -> AttemptId:
    """Return the name of the attempt in which a proof answers."""
    return AttemptId(f"{_BY_SESSION.decode()}{proof.challenge_id}")


def encode_proved(passed: Sequence[CeremonyFacts]) -> bytes:
    """Return all members of the list of passed ceremonies."""
    return b",".join(encode_facts(facts) for facts in passed)


def optional(text: str | None) -> str:
    """Tell a text that is empty from one that is not there."""
    return "" if text is None else f"={text}"


def _proof_wanted(authorization: Authorization) -> str:
    # In the field of the verifier, so that a release that knows no bound codes finds that nothing
    # fits one, and never gives what it was bound for without the key.
    wanted = optional(authorization.code_challenge)
    return wanted if authorization.dpop_jkt is None else f"{wanted} {authorization.dpop_jkt}"


def _once_ms(authorization: Authorization) -> int:
    requirement = authorization.requirement
    kept: timedelta = requirement.token_lifetime + keys.TOMBSTONE
    return span_ms(kept) if requirement.once else 0


def _tries(held: dict[bytes, bytes]) -> dict[Method, int]:
    return {
        Method(name.removeprefix(_TRIES).decode()): int(count)
        for name, count in held.items()
        if name.startswith(_TRIES)
    }


def _unseal(sealed: bytes, challenge_id: ChallengeId, sealer: Sealer) -> tuple[Authenticator, ...]:
    try:
        return _authenticators.decode(sealer.unseal(sealed, context=_context(challenge_id)))
    except UnsealError as error:
        # A key-encryption key is missing here; another instance may well have it.
        raise DependencyUnavailableError from error


def _context(challenge_id: ChallengeId) -> str:
    return f"challenge:{challenge_id}"
