"""The ledger: which attempt each code and each once-only token went to.

Works with the release before it, which writes no rows: what it grants has Redis alone behind it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "redemption",
        sa.Column("challenge", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Text(), nullable=False),
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("redeemed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("challenge", name=op.f("pk_redemption")),
    )
    op.create_index(
        op.f("ix_redemption_redeemed_at"), "redemption", ["redeemed_at"], postgresql_using="brin"
    )
    op.create_table(
        "consumption",
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("consumed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_consumption")),
    )
    op.create_index(
        op.f("ix_consumption_consumed_at"), "consumption", ["consumed_at"], postgresql_using="brin"
    )


def downgrade() -> None:
    """Go back to the one before; what was spent is forgotten here, Redis still knows."""
    op.drop_table("consumption")
    op.drop_table("redemption")
