"""Judges rows by models that never learnt them, and lists those whose labels are to be looked at again."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer.data.pairs import Pairs
from trainer.data.snapshot import check_unused, partial_folder
from trainer.data.splits import PART_NUMBER, Part
from trainer.data.words import split_words
from trainer.errors import DataError
from trainer.jobs.schema import RelevanceJob
from trainer.labelling.asking import open_task
from trainer.labelling.judges import chances
from trainer.labelling.sheet import plain
from trainer.labelling.suspects import DRAWS, ByChance, suspect, suspects_by_chance
from trainer.learning.checkpoints import NoCheckpoints
from trainer.models.label_scale import CLASSES, LabelScale, numbered_classes
from trainer.results.registered_models import fetched
from trainer.task import StepReport
from trainer.tasks.on_device import load_on_device
from trainer.tasks.relevance import Relevance
from trainer.tracking.progress import say

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

AWAY = 3  # a part that nothing learns, settles or scores
LIST, PAGE = "suspects.csv", "suspects.md"
CONFIDENT, SEVERAL = "confident learning", "several labels"


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows with the chances that models without them give."""

    pairs: Pairs
    scale: LabelScale
    rows: Ints
    chance_NC: Floats  # of grades: not relevant, relevant
    how: str


@dataclass(frozen=True, slots=True)
class Suspects:
    """What was found among how many rows."""

    rows: int
    found: int
    by_chance: ByChance
    contradicted: int  # rows whose pair has another label elsewhere
    how: str


def list_suspects(job: RelevanceJob, output: Path, *, held: bool) -> Suspects:
    """Write the labels to look at again, the most doubtful first; raise InputError.

    Of a saved model that is *held* against them the valid rows are judged, else every train row by a fit without it.
    """
    check_unused(output)
    with fetched(job) as local:
        judged = _judge_valid(local) if held else _judge_train(local)
    label_N = _class_numbers(judged, job)
    guess_N = suspect(judged.chance_NC, label_N)
    by_chance = suspects_by_chance(judged.chance_NC, job.seed)
    several_N = _contradicted(judged)
    found = Suspects(len(label_N), int((guess_N >= 0).sum()), by_chance, int(np.count_nonzero(several_N)), judged.how)
    with partial_folder(output) as folder:
        with (folder / LIST).open("w", encoding="utf-8-sig", newline="") as stream:
            csv.writer(stream).writerows(_lines(judged, label_N, guess_N, several_N))
        (folder / PAGE).write_text(tell(found), encoding="utf-8")
        folder.rename(output)
    return found


def tell(found: Suspects) -> str:
    """Say what was found, and what chance alone would give."""
    chance = found.by_chance
    return (
        f"{found.found} of {found.rows} labels are suspect, judged by {found.how}.\n"
        f"If every label were drawn from the chances that were told, {chance.mean:.0f} would be"
        f" ({chance.low:.0f} to {chance.high:.0f} in 95 % of {DRAWS} draws):"
        f" {'no more than that' if found.found <= chance.high else 'what is above that is not explained by doubt'}.\n"
        f"{found.contradicted} rows are of pairs that have several labels.\n"
    )


def _judge_valid(job: RelevanceJob) -> Judged:
    task = open_task(job)
    rows = task.pairs.rows(Part.VALID)
    if not len(rows):
        raise DataError(f"{job.data.path}: no row is for valid, and a saved model has learnt the others")
    assert task.saved is not None  # open_task refuses a bare model
    chance_NC = chances(task.saved, task.model.score_pairs(*task.pairs.texts(rows)))
    return Judged(task.pairs, task.saved.scale, rows, chance_NC, "the saved model, which was calibrated on them")


def _judge_train(job: RelevanceJob) -> Judged:
    folds, chance, first = job.label.folds, None, None
    for fold, task, rows in _folds(job):
        say(f"trainer: fold {fold + 1}/{folds}: {len(rows)} rows are judged by a fit without them")
        ready = task.fit(_say_nothing, NoCheckpoints())
        found_NC = chances(ready.saved, ready.task.model.score_pairs(*task.pairs.texts(rows)))
        chance = np.full((len(task.pairs), found_NC.shape[1]), np.nan) if chance is None else chance
        chance[rows] = found_NC
        first = first or task
    assert first is not None
    assert chance is not None
    rows = np.flatnonzero(np.isfinite(chance[:, 0]))
    return Judged(first.pairs, first.scale, rows, chance[rows], f"{folds} fits, each without the queries it judges")


def _folds(job: RelevanceJob) -> Iterator[tuple[int, Relevance, Ints]]:
    """Give for each fold the task that learns the others, and its rows; test rows are in none."""
    for fold in range(job.label.folds):
        task, _ = load_on_device(job, training=True)
        assert isinstance(task, Relevance)  # the task of such a job
        pairs = task.pairs
        train = pairs.rows(Part.TRAIN)
        asked = np.unique(pairs.query_id[train])
        if len(asked) < job.label.folds:
            raise DataError(f"{job.data.path}: {len(asked)} queries are fewer than label.folds = {job.label.folds}")
        fold_of = np.full(len(pairs.queries), -1)
        fold_of[np.random.default_rng(job.seed).permutation(asked)] = np.arange(len(asked)) % job.label.folds
        rows = train[fold_of[pairs.query_id[train]] == fold]
        part = pairs.part.copy()
        part[rows] = AWAY
        part[pairs.part == PART_NUMBER[Part.TEST]] = AWAY
        yield fold, replace(task, pairs=replace(pairs, part=part)), rows


def _say_nothing(_: StepReport) -> None:
    pass


def _class_numbers(judged: Judged, job: RelevanceJob) -> Ints:
    label_N = judged.pairs.label[judged.rows]
    if judged.scale.kind == CLASSES:
        return numbered_classes(label_N, judged.pairs.classes, judged.scale, job.data.path)
    return (label_N >= judged.scale.relevant).astype(np.int64)


def _contradicted(judged: Judged) -> npt.NDArray[np.bool_]:
    pairs = judged.pairs
    labels: dict[tuple[str, str], set[float]] = {}
    keys = [(" ".join(split_words(q)), p) for q, p in zip(*pairs.texts(judged.rows), strict=True)]
    for key, label in zip(keys, pairs.label[judged.rows].tolist(), strict=True):
        labels.setdefault(key, set()).add(label)
    return np.array([len(labels[key]) > 1 for key in keys], dtype=np.bool_)


def _lines(judged: Judged, label_N: Ints, guess_N: Ints, several_N: npt.NDArray[np.bool_]) -> Iterator[tuple[str, ...]]:
    yield "query", "product", "query_id", "product_id", "label", "chance_of_label", "instead", "its_chance", "why"
    own_N = judged.chance_NC[np.arange(len(label_N)), label_N]
    other_N = np.where(guess_N >= 0, judged.chance_NC[np.arange(len(label_N)), guess_N], np.nan)
    listed = np.flatnonzero((guess_N >= 0) | several_N)
    queries, products = judged.pairs.texts(judged.rows)
    asked, given = judged.pairs.names(judged.rows, "query"), judged.pairs.names(judged.rows, "product")
    words = _label_words(judged)
    for row in listed[np.lexsort((own_N[listed], guess_N[listed] < 0))].tolist():
        suspected = guess_N[row] >= 0
        why = [name for name, holds in ((CONFIDENT, suspected), (SEVERAL, bool(several_N[row]))) if holds]
        instead = _class_name(judged.scale, int(guess_N[row])) if suspected else ""
        numbers = (f"{own_N[row]:.4f}", instead, f"{other_N[row]:.4f}" if suspected else "")
        texts = (plain(text) for text in (queries[row], products[row], asked[row], given[row]))
        yield (*texts, words[row], *numbers, " and ".join(why))


def _class_name(scale: LabelScale, number: int) -> str:
    return scale.classes[number] if scale.kind == CLASSES else ("not relevant", "relevant")[number]


def _label_words(judged: Judged) -> list[str]:
    labels = judged.pairs.label[judged.rows].tolist()
    return [judged.pairs.classes[int(one)] if judged.pairs.classes else f"{one:g}" for one in labels]
