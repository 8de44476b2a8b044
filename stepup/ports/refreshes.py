"""What ceremonies go on giving: one record for all refresh tokens of a ceremony."""

from datetime import datetime
from typing import Protocol

import msgspec

from stepup.domain.ids import AttemptId, ChallengeId
from stepup.domain.refresh import RefreshGrant


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """The one use of a refresh token. `repeated` when the same attempt asked again."""

    used_at: datetime
    repeated: bool = False


class CurrentRefresh(msgspec.Struct, frozen=True):
    """What a ceremony goes on giving, and the count of the token that is good now."""

    grant: RefreshGrant
    count: int


class RefreshReusedError(Exception):
    """A refresh token came that another attempt had used: all of the ceremony must be revoked.

    Now or before: whoever found it first may not have come to revoking.
    """


class RefreshStore(Protocol):
    """Refresh tokens by their ceremony and their count; of each count one attempt gets the next.

    The tokens themselves are computed and lie nowhere. A record is forgotten when it has expired.
    """

    async def open(self, grant: RefreshGrant) -> None:
        """Keep a new grant, whose tokens count from 0; again is harmless.

        What was used or ended stays as it is.
        """
        ...

    async def find(self, challenge_id: ChallengeId) -> RefreshGrant | None:
        """Return what a ceremony goes on giving, None when it gives nothing."""
        ...

    async def current(self, challenge_id: ChallengeId) -> CurrentRefresh | None:
        """Return what a ceremony gives and to whom next, None when it gives nothing any more.

        Changes nothing. A count that is ahead of this one is as good, as for `rotate`.
        """
        ...

    async def rotate(
        self,
        challenge_id: ChallengeId,
        count: int,
        attempt: AttemptId,
        now: datetime,
        *,
        everywhere: bool = False,
    ) -> Rotation:
        """Use the token of a count; of all attempts one gets it, and the same one gets it again.

        A count that is ahead of the record was given out, so the record has forgotten it and
        learns it again. With `everywhere` every replica that there should be holds it.

        Raises:
            RefreshReusedError: If another attempt has used it, or one of the ceremony was used
                twice before; nothing of the ceremony is given any more.
            InvalidGrantError: If there is no such grant, or it has expired.
        """
        ...

    async def release(
        self, challenge_id: ChallengeId, count: int, attempt: AttemptId, until: datetime
    ) -> None:
        """Give a token back that this attempt has used, if it has; another may use it then.

        Only for an attempt that granted nothing and never comes again. Returns at once and is
        tried until then; what is not given back stays used.
        """
        ...
