"""Every key, with what it holds and how long it is kept; keys are built nowhere else.

What one script touches shares a hash tag. Every value carries its format: a hash in its field
`v`, a sealed string inside its seal. Times in values say what is valid and come from our clock;
how long a key is kept is the server's own clock and always longer.
"""

import hashlib
from base64 import urlsafe_b64encode
from datetime import timedelta

from stepup.domain.assurance import Method
from stepup.domain.ids import AuthenticatorId, ChallengeId, SubjectId
from stepup.domain.requirement import MAX_TOKEN_LIFETIME
from stepup.domain.revocation import Revoked

FORMAT = 1
# Of every key: so the service may have a user who sees nothing else.
PREFIX = "su:"

# A late replay is told from an unknown challenge for as long as any token can live.
TOMBSTONE = timedelta(minutes=10)
# Far longer than the window of a code; a signature count falls back to PostgreSQL's after that.
STEP_KEPT = timedelta(hours=24)
# As long as an outage of PostgreSQL may last without anybody noticing a difference.
CREDENTIALS_KEPT = timedelta(hours=24)
# Longer than a copy that was read just before the retirement can be kept, and the challenge that
# it opens in its last second: a retired authenticator is refused wherever an old list survived.
RETIRED_KEPT = CREDENTIALS_KEPT + timedelta(hours=1)
SNAPSHOT_KEPT = timedelta(days=7)
SHADOW_KEPT = timedelta(days=30)
# Longer than PostgreSQL may be away before it learns that a code was burned, and then any copy of
# the list may live that was made before.
RECOVERY_CODE_KEPT = timedelta(days=90)
# Twice the longest token, so that an instance that was away for one token's life misses nothing.
FEED_KEPT = 2 * MAX_TOKEN_LIFETIME
CHANGES_KEPT = timedelta(hours=1)
# Renewed all the time: only a state that nobody used for a week may forget that it was one.
GENERATION_KEPT = timedelta(days=7)
_REVOKED = {
    Revoked.TOKEN: "jti",
    Revoked.GRANT: "txn",
    Revoked.SUBJECT: "sub",
    Revoked.KEY: "kid",
    Revoked.CLIENT: "cid",
    Revoked.AUTHENTICATOR: "aid",
}
# Announcements carry nothing; an instance that missed this many polls anyway.
CHANGES_LENGTH = 1000


def challenge(challenge_id: ChallengeId) -> str:
    """Hash: the challenge. Its lifetime, or its code's if that is later, and the tombstone."""
    return f"su:{{c.{challenge_id}}}:h"


def ceremonies(challenge_id: ChallengeId) -> str:
    """Hash: the WebAuthn challenges that are outstanding. As long as the challenge."""
    return f"su:{{c.{challenge_id}}}:wa"


def permits(challenge_id: ChallengeId) -> str:
    """Hash: the attempts that were counted, and those recorded. As long as the challenge."""
    return f"su:{{c.{challenge_id}}}:permit"


def code(challenge_id: ChallengeId) -> str:
    """Hash: digest of the code, who redeemed it and when. Its 60 s and the tombstone."""
    return f"su:{{c.{challenge_id}}}:code"


def once(challenge_id: ChallengeId) -> str:
    """Hash: leave to consume a once-only token, who did and when. The token's life + tombstone."""
    return f"su:{{c.{challenge_id}}}:once"


def refresh(challenge_id: ChallengeId) -> str:
    """Hash: what a ceremony goes on giving, and how often it was used. Its end + tombstone."""
    return f"su:{{c.{challenge_id}}}:refresh"


def step(subject_id: SubjectId, authenticator_id: AuthenticatorId) -> str:
    """Hash: last accepted time step or signature count. `STEP_KEPT` after the last one."""
    return f"su:{{s.{subject_id}}}:otp:{authenticator_id}"


def credentials(subject_id: SubjectId) -> str:
    """String: a subject's authenticators as they were read, sealed. `CREDENTIALS_KEPT`."""
    return f"su:{{s.{subject_id}}}:cred"


def recovery_code(
    subject_id: SubjectId, authenticator_id: AuthenticatorId, code_digest: bytes
) -> str:
    """Hash: that a recovery code was used, and by which attempt. `RECOVERY_CODE_KEPT`."""
    digest = urlsafe_b64encode(code_digest).decode()
    return f"su:{{s.{subject_id}}}:rc:{authenticator_id}:{digest}"


def fill_place() -> str:
    """String: how far the cache of authenticators was filled. `CREDENTIALS_KEPT` after a page."""
    return "su:{cred}:place"


def attempts(subject_id: SubjectId, method: Method) -> str:
    """Hash: GCRA bucket of a subject's attempts with a method. Until it is full again."""
    return f"su:{{s.{subject_id}}}:fail:{method.value}"


def replay(scope: str, identifier: str) -> str:
    """Hash: an identifier that was seen, and the attempt. As long as it would be accepted."""
    return f"su:{{j.{scope}.{_digest(identifier)}}}"


def revoked(what: Revoked, value: str) -> str:
    """Hash: mark of what is revoked. Until nothing that it ends is alive, and the tombstone."""
    return f"su:{{rev}}:{_REVOKED[what]}:{value}"


def live_revocations() -> str:
    """Sorted set: revocations as JSON text, by when they concern nobody. As long as the last."""
    return "su:{rev}:live"


def revocations() -> str:
    """Stream: revocations and heartbeats for every instance. `FEED_KEPT` after the last one."""
    return "su:{rev}:stream"


def revocation_number() -> str:
    """Integer: number of the last revocation, so that a gap shows. As long as the stream."""
    return "su:{rev}:seq"


def status_lists(window: int) -> str:
    """Hash: the status lists of a window, and who has each place. Its end and the tombstone."""
    return f"su:{{sl.{window}}}:lists"


def listed_tokens(window: int) -> str:
    """List: the tokens of a window as they got places. Its end and the tombstone."""
    return f"su:{{sl.{window}}}:tokens"


def session(digest: str) -> str:
    """String: a sealed session of the account pages. Until it expires."""
    return f"su:{{a.{digest}}}:session"


def login(digest: str) -> str:
    """String: a sealed login that was sent to an upstream. Ten minutes."""
    return f"su:{{a.{digest}}}:login"


def elevation(digest: str) -> str:
    """String: a sealed step-up of the account pages' own. As long as its code can be redeemed."""
    return f"su:{{a.{digest}}}:elevation"


def browser_session(digest: str) -> str:
    """Hash: what a browser has proved, sealed. Until the last of it expires."""
    return f"su:{{b.{digest}}}:session"


def kept_request(digest: str) -> str:
    """String: a sealed authorization request that a browser posted. Ten minutes."""
    return f"su:{{b.{digest}}}:request"


def enrollment(enrollment_id: str) -> str:
    """String: a sealed authenticator that is not confirmed yet. Ten minutes."""
    return f"su:{{a.{_digest(enrollment_id)}}}:enrollment"


def outbox() -> str:
    """Stream: rows that wait for PostgreSQL.

    No expiry, like that of decisions: an entry goes when it was written, never by itself. Its length
    is watched instead.
    """
    return "su:{out}:stream"


def decisions() -> str:
    """Stream: recorded decisions that wait for PostgreSQL. Until written; bounded by a setting."""
    return "su:{dec}:stream"


def snapshot() -> str:
    """Hash: the configuration and when it was confirmed, sealed. `SNAPSHOT_KEPT`, renewed."""
    return "su:{snap}:configuration"


def shadow(digest: str) -> str:
    """Hash: what a shadow's text said, counted. `SHADOW_KEPT` after the last count."""
    return f"su:{{sh.{_digest(digest)}}}:findings"


def changes() -> str:
    """Stream: announcements that configuration changed. `CHANGES_KEPT` after the last one."""
    return "su:{ev}:stream"


def switchover_probe() -> str:
    """String: written to see whether a new primary takes writes. One second."""
    return "su:{g}:probe"


def generation() -> str:
    """Hash: which generation of the state this is, and its floor. `GENERATION_KEPT`, renewed."""
    return "su:{g}:gen"


def _digest(text: str) -> str:
    """Make any text, of any length and from anybody, fit between braces."""
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:18]).decode()
