"""Decisions are recorded, in a partition for each day.

Works with the release before it, which records none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "decision",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("record", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("at", "id", name=op.f("pk_decision")),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index(op.f("ix_decision_action_at"), "decision", ["action", "at"])
    op.create_index(op.f("ix_decision_subject_id_at"), "decision", ["subject_id", "at"])
    op.create_index(
        "ix_decision_refused",
        "decision",
        ["outcome", "at"],
        postgresql_where=sa.text("outcome <> 'allow'"),
    )
    # The days are made by the service; a record finds a place before the first of them is.
    op.execute("CREATE TABLE decision_other PARTITION OF decision DEFAULT")


def downgrade() -> None:
    """Go back to the one before, and forget every recorded decision."""
    op.drop_table("decision")
