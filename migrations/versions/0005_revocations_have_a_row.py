"""Revocations have a row each, so that they outlive Redis.

The release before writes none and reads none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "revocation",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "written_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("what", "value", name=op.f("pk_revocation")),
    )
    op.create_index(op.f("ix_revocation_written_at"), "revocation", ["written_at"])
    op.create_index(op.f("ix_revocation_until"), "revocation", ["until"])


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_table("revocation")
