"""By which recipe a rerun is made, what it measured, and what the reruns of a run came to."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("fires", sa.Column("recipe", sa.Text(), nullable=True))
    op.add_column("fires", sa.Column("measured", sa.Text(), nullable=True))
    op.create_table(
        "confirmations",
        sa.Column("pipeline", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmation", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "run_id"),
    )
    # Reruns of before were judged as runs like others: of those nothing is asked any more.
    op.execute("UPDATE runs SET wants_confirmation = %s" % ("false" if op.get_bind().dialect.name != "sqlite" else "0"))


def downgrade() -> None:
    op.drop_table("confirmations")
    op.drop_column("fires", "measured")
    op.drop_column("fires", "recipe")
