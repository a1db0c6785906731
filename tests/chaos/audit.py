"""Lets the database write down what is written under which lease, and compare that with who holds it at the end."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from bot.store import Database

WATCHED = ("fires", "runs", "incidents", "outbox", "snapshots", "series_states", "pipelines", "rules", "listenings")
# What stands when the transaction ends, not when it wrote: so the trigger is deferred.
AUDIT = """
CREATE TABLE passed (said TEXT);
CREATE TABLE audit (number SERIAL PRIMARY KEY, place TEXT, said TEXT, stands TEXT);
CREATE FUNCTION look() RETURNS trigger AS $$
DECLARE said TEXT := current_setting('herald.fence', true); stands TEXT;
BEGIN
  IF said IS NULL OR said = '' THEN RETURN NULL; END IF;
  IF TG_TABLE_NAME = 'passed' THEN said := NEW.said; END IF;
  IF starts_with(said, 'leader ') THEN SELECT 'leader ' || epoch INTO stands FROM leadership;
  ELSE SELECT name || ' ' || holding INTO stands FROM leases WHERE name = split_part(said, ' ', 1);
  END IF;
  INSERT INTO audit (place, said, stands) VALUES (TG_TABLE_NAME, said, coalesce(stands, 'nobody'));
  RETURN NULL;
END $$ LANGUAGE plpgsql;
"""


@dataclass
class Audit:
    """What was written under leases, and under lost ones."""

    passed: int = 0  # transactions under a lease
    passed_late: int = 0  # ... that another had taken over before they ended
    written: int = 0  # changes under a lease
    stale: list[str] = field(default_factory=list)  # ... that another had taken over


def watch(database: Database) -> None:
    with database.begin() as tx:
        tx.exec_driver_sql(AUDIT)
        for name in (*WATCHED, "passed"):
            made = f"CREATE CONSTRAINT TRIGGER look AFTER INSERT OR UPDATE ON {name} DEFERRABLE INITIALLY DEFERRED"
            tx.exec_driver_sql(f"{made} FOR EACH ROW EXECUTE FUNCTION look()")


def read(tx: Connection) -> Audit:
    found = Audit()
    of_all = "SELECT count(*) FROM audit WHERE place"
    found.written = tx.scalar(text(f"{of_all} <> 'passed'")) or 0
    found.passed = tx.scalar(text(f"{of_all} = 'passed'")) or 0
    found.passed_late = tx.scalar(text(f"{of_all} = 'passed' AND said <> stands")) or 0
    stale = tx.execute(text("SELECT place, said, stands FROM audit WHERE said <> stands AND place <> 'passed'"))
    found.stale = [f"{row.place}: written under {row.said!r} while {row.stands!r} stood" for row in stale]
    return found
