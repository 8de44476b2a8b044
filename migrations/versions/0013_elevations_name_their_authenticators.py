"""Which authenticators gave an elevation, so that one that is removed ends no more than its own.

Works with the release before it, which does not know the column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("signal_elevation", sa.Column("authenticators", sa.Text(), nullable=True))


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_column("signal_elevation", "authenticators")
