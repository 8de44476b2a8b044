"""The audit log is a chain, and append-only.

Works with the release before it, which writes entries without a link; `stepup audit adopt` chains
them once no instance of it is left.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The one change that is let through: an entry that has no link is given one, and keeps the rest.
REFUSE_CHANGES = """
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  link CONSTANT text[] := ARRAY['position', 'previous', 'hash'];
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.position IS NULL AND NEW.position IS NOT NULL
       AND to_jsonb(OLD) - link = to_jsonb(NEW) - link THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
END $$
"""
TRIGGERS = {
    "refuse_change": "BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW",
    "refuse_truncate": "BEFORE TRUNCATE ON audit_event FOR EACH STATEMENT",
}


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("audit_event", sa.Column("position", sa.BigInteger(), nullable=True))
    op.add_column("audit_event", sa.Column("previous", sa.LargeBinary(), nullable=True))
    op.add_column("audit_event", sa.Column("hash", sa.LargeBinary(), nullable=True))
    op.create_index("uq_audit_event_position", "audit_event", ["position"], unique=True)
    op.create_index(
        "ix_audit_event_unchained",
        "audit_event",
        ["seq"],
        postgresql_where=sa.text("position IS NULL"),
    )
    op.create_check_constraint(
        op.f("ck_audit_event_whole_link"),
        "audit_event",
        "num_nulls(position, previous, hash) IN (0, 3) AND position > 0",
    )
    op.execute(REFUSE_CHANGES)
    for name, event in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {event} EXECUTE FUNCTION refuse_audit_change()")
        # Also for sessions that replay a replication stream, or claim to.
        op.execute(f"ALTER TABLE audit_event ENABLE ALWAYS TRIGGER {name}")


def downgrade() -> None:
    """Go back to the one before; the entries stay, their links go."""
    for name in TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON audit_event")
    op.execute("DROP FUNCTION refuse_audit_change()")
    op.drop_constraint(op.f("ck_audit_event_whole_link"), "audit_event")
    op.drop_index("ix_audit_event_unchained", table_name="audit_event")
    op.drop_index("uq_audit_event_position", table_name="audit_event")
    op.drop_column("audit_event", "hash")
    op.drop_column("audit_event", "previous")
    op.drop_column("audit_event", "position")
