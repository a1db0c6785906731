"""The tables, to which `migrations/` brings a database; long, since all of them stand on one page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    event,
    literal_column,
)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def _index_some(name: str, *columns: Column[Any], where: ColumnElement[bool]) -> None:
    """Index some rows of a table; PostgreSQL's dialect takes its time to import, so it is named where it is at work."""
    index = Index(name, *columns, sqlite_where=where)

    @event.listens_for(columns[0].table, "before_create")
    def tell(_table: Table, connection: Connection, **_options: object) -> None:
        if connection.dialect.name == "postgresql":
            index.dialect_kwargs["postgresql_where"] = where


metadata = MetaData()

fires = Table(
    "fires",
    metadata,
    Column("fire_id", String(64), primary_key=True),  # follows from pipeline, due time and what it confirms
    Column("pipeline", String(64), nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("number", Integer, nullable=False),  # of this pipeline, from 1: the seed of its job
    Column("confirms", String(64)),  # the run that looked bad, of which this is a rerun
    Column("state", String(16), nullable=False, index=True),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("run_id", String(64)),
    Column("exit_code", Integer),
    Column("timed_out", Boolean, nullable=False, default=False),
    Column("by_hand", Boolean, nullable=False, default=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("recipe", Text),  # of a rerun
    Column("measured", Text),  # by a rerun that is over
    Column("trouble", Text),  # why a rerun that is over shows nothing
    Column("executor", String(64)),  # that its job was submitted to
    Column("standing", Text),  # of its job on a cluster, as was last seen
    Column("place", Text),  # of its job: a jobs_folder, or a cluster
    Index("fires_by_number", "pipeline", "number"),
    Index("fires_by_end", "pipeline", "state", "ended_at"),
)
_index_some("fires_that_confirm", fires.c.confirms, where=fires.c.confirms.is_not(None))

confirmations = Table(
    "confirmations",
    metadata,
    Column("pipeline", String(64), primary_key=True),
    Column("run_id", String(64), primary_key=True),  # that reruns were asked about
    Column("settled_at", Instant, nullable=False),
    Column("confirmation", Text, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("snapshot_id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("pipeline", String(64), nullable=False),
    Column("incident_id", String(64), index=True),
    Column("run_id", String(64), nullable=False, default=""),
    Column("as_of", Instant, nullable=False),
    Column("hash", String(64), nullable=False),  # of the body
    Column("body", Text, nullable=False),
    Index("snapshots_by_kind", "kind", "as_of"),
)

inquiries = Table(
    "inquiries",
    metadata,
    Column("inquiry_id", String(64), primary_key=True),
    Column("pipeline", String(64), nullable=False),
    Column("incident_id", String(64), nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("asked_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("inquiry", Text, nullable=False),
    Column("answer", Text),
)

pipelines = Table(
    "pipelines",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("known_since", Instant, nullable=False),
    Column("schedule", Text, nullable=False, default=""),  # as it was when next_due was worked out
    Column("scheduled_since", Instant),
    Column("next_due", Instant),  # the first due time that has no fire yet
)

runs = Table(
    "runs",
    metadata,
    Column("pipeline", String(64), primary_key=True),
    Column("run_id", String(64), primary_key=True),  # or the fire's, where a job left no run
    Column("series", String(500), nullable=False),
    Column("fire_id", String(64)),
    Column("ended_at", Instant, nullable=False),
    Column("judged_at", Instant, nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("wants_confirmation", Boolean, nullable=False),
    Column("page_title", String(255)),  # of its page in the wiki, where one is published
    Column("run", Text, nullable=False),
    Column("card", Text, nullable=False),
    Column("findings", Text, nullable=False),
    Column("unread", Text),  # what it was judged without, since it could not be read; NULL: nothing
    Column("checkpoint", Text),  # how its series stood after it; of some of the newest alone
    Column("plain", Text),  # its findings as they would be without rules; NULL: no rule changed them
    Index("runs_by_series", "pipeline", "series", "ended_at"),
    Index("runs_by_end", "pipeline", "ended_at"),
    Index("runs_accepted", "pipeline", "series", "accepted", "ended_at"),
)

set_aside = Table(
    "set_aside",
    metadata,
    Column("pipeline", String(64), primary_key=True),
    Column("run_id", String(64), primary_key=True),  # or the fire's, where a job left no run
    Column("name", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("fire_id", String(64)),
    Column("ended_at", Instant, nullable=False),
    Column("was_past", Boolean, nullable=False),
    Column("log_tail", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("not_before", Instant),  # of the next try; NULL: not by this version of Herald
    Column("version", String(32), nullable=False),  # of the Herald that tried last
    Column("waits", Boolean, nullable=False),  # for artifacts that cannot be had just now
)

contacts = Table(
    "contacts",
    metadata,
    Column("pipeline", String(64), primary_key=True),
    Column("experiment_id", String(64), primary_key=True),
    Column("since", Instant, nullable=False),  # runs that ended before are the past
    Column("looked_at", Instant, nullable=False),
    Column("watermark", Instant),
    Column("past_read", Boolean, nullable=False),
)

looks = Table(
    "looks",
    metadata,
    Column("pipeline", String(64), primary_key=True),
    Column("seen_at", Instant),  # when all there was could last be seen
    Column("failing_since", Instant),
    Column("said", Text, nullable=False, default=""),  # why not, in the words of whoever was asked
)

series_states = Table(
    "series_states",
    metadata,
    Column("pipeline", String(64), primary_key=True),
    Column("series", String(500), primary_key=True),
    Column("state", Text, nullable=False),
    Column("ruled", Text),  # how it stands under the rules that hold; NULL: none changes what is judged
)

incidents = Table(
    "incidents",
    metadata,
    Column("incident_id", String(64), primary_key=True),
    Column("pipeline", String(64), nullable=False),
    Column("series", String(500), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("incident", Text, nullable=False),
    Column("closed_at", Instant),
    Index("incidents_by_series", "pipeline", "state", "series"),
    Index("incidents_by_end", "state", "closed_at"),
)

filings = Table(
    "filings",
    metadata,
    Column("incident_id", String(64), primary_key=True),
    Column("pipeline", String(64), nullable=False),
    Column("umbrella", String(400)),  # the ObjectKey of the ticket above its own; NULL: its cycle has not ended
    Index("filings_by_pipeline", "pipeline", "umbrella"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("effect_id", String(500), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("service", String(64), nullable=False),
    Column("lane", String(450), nullable=False),  # order is kept within
    Column("pipeline", String(64), nullable=False),
    Column("incident_id", String(64)),
    Column("effect", Text, nullable=False),
    Column("view", Text),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", Instant, nullable=False),
    Column("owner", String(64)),  # who holds the lease
    Column("leased_until", Instant),
    Column("sent_at", Instant),  # set before a request goes out, cleared when it surely changed nothing
    Column("error", Text),  # the service's words
    Column("fields", Text),  # and what it says of single fields, as JSON
    Column("waits_for", String(400)),  # an ObjectKey that is not made yet
    Column("parked_for", String(16)),
    Column("parked_at", Instant),
    Column("unbound", Text, nullable=False, default=""),  # links that a delivered message could not show yet
    Column("created_at", Instant, nullable=False),
    Column("delivered_at", Instant),
    # Whoever claims walks over what may not go yet: it must not have to read the rows for that, which are long.
    Index("outbox_by_state", "state", "seq", "service", "not_before", "leased_until", "lane", "kind"),
    Index("outbox_by_time", "state", "not_before"),
    Index("outbox_by_lane", "lane", "state", "seq", "kind"),
    Index("outbox_by_kind", "kind", "lane", "created_at"),
    Index("outbox_by_incident", "incident_id", "state", "kind"),
)
_index_some("outbox_leased", outbox.c.state, outbox.c.owner, where=outbox.c.owner.is_not(None))
_index_some("outbox_waiting", outbox.c.state, outbox.c.waits_for, where=outbox.c.waits_for.is_not(None))
_index_some("outbox_unbound", outbox.c.state, outbox.c.kind, where=outbox.c.unbound != literal_column("''"))

objects = Table(
    "objects",
    metadata,
    Column("target", String(400), primary_key=True),  # an ObjectKey
    Column("external_id", String(255), nullable=False),  # ticket key, page id, message timestamp
    Column("place", String(255), nullable=False, default=""),  # the channel, as the service calls it
    Column("title", String(500), nullable=False),
    Column("url", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("objects_by_age", "created_at"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until", Instant, nullable=False),
    Column("holding", String(32)),  # of its owner, who may lose it and take it again
)

leadership = Table(
    "leadership",
    metadata,
    Column("name", String(16), primary_key=True),  # there is one row
    Column("holder", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),  # grows with each change of holder
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("clock_ahead", Float, nullable=False),  # seconds, of the holder's clock before the database's
    # Makes the epoch part of a key: who changes it waits for those who have looked at it, who renews does not.
    Index("leadership_by_epoch", "name", "epoch", unique=True),
)

serving = Table(
    "serving",
    metadata,
    Column("herald", String(64), primary_key=True),  # that is at work, by its name
    Column("seen_at", Instant, nullable=False),  # by the database's clock
    Column("digests", Text, nullable=False),  # of the parts of its configuration
)

rules = Table(
    "rules",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),  # people name it: it is never given again
    Column("pipeline", String(64), nullable=False),
    Column("series", String(500), nullable=False),
    Column("incident_id", String(64), nullable=False),  # from whose ticket it came
    Column("kind", String(16), nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("until", Instant),  # NULL: not by itself
    Column("undone_at", Instant),
    Column("lapse_seen_at", Instant),  # when what follows from its end was put on record
    Column("rule", Text, nullable=False),
    Index("rules_by_series", "pipeline", "series"),
    Index("rules_by_incident", "incident_id"),
    Index("rules_by_end", "lapse_seen_at", "undone_at", "until"),
    sqlite_autoincrement=True,
)

heard = Table(
    "heard",
    metadata,
    Column("service", String(64), primary_key=True),
    Column("place", String(255), primary_key=True),  # the ticket's key, or the message's channel and id
    Column("said_id", String(255), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("became", String(32), nullable=False),
)

listenings = Table(
    "listenings",
    metadata,
    Column("service", String(64), primary_key=True),
    Column("heard_until", Instant),  # when the last round began that read everything there was
    Column("visited_at", Instant),  # when the tickets of open incidents were last read, changed or not
    Column("failing_since", Instant),
    Column("said", Text, nullable=False, default=""),  # why not, in the service's words
    Column("unread", Text, nullable=False, default=""),  # places that could not be read, and since when
)
