"""Where the job of a fire was submitted, and how it stands there."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("fires", sa.Column("executor", sa.String(64), nullable=True))
    op.add_column("fires", sa.Column("standing", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("fires", "standing")
    op.drop_column("fires", "executor")
