"""What an incident has called for so far, out of the state: the very views that were, or will be, sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.capabilities import TextForm
from bot.domain.effects import Effect
from bot.domain.views import View, links_of
from bot.preview.cases import Case
from bot.reports.digest import compose_digest
from bot.reports.reader import Readable
from bot.store import objects, outbox
from bot.store.owed import Owed
from bot.text.locales import Locale
from bot.triage.by_hand import find_incident
from bot.web.incident_page import incident_page
from bot.web.reading import Reading
from bot.web.ways import Ways

DIGEST = "digest"  # instead of an incident: what the digest would say now


def cases_from(herald: Readable, name: str, locale: Locale) -> tuple[Case, ...]:
    """Return what an incident has called for, oldest first, or the digest of now; raises HeraldError for no incident.

    An incident is named by its id, the beginning of that, or its ticket's key. Its numbers and dates stay as they were
    written when it was told; *locale* is what the digest is composed in.
    """
    with herald.database.begin() as tx:
        if name == DIGEST:
            return (_case(tx, "digest: now", compose_digest(herald, locale=locale).view),)
        incident = find_incident(tx, herald.config, name, "preview --from")
        owed = outbox.about(tx, incident.incident_id, incident.series.pipeline)
        page = incident_page(Reading(herald, tx, herald.around.clock(), locale, Ways()), incident.incident_id)
        live = () if page is None else (Case("page: as it stands now", page),)
        return (*_cases(tx, herald.config, owed), *live)


def _cases(tx: Connection, config: Config, owed: Iterable[Owed]) -> Iterator[Case]:
    for each in owed:
        if each.view is not None:
            what = f"{each.effect.kind.replace('_', ' ')}: {each.created_at:%Y-%m-%d %H:%M}, {each.state}"
            yield _case(tx, what, each.view, _reader_of(config, each.effect))


def _case(tx: Connection, name: str, view: View, only: TextForm | None = None) -> Case:
    links = links_of(view)
    known = objects.known_objects(tx, links.values())
    return Case(name, view, {link: known[key].bound if key in known else None for link, key in links.items()}, only)


def _reader_of(config: Config, effect: Effect) -> TextForm | None:
    section = config.tracker.get(effect.target.service) or config.chat.get(effect.target.service)
    return None if section is None else section.text_form
