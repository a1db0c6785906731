"""Which incidents were filed since a cycle's end, and which lie under one ticket."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "filings",
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("pipeline", sa.String(length=64), nullable=False),
        sa.Column("umbrella", sa.String(length=400), nullable=True),
        sa.PrimaryKeyConstraint("incident_id"),
    )
    op.create_index("filings_by_pipeline", "filings", ["pipeline", "umbrella"])


def downgrade() -> None:
    op.drop_table("filings")
