"""Two pipelines may judge the same run."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COLUMNS = (
    "run_id, pipeline, series, fire_id, ended_at, judged_at, outcome, accepted, wants_confirmation, page_title,"
    " run, card, findings"
)


def upgrade() -> None:
    _make_anew("pipeline", "run_id")


def downgrade() -> None:
    """Go back; of a run that two pipelines have judged, one verdict stays."""
    op.execute(
        "DELETE FROM runs WHERE EXISTS (SELECT 1 FROM runs AS other"
        " WHERE other.run_id = runs.run_id AND other.pipeline < runs.pipeline)"
    )
    _make_anew("run_id")


def _make_anew(*key: str) -> None:
    """Copy the rows into a table with another primary key: SQLite cannot change one in place."""
    op.create_table(
        "runs_anew",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("pipeline", sa.String(length=64), nullable=False),
        sa.Column("series", sa.String(length=500), nullable=False),
        sa.Column("fire_id", sa.String(length=64), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("wants_confirmation", sa.Boolean(), nullable=False),
        sa.Column("page_title", sa.String(length=255), nullable=True),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(*key),
    )
    op.execute(f"INSERT INTO runs_anew ({_COLUMNS}) SELECT {_COLUMNS} FROM runs")
    op.drop_table("runs")
    op.rename_table("runs_anew", "runs")
    op.create_index("runs_by_series", "runs", ["pipeline", "series", "ended_at"], unique=False)
