"""The tables. What a row means is said by the store that reads it; how it came about, by `migrations/`.

Times are `timestamptz`. Nothing secret lies here in clear: `*_sealed` columns hold ciphertext
bound to their row, and what must be found again is kept as a digest.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

policy_version = Table(
    "policy_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("activated_at", DateTime(timezone=True), nullable=False),
    # NULL in rows of a release that kept nothing of how a version came about.
    Column("digest", Text, nullable=True),
    Column("note", Text, nullable=True),
    Column("base", Integer, nullable=True),
    Column("draft", BigInteger, nullable=True),
    Column("approvers", JSONB, nullable=True),
    Column("rolled_back_from", Integer, nullable=True),
)

policy_draft = Table(
    "policy_draft",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("base", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("scheduled_at", DateTime(timezone=True), nullable=True),
    Column("scheduled_by", Text, nullable=True),
    Column("activated_as", Integer, nullable=True),
    Column("failure", Text, nullable=True),
    CheckConstraint("num_nulls(scheduled_at, scheduled_by) IN (0, 2)", name="whole_schedule"),
    # Asked every second by every worker.
    Index("ix_policy_draft_due", "scheduled_at", postgresql_where=text("state = 'scheduled'")),
)

# Rows are never removed: who wrote a text once is its author in every later draft.
policy_author = Table(
    "policy_author",
    metadata,
    Column("draft", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, primary_key=True),
    Column("administrator", Text, primary_key=True),
    Index(None, "digest"),
)

policy_approval = Table(
    "policy_approval",
    metadata,
    Column("draft", BigInteger, primary_key=True, autoincrement=False),
    Column("administrator", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("base", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

policy_shadow = Table(
    "policy_shadow",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=text("true")),
    Column("draft", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("administrator", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    CheckConstraint("only_row", name="only_row"),
)

client = Table(
    "client",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("data", JSONB, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

authenticator = Table(
    "authenticator",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject_id", Text, nullable=False),
    # Read by operators and exports only: the service names a subject by its identifier.
    Column("issuer", Text, nullable=False),
    Column("sub", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("credential_sealed", LargeBinary, nullable=False),
    # Digest of the WebAuthn credential identifier: one credential belongs to one subject.
    Column("credential_ref", LargeBinary, nullable=True, unique=True),
    # Beside the sealed credential, because they move with every use and nobody unseals for that.
    Column("sign_count", BigInteger, nullable=True),
    Column("backed_up", Boolean, nullable=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True), nullable=True),
    # The second home of what Redis knows first: a code of this step or before is used up.
    Column("last_step", BigInteger, nullable=True),
    # All that `of_subject` asks for, in the order it answers.
    Index(None, "subject_id", "created_at", "id"),
)

# The root secret and one ring: the ES256 keys for access tokens of the first region. The release
# before reads no other table, and takes every row of this one for a key of its only ring.
key = Table(
    "key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("use", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("public_jwk", JSONB, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # When it came into its state; NULL in rows of a release that kept no moments.
    Column("since", DateTime(timezone=True), nullable=True),
    Column("wanted_at", DateTime(timezone=True), nullable=True),
    Column("condemned_at", DateTime(timezone=True), nullable=True),
    Column("revoked_at", DateTime(timezone=True), nullable=True),
    # NULL for the root secret, and in rows of a release that knew no regions: they are of the same
    # region as the other ones here, and before any region has adopted them of none.
    Column("region", Text, nullable=True),
    # Of two instances that start at once on an empty database, one makes the keys.
    Index("uq_key_one_active", "use", unique=True, postgresql_where=text("state = 'active'")),
)

# Every other ring.
signing_key = Table(
    "signing_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("use", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("public_jwk", JSONB, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("since", DateTime(timezone=True), nullable=True),
    Column("wanted_at", DateTime(timezone=True), nullable=True),
    Column("condemned_at", DateTime(timezone=True), nullable=True),
    Column("revoked_at", DateTime(timezone=True), nullable=True),
    Index(
        "uq_signing_key_one_active",
        "use",
        "algorithm",
        "region",
        unique=True,
        postgresql_where=text("state = 'active'"),
    ),
)

audit_event = Table(
    "audit_event",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("entry_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("client_id", Text, nullable=True),
    Column("subject_id", Text, nullable=True),
    Column("action", Text, nullable=True),
    Column("challenge_id", Text, nullable=True),
    Column("details", JSONB, nullable=False),
    # The link of the chain: NULL in entries of a release that had none. `seq` is the order of
    # writing and may have gaps, `position` has none. A trigger refuses every change.
    Column("position", BigInteger, nullable=True),
    Column("previous", LargeBinary, nullable=True),
    Column("hash", LargeBinary, nullable=True),
    Index("uq_audit_event_position", "position", unique=True),
    Index("ix_audit_event_unchained", "seq", postgresql_where=text("position IS NULL")),
    CheckConstraint(
        "num_nulls(position, previous, hash) IN (0, 3) AND position > 0", name="whole_link"
    ),
)

# The first row of a challenge, and of a token, stays. Commits wait for a synchronous standby as
# the server is set: a row that a grant relied on must not be lost with its primary.
redemption = Table(
    "redemption",
    metadata,
    Column("challenge", Text, primary_key=True),
    Column("attempt", Text, nullable=False),
    Column("jti", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("redeemed_at", DateTime(timezone=True), nullable=False),
    # Rows come in this order and leave in it, so the smallest of indexes finds the old ones.
    Index(None, "redeemed_at", postgresql_using="brin"),
)

# A refresh token is named by its challenge and its count.
refresh_use = Table(
    "refresh_use",
    metadata,
    Column("name", Text, primary_key=True),
    Column("challenge", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("attempt", Text, nullable=False),
    Column("jti", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("used_at", DateTime(timezone=True), nullable=False),
    Index(None, "used_at", postgresql_using="brin"),
)

consumption = Table(
    "consumption",
    metadata,
    Column("jti", Text, primary_key=True),
    Column("challenge", Text, nullable=False),
    Column("attempt", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("consumed_at", DateTime(timezone=True), nullable=False),
    Index(None, "consumed_at", postgresql_using="brin"),
)

revocation = Table(
    "revocation",
    metadata,
    Column("what", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("before", DateTime(timezone=True), nullable=False),
    Column("until", DateTime(timezone=True), nullable=False, index=True),
    Column("at", DateTime(timezone=True), nullable=False),
    # By this clock instances read on; it moves when a row is raised.
    Column(
        "written_at",
        DateTime(timezone=True),
        nullable=False,
        index=True,
        server_default=text("clock_timestamp()"),
    ),
)

# Each day has a partition, `decision_20260131`, and what belongs to no day lies in
# `decision_other`. A record is looked up by the columns, and read from `record` alone.
decision = Table(
    "decision",
    metadata,
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("action", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("rule", Text, nullable=True),
    Column("record", Text, nullable=False),
    Index(None, "action", "at"),
    Index(None, "subject_id", "at"),
    # Most are allowances, which nobody looks for.
    Index("ix_decision_refused", "outcome", "at", postgresql_where=text("outcome <> 'allow'")),
    postgresql_partition_by="RANGE (at)",
)

# Which generations of the state in Redis there were: the one that is there must be the youngest.
generation = Table(
    "generation",
    metadata,
    Column("region", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("begun_at", DateTime(timezone=True), nullable=False),
)

administrator = Table(
    "administrator",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("sub", Text, primary_key=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("appointed_by", Text, nullable=False),
    Column("appointed_at", DateTime(timezone=True), nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=True),
    # Roughly: it moves when it is some minutes old.
    Column("last_used_at", DateTime(timezone=True), nullable=True),
    Column("revoked_at", DateTime(timezone=True), nullable=True),
    Index("uq_api_key_name", "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
)

# A stream is kept whole in `data`; beside it stands what is asked for, and what moves by itself.
signal_stream = Table(
    "signal_stream",
    metadata,
    Column("stream_id", Text, primary_key=True),
    Column("client_id", Text, nullable=False, index=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("status", Text, nullable=False),
    Column("pushed", Boolean, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("verified_at", DateTime(timezone=True), nullable=True),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("refusals", Integer, nullable=False, server_default=text("0")),
    Column("next_at", DateTime(timezone=True), nullable=True),
    Column("turn_until", DateTime(timezone=True), nullable=True),
)

# Rows leave when the receiver has them; one with a problem was set aside.
signal_event = Table(
    "signal_event",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("stream_id", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("claims", Text, nullable=False),
    Column("queued_at", DateTime(timezone=True), nullable=False, index=True),
    Column("parting", Boolean, nullable=False),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("problem", Text, nullable=True),
    Index("uq_signal_event_stream_id", "stream_id", "event_id", unique=True),
    Index("ix_signal_event_waiting", "stream_id", "seq", postgresql_where=text("problem IS NULL")),
)

signal_choice = Table(
    "signal_choice",
    metadata,
    Column("stream_id", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True, index=True),
    Column("wanted", Boolean, nullable=False),
)

signal_elevation = Table(
    "signal_elevation",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("subject_id", Text, nullable=False, index=True),
    Column("acr", Text, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False, index=True),
    # Their identifiers with spaces between them; null where nobody noted them.
    Column("authenticators", Text, nullable=True),
)

# The log names a subject by its digest. A trigger on `authenticator` keeps whose it is, and since
# when nothing is enrolled any more: that somebody removed the last one must still be told.
signal_subject = Table(
    "signal_subject",
    metadata,
    Column("subject_id", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("sub", Text, nullable=False),
    Column("gone_at", DateTime(timezone=True), nullable=True, index=True),
)

signal_place = Table(
    "signal_place",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=text("true")),
    Column("position", BigInteger, nullable=False),
    CheckConstraint("only_row", name="only_row"),
)

# One row, moved on by triggers on `policy_version`, `policy_shadow`, `client`, `key` and
# `signing_key`, so that a change made by hand reaches every instance as well.
configuration_change = Table(
    "configuration_change",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=text("true")),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("only_row", name="only_row"),
)
