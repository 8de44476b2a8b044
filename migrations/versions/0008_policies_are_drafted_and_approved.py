"""Policies are drafted and approved, and a version tells how it came about.

Works with the release before it, which writes versions without the new columns and knows no drafts.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    told = (
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("base", sa.Integer(), nullable=True),
        sa.Column("draft", sa.BigInteger(), nullable=True),
        sa.Column("approvers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("rolled_back_from", sa.Integer(), nullable=True),
    )
    for column in told:
        op.add_column("policy_version", column)
    op.create_table(
        "policy_draft",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("scheduled_by", sa.Text(), nullable=True),
        sa.Column("activated_as", sa.Integer(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "num_nulls(scheduled_at, scheduled_by) IN (0, 2)",
            name=op.f("ck_policy_draft_whole_schedule"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_draft")),
    )
    op.create_index(
        "ix_policy_draft_due",
        "policy_draft",
        ["scheduled_at"],
        unique=False,
        postgresql_where=sa.text("state = 'scheduled'"),
    )
    op.create_table(
        "policy_author",
        sa.Column("draft", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("administrator", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("draft", "digest", "administrator", name=op.f("pk_policy_author")),
    )
    op.create_index(op.f("ix_policy_author_digest"), "policy_author", ["digest"], unique=False)
    op.create_table(
        "policy_approval",
        sa.Column("draft", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("administrator", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("draft", "administrator", name=op.f("pk_policy_approval")),
    )
    op.create_table(
        "policy_shadow",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("draft", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("administrator", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_policy_shadow_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_policy_shadow")),
    )
    op.execute(
        "CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE ON policy_shadow "
        "FOR EACH ROW EXECUTE FUNCTION count_configuration_change()"
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_table("policy_shadow")
    op.drop_table("policy_approval")
    op.drop_index(op.f("ix_policy_author_digest"), table_name="policy_author")
    op.drop_table("policy_author")
    op.drop_index(
        "ix_policy_draft_due",
        table_name="policy_draft",
        postgresql_where=sa.text("state = 'scheduled'"),
    )
    op.drop_table("policy_draft")
    for column in ("rolled_back_from", "approvers", "draft", "base", "note", "digest"):
        op.drop_column("policy_version", column)
