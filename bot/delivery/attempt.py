"""One attempt at an effect: everything that carrying it out may lean on, and how it may end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from bot.delivery.services import Services
from bot.domain.effects import Effect, Shows
from bot.domain.objects import Bound, ObjectKey
from bot.domain.views import View
from bot.errors import PermanentError
from bot.ports import Chat, Tracker, Wiki
from bot.render.renderer import Renderer
from bot.store.objects import KnownObject
from bot.store.owed import Owed

S = TypeVar("S")
V = TypeVar("V", bound=View | None)


@dataclass(frozen=True, slots=True)
class TicketFields:
    """What a pipeline's config adds to the tickets it opens."""

    priority: str | None = None
    assignee: str | None = None
    labels: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()  # without these there is no ticket


@dataclass(frozen=True, slots=True)
class Done:
    """The effect stands; *made* is the object it brought about, *unbound* what it could not show yet."""

    made: KnownObject | None = None
    unbound: tuple[ObjectKey, ...] = ()
    posted: bool = False  # a message has just gone to its channel
    owes: tuple[tuple[Effect, View], ...] = ()  # what only carrying this out has shown to be needed


@dataclass(frozen=True, slots=True)
class NotYet:
    """The effect has to wait, without an attempt being made."""

    until: datetime
    why: str
    needs: ObjectKey | None = None  # what it waits for, where that is an object


@dataclass(frozen=True, slots=True)
class Attempt:
    """An effect that is carried out now, and what is known of the objects it names."""

    owed: Owed
    services: Services
    renderer: Renderer
    fields: TicketFields
    objects: Mapping[ObjectKey, KnownObject]  # of the effect's target, needs and links
    now: datetime
    in_flight: timedelta = timedelta(0)  # how long a request may be on its way after its sender died
    coming: frozenset[ObjectKey] = frozenset()  # of the objects, what is owed and has not failed yet
    place: str | None = None  # of a message: the id of its channel, as an earlier message there shows it
    is_overtaken: bool = False  # newer words stand there already: what waited for a person must not undo them
    asked_at: datetime | None = None  # when the message was asked for by an earlier effect, parked in doubt

    @property
    def target(self) -> ObjectKey:
        return self.owed.effect.target

    @property
    def known(self) -> KnownObject | None:
        """The effect's target, where it exists."""
        return self.objects.get(self.target)

    @property
    def external_id(self) -> str:
        """What the service calls the effect's target."""
        if self.known is None:
            raise PermanentError(f"{self.target}: was never made, because what should have made it was cancelled")
        return self.known.bound.external_id

    @property
    def tracker(self) -> Tracker:
        return _configured(self.services.trackers, self.target)

    @property
    def wiki(self) -> Wiki:
        return _configured(self.services.wikis, self.target)

    @property
    def chat(self) -> Chat:
        return _configured(self.services.chats, self.target)

    def shown_by(self, effect: Shows[V]) -> V:
        """Return what the effect shows; raises TypeError where something else is stored with it."""
        view, kind = self.owed.view, effect.traits.view
        if not isinstance(view, kind):
            raise TypeError(f"{self.owed.effect.effect_id} carries a {type(view).__name__}, not a {kind.__name__}")
        return view

    def bind(self, links: Mapping[str, ObjectKey]) -> dict[str, Bound | None]:
        """Return the objects that a view names, as far as they exist."""
        return {name: self.objects[key].bound if key in self.objects else None for name, key in links.items()}

    def there(self, links: Mapping[str, ObjectKey], *, besides: str = "") -> dict[str, ObjectKey]:
        """Return those of the links whose objects exist, and that of the name *besides*.

        A text that is never edited leaves the others out: what it says to be pending would be so for ever.
        """
        return {name: key for name, key in links.items() if key in self.objects or name == besides}

    def unbound(self, links: Mapping[str, ObjectKey]) -> tuple[ObjectKey, ...]:
        return tuple(key for key in links.values() if key not in self.objects)

    def made(self, bound: Bound, place: str = "") -> KnownObject:
        return KnownObject(self.target, bound, place, self.now)


def _configured(services: Mapping[str, S], target: ObjectKey) -> S:
    try:
        return services[target.service]
    except KeyError:
        raise PermanentError(
            f"{target.service}: is no longer in the configuration; add it again, or cancel what is owed to it"
        ) from None
