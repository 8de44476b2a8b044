"""The first tables.

Works with the release before it: a required column takes three steps (nullable, backfill,
enforce), and a column is dropped one release after its last use.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# By row, because an insert that finds its row there already must not wake every instance.
COUNT_CHANGES = """
CREATE FUNCTION count_configuration_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE configuration_change SET version = version + 1;
  RETURN NULL;
END $$
"""
COUNTED = ("policy_version", "client", "key")


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "audit_event",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("subject_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("challenge_id", sa.Text(), nullable=True),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_event")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_audit_event_entry_id")),
    )
    op.create_table(
        "authenticator",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("sub", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("credential_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("credential_ref", sa.LargeBinary(), nullable=True),
        sa.Column("sign_count", sa.BigInteger(), nullable=True),
        sa.Column("backed_up", sa.Boolean(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authenticator")),
        sa.UniqueConstraint("credential_ref", name=op.f("uq_authenticator_credential_ref")),
    )
    op.create_index(
        op.f("ix_authenticator_subject_id_created_at_id"),
        "authenticator",
        ["subject_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "client",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_client")),
    )
    op.create_table(
        "configuration_change",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_configuration_change_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_configuration_change")),
    )
    op.create_table(
        "key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("public_jwk", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key")),
    )
    op.create_index(
        "uq_key_one_active",
        "key",
        ["use"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_table(
        "policy_version",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy_version")),
    )
    op.execute("INSERT INTO configuration_change (version) VALUES (0)")
    op.execute(COUNT_CHANGES)
    for table in COUNTED:
        op.execute(
            f"CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION count_configuration_change()"
        )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_table("policy_version")
    op.drop_index(
        "uq_key_one_active", table_name="key", postgresql_where=sa.text("state = 'active'")
    )
    op.drop_table("key")
    op.drop_table("configuration_change")
    op.drop_table("client")
    op.drop_index(op.f("ix_authenticator_subject_id_created_at_id"), table_name="authenticator")
    op.drop_table("authenticator")
    op.drop_table("audit_event")
    op.execute("DROP FUNCTION count_configuration_change()")
