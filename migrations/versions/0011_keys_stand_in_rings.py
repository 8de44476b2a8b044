"""Signing keys stand in rings: a use, an algorithm and a region.

The release before reads `key` alone, and takes every row of it for a key of its one ring, or fails
on a use that it does not know: that ring stays where it is, and the others have a table of their
own. It writes no `region`, and needs none.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MOMENTS = ("since", "wanted_at", "condemned_at", "revoked_at")


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("key", sa.Column("region", sa.Text(), nullable=True))
    op.create_table(
        "signing_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("public_jwk", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=True) for name in MOMENTS),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_key")),
    )
    op.create_index(
        "uq_signing_key_one_active",
        "signing_key",
        ["use", "algorithm", "region"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
    )
    op.execute(
        "CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE ON signing_key "
        "FOR EACH ROW EXECUTE FUNCTION count_configuration_change()"
    )


def downgrade() -> None:
    """Go back to the one before; what the other rings signed is of no use to it."""
    op.drop_table("signing_key")
    op.drop_column("key", "region")
