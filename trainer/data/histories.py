"""Reads rows of a history and its next item, as benchmarks are handed out: no times, parts given."""

import re
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from trainer.data.baskets import checked
from trainer.data.batches import Notes
from trainer.data.card import DataCard
from trainer.data.columns import ids_of, labels_of, lists_of, without_point
from trainer.data.item_texts import read_items
from trainer.data.name_numbers import number_names
from trainer.data.snapshot import ASK, LEARN, TARGET, Catalogue, Purchases, Snapshot
from trainer.data.splits import PART_NUMBER, Part, split_by_name
from trainer.data.tables import read_batches
from trainer.errors import DataError
from trainer.jobs.data import HistoriesData, SplitJob

Ints = npt.NDArray[np.int64]

NOT_CHOSEN = "part that is not used"
NO_USER, NO_TARGET, NO_HISTORY = "no user", "no target among the items", "no history among the items"
BETWEEN = re.compile(r"[\s,;|]+")
BRACKETS = (("[", "]"), ("(", ")"), ("{", "}"))
UNKNOWN = "items of histories that no table lists"


@dataclass(slots=True)
class _HistoryRows:
    users: list[str] = field(default_factory=list)
    histories: list[list[int]] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    tested: list[bool] = field(default_factory=list)
    rows_in: int = 0
    unknown: int = 0
    strange: str | list[str] = ""  # the first history of which no item is listed
    notes: Notes = field(default_factory=Notes)
    dropped: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((NOT_CHOSEN, NO_USER, NO_TARGET, NO_HISTORY), 0)
    )


def read_histories(job: HistoriesData) -> Snapshot:
    """Read histories of the parts to learn from and to be tested on, and look for leaks; raise DataError."""
    snapshot = gather_histories(job)
    _, people = number_names(snapshot.people or ())
    return checked(job, snapshot, people)


def gather_histories(job: HistoriesData) -> Snapshot:
    """Read histories of the parts to learn from and to be tested on; raise DataError.

    With `holdout.score_on = "valid"` the rows of the test are not read, and some users of those to learn from are
    tested on instead.
    """
    texts = read_items(job.items)
    wordings, mended = texts.choose(f"{job.items.path}: the text of items")
    order = sorted(range(len(texts.ids)), key=texts.ids.__getitem__)
    catalogue = Catalogue(
        tuple(texts.ids[place] for place in order),
        tuple(wordings[place] or texts.ids[place] for place in order),
        tuple(texts.groups[place] for place in order),
    )
    rows = _read(job, {name: place for place, name in enumerate(catalogue.item_ids)})
    if not rows.users:
        raise DataError(f"{job.path}: none of {rows.rows_in} rows is left: {_tell_dropped(job, rows)}")
    mended |= {UNKNOWN: rows.unknown} if rows.unknown else {}
    return _snapshot(job, catalogue, rows, mended)


def _read(job: HistoriesData, places: dict[str, int]) -> _HistoryRows:
    rows, columns = _HistoryRows(), job.columns
    chosen = {name.lower() for name in (job.learn if job.holdout.score_on == "valid" else (*job.learn, *job.test))}
    tested = {name.lower() for name in job.test}
    for batch in read_batches(job, (columns.user, columns.history, columns.target, columns.part), notes=rows.notes):
        users, targets = ids_of(batch, columns.user), ids_of(batch, columns.target)
        parts = labels_of(batch, columns.part)
        histories = lists_of(batch, columns.history)
        read = (users.to_pylist(), histories, targets.to_pylist(), parts.to_pylist())
        for user, history, target, part in zip(*read, strict=True):
            rows.rows_in += 1
            ids = split_history(history, job.separator)
            known = [places[name] for name in ids if name in places]
            if part is None or part.lower() not in chosen:
                rows.dropped[NOT_CHOSEN] += 1
            elif user is None:
                rows.dropped[NO_USER] += 1
            elif target not in places:
                rows.dropped[NO_TARGET] += 1
            elif not known:
                rows.dropped[NO_HISTORY] += 1
                rows.strange = rows.strange or history
            else:
                rows.unknown += len(ids) - len(known)
                rows.users.append(user)
                rows.histories.append(known)
                rows.targets.append(places[target])
                rows.tested.append(part.lower() in tested)
    if job.holdout.score_on == "valid":
        held = split_by_name(rows.users, _by_user(job)) == PART_NUMBER[Part.TEST]
        rows.tested = held.tolist()
    return rows


def split_history(text: str | list[str], separator: str | None) -> list[str]:
    """Give the ids of a history, spaces around them cut off; without a separator they have none inside."""
    if isinstance(text, list):
        found = (name.strip() for name in text)
    elif separator is not None:
        found = (name.strip() for name in text.split(separator))
    else:
        found = (name.strip("'\"") for name in BETWEEN.split(_unwrap(text.strip())))
    return [without_point(name) for name in found if name]


def _unwrap(text: str) -> str:
    """Give what stands in the brackets that hold a whole list; those of an id's own name stay."""
    for begin, end in BRACKETS:
        if text.startswith(begin) and text.endswith(end) and not {begin, end} & set(text[1:-1]):
            return text[1:-1].strip()
    return text


def _tell_dropped(job: HistoriesData, rows: _HistoryRows) -> str:
    """Say why rows were left out, the most frequent reason first."""
    reasons = sorted((reason for reason, count in rows.dropped.items() if count), key=lambda one: -rows.dropped[one])
    parts = f" (it is none of {', '.join((*job.learn, *job.test))})"
    ids = f" (such as {rows.strange!r}: data.separator says what parts its ids)" if rows.strange else ""
    more = {NOT_CHOSEN: parts, NO_HISTORY: ids}
    return ", ".join(f"{reason} {rows.dropped[reason]}{more.get(reason, '')}" for reason in reasons)


def _by_user(job: HistoriesData) -> SplitJob:
    return SplitJob(by="user", test=job.holdout.valid, valid=0.0, seed=job.holdout.seed)


def _snapshot(job: HistoriesData, catalogue: Catalogue, rows: _HistoryRows, mended: dict[str, int]) -> Snapshot:
    """Let every row be a user of its own: a later row of the same person holds the answer of an earlier one."""
    lengths = np.array([len(history) + 1 for history in rows.histories])
    tested = np.array(rows.tested)
    user = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths)
    time = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    item = np.array([place for history, t in zip(rows.histories, rows.targets, strict=True) for place in (*history, t)])
    use = np.where(tested[user], ASK, LEARN).astype(np.int8)
    use[(ends - 1)[tested]] = TARGET
    names = _distinct_names(rows.users)
    purchases = Purchases(names, user.astype(np.int32), time, item.astype(np.int32))
    digest = sha256()
    for column in (catalogue.item_ids, catalogue.texts, catalogue.groups, names):
        digest.update("\x1e".join(column).encode() + b"\x1d")
    digest.update(user.astype("<i8").tobytes() + item.astype("<i8").tobytes() + use.tobytes())
    told = int(tested.sum())
    part = "the parts " + ", ".join(job.test) if job.holdout.score_on == "test" else "some users of what is learned"
    card = DataCard(
        source=str(job.path),
        rows_in=rows.rows_in,
        rows_kept=len(lengths),
        dropped=rows.dropped,
        catalogue_size=len(catalogue),
        distinct_texts=len(set(catalogue.texts)),
        test_examples=told,
        hash=digest.hexdigest(),
        users=len(set(rows.users)),
        trips=len(user),
        test_targets=told,
        split=f"by a column of the source: {job.holdout.score_on} is {part}, their histories read but never learned",
        parts={"learn": len(lengths) - told, "test": told},
        mended=mended | rows.notes.mended,
        read_as=rows.notes.read_as or None,
        explained={
            NOT_CHOSEN: f"the part is none of {', '.join((*job.learn, *job.test))}, or settings are being chosen",
            NO_USER: "the user is empty",
            NO_TARGET: "the target is not in the table of items",
            NO_HISTORY: "nothing of the history is in the table of items",
        },
    )
    return Snapshot(catalogue, purchases, use, card, tuple(rows.users))


def _distinct_names(users: list[str]) -> tuple[str, ...]:
    """Number the further rows of one user."""
    seen: dict[str, int] = {}
    names = []
    for user in users:
        seen[user] = seen.get(user, 0) + 1
        names.append(user if seen[user] == 1 else f"{user}#{seen[user]}")
    return tuple(names)
