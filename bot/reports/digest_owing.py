"""The digest as an effect: owed once for each due time, to the places that config names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.config.models import DIGEST
from bot.config.timetable import latest_until
from bot.domain.digest import WEEK
from bot.domain.due_dates import Missed
from bot.domain.effects import AttachToPage, Effect, PostDigest, PublishDigest, ShareChart
from bot.domain.fires import FireState
from bot.domain.objects import ObjectKey, ObjectKind
from bot.domain.page_paths import digest_path, live_page
from bot.domain.snapshots import DigestBody, Snapshot, mint_snapshot_id
from bot.domain.views import DigestView, View
from bot.reports.digest import compose_digest
from bot.reports.due_dates import Asking, find_missed
from bot.reports.precision import is_first_of_month, tell_in_digest_alone
from bot.reports.reader import Readable
from bot.store import fires, outbox, pipelines, snapshots
from bot.text.locales import Locale, known_locales


def owe_due_digest(herald: Asking, now: datetime | None = None) -> None:
    """Owe the digest that is due, if one is: the latest due time since the last one; by its own clock, unless told."""
    section = herald.config.digest
    if section is None:
        return
    now = now or herald.around.clock()
    zone = ZoneInfo(section.time_zone or herald.config.time_zone)
    timetable = section.schedule.timetable(zone)
    with herald.database.begin() as tx:
        known = pipelines.know(tx, DIGEST, now)
        since = fires.last_due(tx, DIGEST, now) or known.known_since
    due = latest_until(timetable, since, now) if timetable else None
    if due is not None:
        owe_digest(herald, due, missed=find_missed(herald))


def owe_digest(
    herald: Readable, due_at: datetime, since: datetime | None = None, missed: Sequence[Missed] = ()
) -> bool:
    """Owe the digest of a due time to the places that config names, once; False where a quiet week is skipped."""
    section = herald.config.digest
    if section is None:
        return False
    now, instance = herald.around.clock(), herald.config.instance
    snapshot_id = mint_snapshot_id(DIGEST, instance, due_at.isoformat())
    faces = {locale: _told(herald, since, locale, missed, snapshot_id) for locale in known_locales()}
    owed: list[tuple[Effect, View]] = []
    if section.chat is not None:
        name = f"{section.channel} {instance}-digest-{due_at:%Y%m%dT%H%M%S}"
        message = ObjectKey(section.chat, ObjectKind.MESSAGE, name)
        shown = faces[herald.config.locale_of(DIGEST, section.chat, section.channel)]
        owed.append((PostDigest(message, "digest"), shown))
        can = herald.config.chat[section.chat].capabilities
        if shown.health is not None and can.charts and not can.attaches and not shown.is_quiet:
            owed.append((ShareChart(message, "digest", needs=(message,)), shown.health))
    if section.wiki is not None:
        paged = faces[herald.config.locale_of(DIGEST)]
        page = ObjectKey(section.wiki, ObjectKind.PAGE, paged.title)
        owed.append((PublishDigest(page, "digest"), paged))
        if paged.health is not None:
            owed.append((AttachToPage(page, "digest", needs=(page,)), paged.health))
    is_skipped = section.skip_if_quiet and faces[herald.config.locale_of(DIGEST)].is_quiet
    with herald.database.begin() as tx:
        fire = fires.record(tx, DIGEST, due_at)
        if fire.state.is_over:
            return not is_skipped
        fires.save(tx, replace(fire, state=FireState.ENDED, started_at=now, ended_at=now))
        zone = ZoneInfo(section.time_zone or herald.config.time_zone)
        if is_first_of_month(since or outbox.last_digest(tx, now) or now - WEEK, now, zone):
            tell_in_digest_alone(tx, herald.config, now)
        if not is_skipped:
            outbox.owe(tx, DIGEST, owed, now)
            body = DigestBody({str(locale): view for locale, view in faces.items()})
            snapshots.keep(tx, Snapshot(snapshot_id, now, DIGEST, body))
    return not is_skipped


def _told(
    herald: Readable, since: datetime | None, locale: Locale, missed: Sequence[Missed], snapshot_id: str
) -> DigestView:
    view = compose_digest(herald, since, locale, missed).view
    return replace(view, live=live_page(herald.config.web.base, digest_path(snapshot_id)))
