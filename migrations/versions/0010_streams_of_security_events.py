"""Streams of security events, what waits in them, and what they are made of.

The release before writes none of it and reads none of it. What it enrolls and removes is followed
by the trigger; of what it revokes there is no event, and nobody waits for one.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NAME_SUBJECTS = """
CREATE FUNCTION name_signal_subject() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO signal_subject (subject_id, issuer, sub)
    VALUES (NEW.subject_id, NEW.issuer, NEW.sub)
    ON CONFLICT (subject_id) DO UPDATE SET gone_at = NULL
    WHERE signal_subject.gone_at IS NOT NULL;
  ELSIF NOT EXISTS (SELECT FROM authenticator WHERE subject_id = OLD.subject_id) THEN
    UPDATE signal_subject SET gone_at = now() WHERE subject_id = OLD.subject_id;
  END IF;
  RETURN NULL;
END
$$
"""
_TRIGGER = """
CREATE TRIGGER name_signal_subject AFTER INSERT OR DELETE ON authenticator
FOR EACH ROW EXECUTE FUNCTION name_signal_subject()
"""
_THOSE_WHO_ARE_THERE = """
INSERT INTO signal_subject (subject_id, issuer, sub)
SELECT DISTINCT ON (subject_id) subject_id, issuer, sub FROM authenticator
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "signal_stream",
        sa.Column("stream_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("pushed", sa.Boolean(), nullable=False),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("refusals", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("turn_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("stream_id", name=op.f("pk_signal_stream")),
    )
    op.create_index(op.f("ix_signal_stream_client_id"), "signal_stream", ["client_id"])
    op.create_table(
        "signal_event",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("stream_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("parting", sa.Boolean(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_signal_event")),
    )
    op.create_index(
        "uq_signal_event_stream_id", "signal_event", ["stream_id", "event_id"], unique=True
    )
    op.create_index(
        "ix_signal_event_waiting",
        "signal_event",
        ["stream_id", "seq"],
        postgresql_where=sa.text("problem IS NULL"),
    )
    op.create_index(op.f("ix_signal_event_queued_at"), "signal_event", ["queued_at"])
    op.create_table(
        "signal_choice",
        sa.Column("stream_id", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "subject_id", name=op.f("pk_signal_choice")),
    )
    op.create_index(op.f("ix_signal_choice_subject_id"), "signal_choice", ["subject_id"])
    op.create_table(
        "signal_elevation",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("acr", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_signal_elevation")),
    )
    op.create_index(op.f("ix_signal_elevation_subject_id"), "signal_elevation", ["subject_id"])
    op.create_index(op.f("ix_signal_elevation_until"), "signal_elevation", ["until"])
    op.create_table(
        "signal_place",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_signal_place_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_signal_place")),
    )
    _name_subjects()


def _name_subjects() -> None:
    op.create_table(
        "signal_subject",
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("sub", sa.Text(), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_signal_subject")),
    )
    op.create_index(op.f("ix_signal_subject_gone_at"), "signal_subject", ["gone_at"])
    op.execute(_NAME_SUBJECTS)
    op.execute(_TRIGGER)
    op.execute(_THOSE_WHO_ARE_THERE)


def downgrade() -> None:
    """Go back to the one before."""
    op.execute("DROP TRIGGER name_signal_subject ON authenticator")
    op.execute("DROP FUNCTION name_signal_subject()")
    for table in (
        "signal_subject",
        "signal_place",
        "signal_elevation",
        "signal_choice",
        "signal_event",
        "signal_stream",
    ):
        op.drop_table(table)
