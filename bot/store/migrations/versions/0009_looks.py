"""Whether a pipeline's runs could be looked at."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "looks",
        sa.Column("pipeline", sa.String(length=64), primary_key=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("said", sa.Text(), nullable=False, server_default=""),
    )
    op.execute(
        "INSERT INTO looks (pipeline, seen_at, said) SELECT pipeline, MAX(looked_at), '' FROM contacts GROUP BY pipeline"
    )


def downgrade() -> None:
    op.drop_table("looks")
