"""Does anybody acknowledge what the primary's commits wait for? Without that they wait for ever."""

import re
from typing import NamedTuple

from sqlalchemy import text

from stepup.adapters.postgres.line import Line

_NEEDED = re.compile(r"\s*(?:(?:ANY|FIRST)\s*)?(\d+)\s*\(", re.IGNORECASE)
# To a user without `pg_read_all_stats` a standby is a row of nothing but nulls.
_LOOK = text("""
SELECT current_setting('synchronous_standby_names') AS names,
  count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) AS acknowledging,
  count(*) FILTER (WHERE sync_state IS NULL) AS hidden
FROM pg_stat_replication
""")


class Standbys(NamedTuple):
    """Whom commits wait for, how many do acknowledge, and of how many that cannot be seen."""

    names: str
    acknowledging: int
    hidden: int

    @property
    def needed(self) -> int:
        """How many must acknowledge a commit."""
        if not self.names.strip():
            return 0
        counted = _NEEDED.match(self.names)
        return int(counted[1]) if counted else 1

    @property
    def are_missing(self) -> bool:
        """Say whether no commit can return."""
        return self.acknowledging + self.hidden < self.needed

    def __str__(self) -> str:
        if not self.needed:
            return "commits wait for no standby"
        waited = f"synchronous_standby_names is {self.names!r}"
        if self.are_missing:
            return (
                f"{waited} and {self.acknowledging + self.hidden} of {self.needed} acknowledge, so "
                "no commit returns; start the standby, or clear the setting"
            )
        if self.acknowledging < self.needed:
            return f"{waited}; whether they acknowledge is seen with pg_read_all_stats only"
        return f"{waited} and {self.acknowledging} acknowledge"


async def find_standbys(line: Line) -> Standbys:
    """Ask the primary.

    Raises:
        DependencyUnavailableError: If it does not answer.
    """
    async with line.transaction(autocommit=True) as transaction:
        (row,) = await transaction.rows(_LOOK)
    return Standbys(row.names, row.acknowledging, row.hidden)
