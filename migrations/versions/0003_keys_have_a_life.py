"""A signing key has moments: since when it stands as it does, and what was decided about it.

Works with the release before it, which neither reads nor writes the new columns.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENTS = ("since", "wanted_at", "condemned_at", "revoked_at")


def upgrade() -> None:
    """Go to this revision."""
    for name in MOMENTS:
        op.add_column("key", sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Go back to the one before; a key that was to be removed or promoted is not any more."""
    for name in reversed(MOMENTS):
        op.drop_column("key", name)
