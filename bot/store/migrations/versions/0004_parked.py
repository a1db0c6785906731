"""What an effect waits for; why it is parked, since when, and what the service says of single fields."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("outbox") as outbox:
        outbox.add_column(sa.Column("fields", sa.Text(), nullable=True))
        outbox.add_column(sa.Column("waits_for", sa.String(length=400), nullable=True))
        outbox.add_column(sa.Column("parked_for", sa.String(length=16), nullable=True))
        outbox.add_column(sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True))
        outbox.create_index(op.f("ix_outbox_waits_for"), ["waits_for"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("outbox") as outbox:
        outbox.drop_index(op.f("ix_outbox_waits_for"))
        for name in ("parked_at", "parked_for", "waits_for", "fields"):
            outbox.drop_column(name)
