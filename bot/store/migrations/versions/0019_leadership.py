"""Who leads the Heralds that share a state, and which holding a lease is of."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leadership",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clock_ahead", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("leadership_by_epoch", "leadership", ["name", "epoch"], unique=True)
    op.add_column("leases", sa.Column("holding", sa.String(length=32), nullable=True))


def downgrade() -> None:
    op.drop_column("leases", "holding")
    op.drop_table("leadership")
