"""Makes of interactions, or of histories without times, what a next-item model learns from and is tested on."""

from dataclasses import replace
from datetime import date

import numpy as np
import numpy.typing as npt

from trainer.data.card import DataCard
from trainer.data.earlier_texts import texts_before
from trainer.data.interactions import Interactions, iso_day
from trainer.data.item_texts import SEVERAL
from trainer.data.leaks import judge_leaks
from trainer.data.local_time import local_time
from trainer.data.name_numbers import number_names
from trainer.data.next_item_leaks import find_next_leaks
from trainer.data.snapshot import LEARN, TARGET, UNUSED, Catalogue, Purchases, Snapshot, Uses, first_trips_from
from trainer.data.splits import find_boundary
from trainer.errors import DataError
from trainer.jobs.data import HistoriesData, HoldoutJob, InteractionsData

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000  # microseconds
AGAIN = "the same item again in one trip"
AFTER_END = "after the end"
RARE = "item of too few users"
LOCAL_TIME = 1 << 33  # seconds; later times do not fit


def take_baskets(job: InteractionsData, found: Interactions) -> Snapshot:
    """Group events to trips, hold some out, leave out rare items, look for leaks; raise DataError."""
    return checked(job, gather_baskets(job, found))


def gather_baskets(job: InteractionsData, found: Interactions) -> Snapshot:
    """Group events to trips, hold some out, leave out rare items; raise DataError."""
    if job.items is not None and job.items.merge:
        found = _merge(found)
    step = DAY if job.trip == "day" else SECOND
    time = local_time(found.time, job.time_zone) // step
    if time.min() < 0 or time.max() >= LOCAL_TIME:
        raise DataError(f"{job.path}: times lie outside 1970 to 2242, such as {iso_day(int(found.time.min()))}")
    purchases = _count_once(found, time, step / DAY)
    dropped = {AGAIN: len(found) - len(purchases)}
    if job.holdout.score_on == "valid":
        ended = _before_test(purchases, job.holdout)
        dropped[AFTER_END] = len(purchases) - int(np.count_nonzero(ended))
        purchases = _select(purchases, ended)
        if not len(purchases):
            raise DataError(f"{job.path}: the valid split is empty: nothing lies before the test")
    use = _hold_out(purchases, job.holdout)
    if job.items is None and SEVERAL in (found.card.mended or {}):
        found = replace(found, catalogue=_reword(job, found.catalogue, purchases, use))
    # Before rare items go: the test has no say in what is rare.
    common = _common(purchases, use, len(found.catalogue), job.cleaning.min_users)
    dropped[RARE] = int(np.count_nonzero(~common[purchases.item]))
    catalogue, purchases, use = _without_rare(found.catalogue, purchases, use, common)
    return Snapshot(catalogue, purchases, use, _card(job, found, catalogue, purchases, use, dropped))


def checked(job: InteractionsData | HistoriesData, snapshot: Snapshot, people: Ints | None = None) -> Snapshot:
    """Give the snapshot with its leaks counted, if the job lets it pass; raise DataError.

    Where several users are one person, *people* numbers the persons.
    """
    card = snapshot.card
    if not card.test_examples:
        raise DataError(f"{job.path}: the {job.holdout.score_on} split is empty: {card.split}, nobody has a history")
    if not np.count_nonzero(snapshot.use == LEARN):
        raise DataError(f"{job.path}: the train split is empty: {card.split}")
    leaks = find_next_leaks(snapshot, people)
    judge_leaks(str(job.path), leaks, card.test_targets or 0, job.leak_check)
    return replace(snapshot, card=replace(card, leaks=leaks))


def _reword(job: InteractionsData, catalogue: Catalogue, purchases: Purchases, use: Uses) -> Catalogue:
    """Let an item be called what it is called most often before the test, where it is there at all."""
    step, later = round(purchases.step_days * DAY), use != LEARN
    users, times = purchases.user[later].tolist(), purchases.time[later].tolist()
    limits: dict[str, int] | int = min(times, default=LOCAL_TIME)
    if job.holdout.by == "last":
        limits = {purchases.user_ids[user]: int(time) for user, time in zip(users, times, strict=True)}
    known = texts_before(job, limits, step)
    texts = (known.get(name, text) for name, text in zip(catalogue.item_ids, catalogue.texts, strict=True))
    return replace(catalogue, texts=tuple(texts))


def _count_once(found: Interactions, time: Ints, step_days: float) -> Purchases:
    """Keep one entry a user, time and item, sorted by them."""
    order = np.lexsort((found.item, time, found.user))
    user, time, item = found.user[order], time[order], found.item[order]
    again = np.zeros(len(order), dtype=np.bool_)
    again[1:] = (user[1:] == user[:-1]) & (time[1:] == time[:-1]) & (item[1:] == item[:-1])
    kept = ~again
    return Purchases(found.user_ids, user[kept].astype(np.int32), time[kept], item[kept].astype(np.int32), step_days)


def _merge(found: Interactions) -> Interactions:
    """Let items of one text and group be one, under the first of their ids."""
    catalogue = found.catalogue
    names = [f"{text}\x1f{group}" for text, group in zip(catalogue.texts, catalogue.groups, strict=True)]
    _, first, place = np.unique(number_names(names)[1], return_index=True, return_inverse=True)
    order = np.argsort(first)  # items stay in the order of their ids
    new = np.empty(len(order), dtype=np.int64)
    new[order] = np.arange(len(order))
    columns = (catalogue.item_ids, catalogue.texts, catalogue.groups)
    ids, texts, groups = (tuple(column[row] for row in first[order].tolist()) for column in columns)
    return replace(found, catalogue=Catalogue(ids, texts, groups), item=new[place][found.item])


def _before_test(purchases: Purchases, job: HoldoutJob) -> Mask:
    if job.by == "last":
        return ~_is_last(purchases)
    return purchases.time < _boundary(purchases, job.test, job.test_from)


def _hold_out(purchases: Purchases, job: HoldoutJob) -> Uses:
    if job.by == "last":
        return np.where(_is_last(purchases), TARGET, LEARN).astype(np.int8)
    valid = job.score_on == "valid"
    share, day = (job.valid, job.valid_from) if valid else (job.test, job.test_from)
    return first_trips_from(purchases, _boundary(purchases, share, day))


def _boundary(purchases: Purchases, share: float, day: date | None) -> int:
    step = round(purchases.step_days * DAY)
    return find_boundary(np.sort(purchases.time).astype(np.int64) * step, share, day) // step


def _is_last(purchases: Purchases) -> Mask:
    """Say which purchases are of their user's last trip, if it has an earlier one."""
    users = len(purchases.user_ids)
    last, first = np.full(users, -1, dtype=np.int64), np.full(users, LOCAL_TIME, dtype=np.int64)
    np.maximum.at(last, purchases.user, purchases.time)
    np.minimum.at(first, purchases.user, purchases.time)
    # Who came once has no history to be asked with, and is learned from instead.
    return np.asarray((purchases.time == last[purchases.user]) & (last > first)[purchases.user])


def _select(purchases: Purchases, kept: Mask) -> Purchases:
    return replace(purchases, user=purchases.user[kept], time=purchases.time[kept], item=purchases.item[kept])


def _common(purchases: Purchases, use: Uses, items: int, floor: int) -> Mask:
    """Say which items enough users chose in what is learned from; the test has no say."""
    if floor <= 1:
        return np.ones(items, dtype=np.bool_)
    rows = use == LEARN
    pairs = np.unique(purchases.user[rows].astype(np.int64) * items + purchases.item[rows])
    return np.asarray(np.bincount(pairs % items, minlength=items) >= floor)


def _without_rare(
    catalogue: Catalogue, purchases: Purchases, use: Uses, common: Mask
) -> tuple[Catalogue, Purchases, Uses]:
    kept = common[purchases.item]
    smaller = _select(purchases, kept)
    place = (np.cumsum(common) - 1).astype(np.int32)
    use = _with_history(smaller, use[kept])
    columns = (catalogue.item_ids, catalogue.texts, catalogue.groups)
    ids, texts, groups = (tuple(np.array(column, dtype=object)[common]) for column in columns)
    return Catalogue(ids, texts, groups), replace(smaller, item=place[smaller.item]), use


def _with_history(purchases: Purchases, use: Uses) -> Uses:
    """Test nobody whose history went with the rare items."""
    known = np.zeros(len(purchases.user_ids), dtype=np.bool_)
    known[purchases.user[use == LEARN]] = True
    return np.where((use == TARGET) & ~known[purchases.user], UNUSED, use).astype(np.int8)


def _card(
    job: InteractionsData,
    found: Interactions,
    catalogue: Catalogue,
    purchases: Purchases,
    use: Uses,
    dropped: dict[str, int],
) -> DataCard:
    target = use == TARGET
    step = round(purchases.step_days * DAY)
    since = iso_day(int(purchases.time[target].min()) * step) if target.any() else None
    by_time = job.holdout.by == "time"
    # Where nobody is tested, from the day that the job says.
    first = since or (job.holdout.valid_from if job.holdout.score_on == "valid" else job.holdout.test_from) or "the end"
    whose = f"each user's first trip from {first}" if by_time else "each user's last trip"
    explained = {
        AGAIN: f"a user's rows of one {job.trip} count an item once",
        AFTER_END: "settings are chosen as if the test were not there",
        RARE: f"fewer than {job.cleaning.min_users} users before the test",
    }
    more = {reason: count for reason, count in dropped.items() if count}
    return replace(
        found.card,
        rows_kept=len(purchases),
        dropped=found.card.dropped | more,
        explained=(found.card.explained or {}) | {reason: explained[reason] for reason in more},
        catalogue_size=len(catalogue),
        distinct_texts=len(set(catalogue.texts)),
        users=len(np.unique(purchases.user)),
        trips=len(np.unique((purchases.user.astype(np.int64) << 33) + purchases.time)),
        test_examples=len(np.unique(purchases.user[target])),
        test_targets=int(np.count_nonzero(target)),
        test_from=since if by_time else None,
        split=f"by {job.holdout.by}: {job.holdout.score_on} is {whose}, history strictly earlier",
    )
