"""Which metrics fits can be chosen by: known from the job and its data, before the first of them is made."""

from trainer.data.splits import Part
from trainer.errors import JobError
from trainer.jobs.schema import AnyJob, NextItemJob, RelevanceJob, RetrievalJob
from trainer.measures.pair_predictions import several_a_query
from trainer.measures.ranks import METRICS
from trainer.models.label_scale import CLASSES, GRADES
from trainer.task import Task
from trainer.tasks.relevance import Relevance

CHOICES = ("auc", "accuracy", "precision", "recall", "f1", "calibration_error", "correct", "log_loss")
ANSWERS = (*CHOICES, "brier")
OF_GRADES = ("rmse", "spearman", "squared_error")
TRIPS = (*METRICS, "coverage")
SEARCHES = ("ndcg_at_10", "recall_at_10", "recall_at_50", "mrr")


def metric_names(job: AnyJob, task: Task) -> tuple[str, ...]:
    """Give what says how good a model of the task is; what it costs is no matter to choose by."""
    match job:
        case NextItemJob():
            return TRIPS
        case RetrievalJob():
            return SEARCHES
        case RelevanceJob():
            assert isinstance(task, Relevance)  # the task of such a job
            kind, rows = task.scale.kind, task.pairs.rows(Part(job.part))
            if kind == CLASSES:
                return CHOICES
            lists = (f"ndcg_at_{job.k}", "mrr") if several_a_query(task.pairs, rows) else ()
            return (*ANSWERS, *(OF_GRADES if kind == GRADES else ()), *lists)


def check_metric(key: str, metric: str, job: AnyJob, task: Task) -> None:
    """Raise JobError where no fit of the task would measure what is asked for by a key."""
    known = metric_names(job, task)
    if metric not in known:
        raise JobError(f"{key}: {metric!r} is not one of {', '.join(known)}")
