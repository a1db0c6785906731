"""Indexes that keep work in proportion to what is done, not to what is there; when an incident was over."""

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_GONE = {
    "ix_fires_pipeline": ("fires", ["pipeline"]),
    "ix_incidents_pipeline": ("incidents", ["pipeline"]),
    "ix_incidents_state": ("incidents", ["state"]),
    "ix_outbox_state": ("outbox", ["state"]),
    "ix_outbox_incident_id": ("outbox", ["incident_id"]),
    "ix_outbox_waits_for": ("outbox", ["waits_for"]),
    "outbox_by_lane": ("outbox", ["lane", "seq"]),
}
_NEW = {
    "fires_by_number": ("fires", ["pipeline", "number"]),
    "fires_by_end": ("fires", ["pipeline", "state", "ended_at"]),
    "runs_by_end": ("runs", ["pipeline", "ended_at"]),
    "runs_accepted": ("runs", ["pipeline", "series", "accepted", "ended_at"]),
    "incidents_by_series": ("incidents", ["pipeline", "state", "series"]),
    "incidents_by_end": ("incidents", ["state", "closed_at"]),
    "objects_by_age": ("objects", ["created_at"]),
    "outbox_by_state": ("outbox", ["state", "seq", "service", "not_before", "leased_until", "lane", "kind"]),
    "outbox_by_time": ("outbox", ["state", "not_before"]),
    "outbox_by_lane": ("outbox", ["lane", "state", "seq", "kind"]),
    "outbox_by_kind": ("outbox", ["kind", "lane", "created_at"]),
    "outbox_by_incident": ("outbox", ["incident_id", "state", "kind"]),
}
_OF_FEW = {
    "fires_that_confirm": ("fires", ["confirms"], "confirms IS NOT NULL"),
    "outbox_leased": ("outbox", ["state", "owner"], "owner IS NOT NULL"),
    "outbox_waiting": ("outbox", ["state", "waits_for"], "waits_for IS NOT NULL"),
    "outbox_unbound": ("outbox", ["state", "kind"], "unbound != ''"),
}


def upgrade() -> None:
    with op.batch_alter_table("incidents") as incidents:
        incidents.add_column(sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    _fill_in_the_ends()
    for name, (table, _) in _GONE.items():
        op.drop_index(name, table)
    for name, (table, columns) in _NEW.items():
        op.create_index(name, table, columns, unique=False)
    for name, (table, columns, where) in _OF_FEW.items():
        few = sa.text(where)
        op.create_index(name, table, columns, unique=False, sqlite_where=few, postgresql_where=few)


def downgrade() -> None:
    for name in (*_OF_FEW, *_NEW):
        op.drop_index(name)
    for name, (table, columns) in _GONE.items():
        op.create_index(name, table, columns, unique=False)
    with op.batch_alter_table("incidents") as incidents:
        incidents.drop_column("closed_at")


def _fill_in_the_ends() -> None:
    """Copy the end of each incident that is over out of its text."""
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT incident_id, incident FROM incidents"))
    ends = [(name, json.loads(text)[0].get("closed_at")) for name, text in rows]
    found = [{"name": name, "end": datetime.fromisoformat(end)} for name, end in ends if end]
    if found:
        incidents = sa.table("incidents", sa.column("incident_id"), sa.column("closed_at", sa.DateTime(timezone=True)))
        one = incidents.update().where(incidents.c.incident_id == sa.bindparam("name"))
        connection.execute(one.values(closed_at=sa.bindparam("end")), found)
