"""The digests as they were owed, each with the ways to how its incidents stand now."""

from __future__ import annotations

from bot.domain.page_paths import DIGESTS, digest_path, incident_path
from bot.domain.page_views import Crumb, DigestDetail, DigestItem, DigestList
from bot.domain.snapshots import DigestBody, Snapshot
from bot.domain.views import DigestView
from bot.store import incidents, objects, snapshots
from bot.web.reading import Reading, frame

_LISTED = 120


def digest_list(page: Reading) -> DigestList:
    found = [(each, view) for each in snapshots.digests(page.tx, _LISTED) if (view := _view(page, each)) is not None]
    items = (DigestItem(page.ways.to(digest_path(each.snapshot_id)), view) for each, view in found)
    return DigestList(frame(page.herald, page.ways, page.locale, page.now), tuple(items))


def digest_page(page: Reading, snapshot_id: str) -> DigestDetail | None:
    """Show a digest as it was owed; None where there is none of that id."""
    found = snapshots.find(page.tx, snapshot_id)
    view = None if found is None else _view(page, found)
    if found is None or view is None:
        return None
    known = objects.known_objects(page.tx, view.links.values())
    told = {line.incident_id for part in view.parts for line in part.lines if line.incident_id}
    there = {each for each in told if incidents.is_known(page.tx, each)}
    return DigestDetail(
        frame=frame(page.herald, page.ways, page.locale, page.now),
        crumb=Crumb("", page.ways.to(DIGESTS)),
        view=view,
        bound={name: known[key].bound if key in known else None for name, key in view.links.items()},
        hrefs={each: page.ways.to(incident_path(each)) for each in there},
        is_whole=found.is_whole,
    )


def _view(page: Reading, found: Snapshot) -> DigestView | None:
    if not isinstance(found.body, DigestBody):
        return None
    faces = found.body.faces
    return faces.get(page.locale) or next(iter(faces.values()), None)
