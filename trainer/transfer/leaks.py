"""What of a target's test stands in the train rows of a source: counted by kind, and which rows tell it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data.leaks import NEAR, USER, USER_ITEM
from trainer.data.near_duplicates import group_near
from trainer.data.pair_leaks import PAIR, QUERY
from trainer.data.snapshot import LEARN, TARGET
from trainer.data.splits import Part
from trainer.data.text_normalisation import read_as
from trainer.errors import DataError
from trainer.jobs.data import HistoriesData
from trainer.jobs.transfer import TransferJob
from trainer.tracking.progress import say
from trainer.transfer.judged_set import JudgedSet
from trainer.transfer.sets import TransferSet, TransferSets
from trainer.transfer.trip_set import TripSet

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LATER = "same user, not before the test"
NOBODY: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class CrossLeaks:
    """Test rows of a target that a source's train rows tell, by kind, and those train rows."""

    found: Mapping[str, int]
    rows: Ints


NO_LEAKS = CrossLeaks({}, NOBODY)
AllLeaks = Mapping[tuple[str, str], CrossLeaks]  # by source and target


def find_cross_leaks(sets: TransferSets) -> AllLeaks:
    """Hold the train rows of each source against the test rows of each other target."""
    groups = _near_queries(sets)
    return {
        (source, target): _between(sets.by_name[source], sets.by_name[target], groups)
        for source in sets.sources
        for target in sets.targets
        if source != target
    }


def left_out(leaks: AllLeaks, source: str, settings: TransferJob) -> Ints:
    """Give the train rows that a source is to learn without: they tell the test of any target."""
    if settings.leak_check != "leave out":
        return NOBODY
    told = [one.rows for (name, _), one in leaks.items() if name == source]
    return np.unique(np.concatenate([NOBODY, *told]))


def judge_cross_leaks(leaks: AllLeaks, settings: TransferJob) -> None:
    """Say what was found, or refuse it, as the job says; raise DataError."""
    for (source, target), found in leaks.items():
        told = ", ".join(f"{count} {kind}" for kind, count in found.found.items() if count)
        if not told:
            continue
        said = f"transfer: test rows of {target!r} stand in the train rows of {source!r}: {told}"
        if settings.leak_check == "refuse":
            raise DataError(f'{said}; leak_check = "leave out" learns without them')
        done = f"{len(found.rows)} of these are left out" if settings.leak_check == "leave out" else "they are learnt"
        say(f"trainer: {said}; {done}")


def _near_queries(sets: TransferSets) -> Mapping[str, int]:
    """Number the queries of all sets, as read: those that are nearly the same have the same number."""
    texts: dict[str, None] = {}
    for one in sets.by_name.values():
        if isinstance(one, JudgedSet):
            texts |= dict.fromkeys(map(read_as, one.pairs.queries))
    distinct = list(texts)
    return dict(zip(distinct, group_near(distinct).groups, strict=True))


def _between(source: TransferSet, target: TransferSet, groups: Mapping[str, int]) -> CrossLeaks:
    match source, target:
        case JudgedSet(), JudgedSet():
            return _between_pairs(source, target, groups)
        case TripSet(), TripSet():
            return _between_trips(source, target)
        case _:
            raise AssertionError("all sets are of one task")


def _between_pairs(source: JudgedSet, target: JudgedSet, groups: Mapping[str, int]) -> CrossLeaks:
    train, test = source.pairs.rows(Part.TRAIN), target.pairs.rows(Part.TEST)
    (asked, given), (tested, wanted) = _texts(source, train), _texts(target, test)
    pair = _shared(list(zip(asked, given, strict=True)), list(zip(tested, wanted, strict=True)))
    kinds = {PAIR: pair}
    split = target.job.data.split.by
    if split in ("query", "column"):  # that promise queries which no train row has
        kinds[QUERY] = _shared(asked, tested)
    if source.pairs.users is not None and target.pairs.users is not None and split in ("user", "time"):
        users, others = _users(source, train), _users(target, test)
        kinds |= (
            {USER: _shared(users, others)}
            if split == "user"
            else {USER_ITEM: _shared(_with(users, given), _with(others, wanted))}
        )
    near = _nearly([groups[one] for one in asked], given, [groups[one] for one in tested], wanted)
    found = {kind: int(np.count_nonzero(there)) for kind, (_, there) in kinds.items()}
    found[NEAR] = int(np.count_nonzero(near[1] & ~pair[1]))
    telling = np.logical_or.reduce([here for here, _ in (*kinds.values(), near)])
    return CrossLeaks(found, train[telling])


def _texts(one: JudgedSet, rows: Ints) -> tuple[list[str], list[str]]:
    read: dict[str, str] = {}
    queries, products = one.pairs.texts(rows)
    for text in {*queries, *products}:
        read[text] = read_as(text)
    return [read[text] for text in queries], [read[text] for text in products]


def _users(one: JudgedSet, rows: Ints) -> list[str | None]:
    assert one.pairs.users is not None  # whoever asks has looked
    return [one.pairs.users[row] or None for row in rows.tolist()]


def _with(users: Sequence[str | None], products: Sequence[str]) -> list[tuple[str, str] | None]:
    return [None if user is None else (user, product) for user, product in zip(users, products, strict=True)]


def _shared(train: Sequence[Hashable | None], test: Sequence[Hashable | None]) -> tuple[Mask, Mask]:
    """Say which of either side have a key that the other has; None is nobody's."""
    both = (set(train) & set(test)) - {None}
    here, there = ([key in both for key in keys] for keys in (train, test))
    return np.array(here, dtype=np.bool_), np.array(there, dtype=np.bool_)


def _nearly(
    asked: Sequence[int], given: Sequence[str], tested: Sequence[int], wanted: Sequence[str]
) -> tuple[Mask, Mask]:
    """Say which rows of either side have nearly the query and nearly the product of one of the other."""
    here, there = _shared(asked, tested)
    # Products of those alone whose queries are near: a shop's titles are many and resemble one another.
    rows, others = np.flatnonzero(here).tolist(), np.flatnonzero(there).tolist()
    texts = list(dict.fromkeys([*(given[row] for row in rows), *(wanted[row] for row in others)]))
    group = dict(zip(texts, group_near(texts).groups, strict=True))
    near, far = _shared(
        [(asked[row], group[given[row]]) for row in rows], [(tested[row], group[wanted[row]]) for row in others]
    )
    here[rows], there[others] = near, far
    return here, there


def _between_trips(source: TripSet, target: TripSet) -> CrossLeaks:
    """Find what tested users chose at the time of their test or later; without times, what they are tested on."""
    learn, test = (np.flatnonzero(one.snapshot.use == use) for one, use in ((source, LEARN), (target, TARGET)))
    users, others = _people(source, learn), _people(target, test)
    if isinstance(source.job.data, HistoriesData) or isinstance(target.job.data, HistoriesData):
        items, targets = _items(source, learn), _items(target, test)
        here, there = _shared(_with(users, items), _with(others, targets))
        return CrossLeaks({USER_ITEM: int(np.count_nonzero(there))}, learn[here])
    tested: dict[str, float] = {}
    for user, day in zip(others, _days(target, test), strict=True):
        tested[user] = min(day, tested.get(user, day))
    late = [day >= tested.get(user, np.inf) for user, day in zip(users, _days(source, learn), strict=True)]
    telling = {user for user, told in zip(users, late, strict=True) if told}
    return CrossLeaks({LATER: sum(user in telling for user in others)}, learn[np.array(late, dtype=np.bool_)])


def _people(one: TripSet, rows: Ints) -> list[str]:
    return [one.snapshot.person(user) for user in one.snapshot.purchases.user[rows].tolist()]


def _items(one: TripSet, rows: Ints) -> list[str]:
    return [read_as(one.snapshot.catalogue.texts[item]) for item in one.snapshot.purchases.item[rows].tolist()]


def _days(one: TripSet, rows: Ints) -> list[float]:
    purchases = one.snapshot.purchases
    return [float(day) for day in (purchases.time[rows] * purchases.step_days).tolist()]
