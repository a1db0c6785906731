"""What people answered: the rules that it became, and which answers were heard."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rules",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("pipeline", sa.String(length=64), nullable=False),
        sa.Column("series", sa.String(length=500), nullable=False),
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lapse_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("rules_by_series", "rules", ["pipeline", "series"])
    op.create_index("rules_by_incident", "rules", ["incident_id"])
    op.create_index("rules_by_end", "rules", ["lapse_seen_at", "undone_at", "until"])
    op.create_table(
        "heard",
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(length=255), nullable=False),
        sa.Column("said_id", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("became", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("service", "place", "said_id"),
    )
    op.add_column("runs", sa.Column("plain", sa.Text(), nullable=True))
    op.add_column("series_states", sa.Column("ruled", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("series_states", "ruled")
    op.drop_column("runs", "plain")
    op.drop_table("heard")
    op.drop_table("rules")
