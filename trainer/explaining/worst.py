"""Why the worst examples of a run got their answers, where a job asks for it: explanations.json beside the metrics."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from trainer.data.splits import Part
from trainer.explaining.explanation import Explanation
from trainer.explaining.files import EXPLANATIONS, write_explanations
from trainer.explaining.pair_judge import explain_pair
from trainer.explaining.relevance_judge import RelevanceJudge
from trainer.explaining.similarity_judge import SimilarityJudge
from trainer.jobs.schema import Job, PairJob
from trainer.task import Outcome, Ready
from trainer.tasks.relevance import ReadyRelevance
from trainer.tasks.retrieval import FOUND, ReadyRetrieval
from trainer.tracking.progress import say


def keep_worst(job: Job, ready: Ready, outcome: Outcome, folder: Path) -> None:
    """Write why as many worst examples as the job says got their answers; what cannot be told spoils no run."""
    if not isinstance(job, PairJob) or not job.explain.worst:
        return
    try:
        write_explanations(list(islice(_explain(ready, outcome), job.explain.worst)), folder / EXPLANATIONS)
    except Exception as error:  # noqa: BLE001 - the metrics stand, whatever a model does with a word less
        (folder / EXPLANATIONS).unlink(missing_ok=True)
        say(f"trainer: the worst examples are not explained: {type(error).__name__}: {error}")


def _explain(ready: Ready, outcome: Outcome) -> Iterator[Explanation]:
    match ready:
        case ReadyRelevance():
            yield from _explain_pairs(ready, outcome)
        case ReadyRetrieval():
            yield from _explain_found(ready, outcome)


def _explain_pairs(ready: ReadyRelevance, outcome: Outcome) -> Iterator[Explanation]:
    """Take the pairs of which the model is surest that they are what they are not, one of each example."""
    task, table = ready.task, outcome.table
    judge, rows = RelevanceJudge(task.model, ready.saved), task.pairs.rows(Part(task.job.part))
    told = set()
    for place in np.argsort(-table.values["log_loss"], kind="stable").tolist():
        example = table.example_ids[place]
        if example not in told:
            told.add(example)
            ((query,), (product,)) = task.pairs.texts(rows[place : place + 1])
            yield explain_pair(judge, query, product, example)


def _explain_found(ready: ReadyRetrieval, outcome: Outcome) -> Iterator[Explanation]:
    """Take the queries whose lists gained least, and ask why the product that stands first is there."""
    task, table = ready.task, outcome.table
    judge, found = SimilarityJudge(task.encoder), outcome.tables[FOUND]
    first = {row["query"]: row["product"] for row in found.to_pylist() if row["rank"] == 1}
    texts = dict(zip(task.pairs.product_keys, task.pairs.products, strict=True))
    gained = next(values for name, values in table.values.items() if name.startswith("ndcg"))
    for place in np.argsort(gained, kind="stable").tolist():
        example = table.example_ids[place]
        if example in first:
            query = task.pairs.queries[int(task.asked.queries_Q[place])]
            yield explain_pair(judge, query, texts[first[example]], example)
