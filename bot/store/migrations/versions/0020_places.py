"""Where the job of a fire runs, if only the Herald that has its folder can see it."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("fires", sa.Column("place", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("fires", "place")
