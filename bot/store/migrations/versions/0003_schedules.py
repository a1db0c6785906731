"""Pipelines with their next due times; why a fire was recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pipelines",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("known_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("scheduled_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_due", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    with op.batch_alter_table("fires") as fires:
        fires.add_column(sa.Column("by_hand", sa.Boolean(), nullable=False, server_default=sa.false()))
        fires.add_column(sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("fires") as fires:
        fires.drop_column("attempt")
        fires.drop_column("by_hand")
    op.drop_table("pipelines")
