"""The ledger of refresh tokens: which attempt each of them went to.

Works with the release before it, which gives none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "refresh_use",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Text(), nullable=False),
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_refresh_use")),
    )
    op.create_index(
        op.f("ix_refresh_use_used_at"), "refresh_use", ["used_at"], postgresql_using="brin"
    )


def downgrade() -> None:
    """Go back to the one before; what was used is forgotten here, Redis still knows."""
    op.drop_table("refresh_use")
