"""What there is to look at: samples or what the state holds, for the services that there are or that config names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from bot.config.models import Config
from bot.config.services import SERVICES
from bot.domain.capabilities import TextForm
from bot.errors import HeraldError
from bot.preview.cases import Case
from bot.preview.page import Around, compose_page, pictures_of
from bot.preview.texts import Readers, Sheet, sheets_of
from bot.render.templates import our_templates
from bot.text.locales import Locale


@dataclass(frozen=True, slots=True)
class Stage:
    """Cases, and who reads them."""

    cases: Callable[[Locale], Sequence[Case]]
    readers: Readers
    overrides: Path | None = None  # the folder of the team's own templates

    def names(self, locale: Locale) -> list[str]:
        """Name the templates that make what there is, in order."""
        return sorted({sheet.form.template for sheet in sheets_of(self.cases(locale), self.readers)})

    def choose(self, what: str, locale: Locale) -> Sequence[Sheet]:
        """Return the texts of one template, folder or service; all of them where *what* is empty.

        Raises HeraldError where it names none of them.
        """
        return _choose(what, list(sheets_of(self.cases(locale), self.readers)))

    def compose(self, what: str, locale: Locale, around: Around | None = None) -> str:
        """Return the page of what :meth:`choose` returns."""
        pictures = pictures_of(case.view for case in self.cases(locale))
        return compose_page(self.choose(what, locale), pictures, locale, self.overrides, around or Around(what))

    def word(self) -> str:
        """Return a word that is another once a template was changed, added or taken away."""
        folders = [our_templates(), *([self.overrides] if self.overrides else [])]
        digest = hashlib.sha256()
        for path in sorted(path for folder in folders for path in folder.rglob("*.j2")):
            try:
                found = path.stat()
            except OSError:  # an editor is putting another in its place
                continue
            digest.update(f"{path}\0{found.st_mtime_ns}\0{found.st_size}\0".encode())
        return digest.hexdigest()[:16]


def _choose(what: str, sheets: Sequence[Sheet]) -> Sequence[Sheet]:
    wanted = what.strip().strip("/").casefold()
    for_one = [sheet for sheet in sheets if sheet.reader.casefold() == wanted]
    found = for_one or _merged(sheet for sheet in sheets if not wanted or wanted in _names_of(sheet))
    if not found and wanted:
        names = sorted({name for sheet in sheets for name in _names_of(sheet) if not {".", ","} & set(name)})
        near = get_close_matches(wanted, names, n=1, cutoff=0.6)
        raise HeraldError(
            f"preview: {what!r} is no template and no service here{f'; is it {near[0]}?' if near else ''} "
            f"There are {', '.join(names)}."
        )
    return found


def _merged(sheets: Iterable[Sheet]) -> list[Sheet]:
    """Put together what one template makes for several services."""
    found: dict[tuple[str, str], Sheet] = {}
    for sheet in sheets:
        key = sheet.case.name, sheet.form.template
        found[key] = replace(found[key], reader=f"{found[key].reader}, {sheet.reader}") if key in found else sheet
    return list(found.values())


def _names_of(sheet: Sheet) -> set[str]:
    template = sheet.form.template.casefold()
    return {template, template.split(".", 1)[0], template.rpartition("/")[0], sheet.reader.casefold()} - {""}


def all_readers() -> Readers:
    """Return every service that Herald writes for, each way of writing once."""
    forms = {
        port: [form for section in kinds.values() if (form := getattr(section, "text_form", None)) is not None]
        for port, kinds in SERVICES.items()
    }
    return Readers(_each_once(forms["tracker"]), _each_once(forms["chat"]))


def readers_in(config: Config) -> Readers:
    """Return the services that a configuration names."""
    return Readers(
        _each_once(section.text_form for section in config.tracker.values()),
        _each_once(section.text_form for section in config.chat.values()),
    )


def _each_once(forms: Iterable[TextForm]) -> tuple[TextForm, ...]:
    return tuple({form.name: form for form in forms}.values())
