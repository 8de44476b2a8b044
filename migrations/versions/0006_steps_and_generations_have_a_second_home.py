"""Time steps and generations of the state have a second home.

Works with the release before it, which neither reads nor writes them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("authenticator", sa.Column("last_step", sa.BigInteger(), nullable=True))
    op.create_table(
        "generation",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("region", "id", name=op.f("pk_generation")),
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_table("generation")
    op.drop_column("authenticator", "last_step")
