<%
    body = f"{upgrades or ''}{downgrades or ''}"
    lines = ["import sqlalchemy as sa"] if "sa." in body else []
    lines += ["from alembic import op"] if "op." in body else []
    lines += imports.splitlines() if imports else []
    head = "\n".join(lines) + "\n\n" if lines else ""
    quoted = lambda value: f'"{value}"' if value else None
%>"""${message[:1].upper()}${message[1:].rstrip(".")}.

Works with the release before it: a required column takes three steps (nullable, backfill,
enforce), and a column is dropped one release after its last use.
"""

${head}revision = ${quoted(up_revision)}
down_revision = ${quoted(down_revision)}
branch_labels = ${quoted(branch_labels)}
depends_on = ${quoted(depends_on)}


def upgrade() -> None:
    """Go to this revision."""
% if upgrades:
    ${upgrades}
% endif


def downgrade() -> None:
    """Go back to the one before."""
% if downgrades:
    ${downgrades}
% endif
