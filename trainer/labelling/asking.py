"""From a model and unlabelled pairs to a form, and from filled-in tables to a table that can be fitted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.snapshot import check_unused, partial_folder
from trainer.errors import JobError
from trainer.jobs.schema import RelevanceJob
from trainer.labelling.answers import Rating, read_answers, settle
from trainer.labelling.choosing import pick
from trainer.labelling.joining import write_joined
from trainer.labelling.judges import weigh
from trainer.labelling.pool import read_pool
from trainer.labelling.sheet import Sheet, answer_scale, read_sheet, write_sheet
from trainer.results.registered_models import fetched
from trainer.tasks.on_device import load_on_device
from trainer.tasks.relevance import Relevance

PAIRS, RATINGS = "pairs.parquet", "ratings.parquet"


@dataclass(frozen=True, slots=True)
class ChosenPairs:
    """What was chosen, and of how many."""

    count: int
    pool: int
    reasons: str
    left_out: Mapping[str, int]  # why -> rows


@dataclass(frozen=True, slots=True)
class JoinedLabels:
    """What came back."""

    labelled: int
    asked: int
    tied: int
    raters: Mapping[str, int]  # name -> answers
    rows: int  # of the table that was written


def ask_next(job: RelevanceJob, output: Path) -> ChosenPairs:
    """Choose pairs and write what people fill in, all or nothing; raise InputError."""
    check_unused(output)
    with fetched(job) as local:
        task = open_task(local)
        pool = read_pool(local, task.pairs)
        worth, vector_ND = weigh(local, task, pool)
        chosen = pick(worth, vector_ND, job.label.count, len(pool), job.seed)
        assert task.saved is not None  # open_task refuses a bare model
        scale = answer_scale(local, task.saved.scale, task.pairs)
        reasons = " and ".join(sorted(job.label.reasons))
        told = {"model": str(local.model.folder), "by": reasons, "data_hash": task.card.hash}
        with partial_folder(output) as folder:
            scores = {name: values[chosen].tolist() for name, values in worth.items()}
            write_sheet(folder, pool.take(chosen), scale, job.label.language, told, scores)
            folder.rename(output)
    return ChosenPairs(len(chosen), len(pool), reasons, pool.left_out)


def join_answers(job: RelevanceJob, sheet_folder: Path, answers: Sequence[Path], output: Path) -> JoinedLabels:
    """Read answers and write the job's table with them, all or nothing; raise InputError."""
    check_unused(output)
    if job.data.columns.label is None:
        raise JobError("label: data.columns.label is missing: where labels stand has to be known")
    sheet = read_sheet(sheet_folder)
    ratings = read_answers(answers, sheet)
    settled = settle(ratings, sheet)
    labels = settled.labels
    with partial_folder(output) as folder:
        rows = write_joined(job.data, [sheet.columns[name] for name in labels], list(labels.values()), folder / PAIRS)
        pq.write_table(_ratings_table(ratings, sheet), folder / RATINGS)
        folder.rename(output)
    raters = Counter(rating.rater for rating in ratings)
    return JoinedLabels(len(labels), len(sheet.queries), len(settled.tied), dict(sorted(raters.items())), rows)


def open_task(job: RelevanceJob) -> Relevance:
    """Open a fitted model and the pairs that it may learn from; raise InputError."""
    task, _ = load_on_device(job.model_copy(update={"part": "train"}), training=False)
    assert isinstance(task, Relevance)  # the task of such a job
    return task


def _ratings_table(ratings: Sequence[Rating], sheet: Sheet) -> pa.Table:
    return pa.table(
        {
            "id": [rating.id for rating in ratings],
            "query": [sheet.queries[rating.id] for rating in ratings],
            "product": [sheet.products[rating.id] for rating in ratings],
            "rater": [rating.rater for rating in ratings],
            "label": [rating.label for rating in ratings],
        }
    )
