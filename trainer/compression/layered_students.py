"""Students of layers: half of the tuned model's, or those layers and heads of it that matter."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.compression.importance import LabelledRows, heads_that_matter, layers_that_matter
from trainer.compression.layer_reader import LayerReader, cut
from trainer.compression.recovery import recover
from trainer.errors import ModelError
from trainer.jobs.compression import CompressJob
from trainer.models.backbone import layer_list
from trainer.models.pair_tokens import Tokens


@dataclass(frozen=True, slots=True)
class LayerLessons:
    """What a student of layers is made with."""

    open: Callable[[], LayerReader]  # the tuned model, loaded anew each time
    tokens: Tokens  # of the texts or pairs that it learns to read
    labelled: Callable[[], LabelledRows]  # what shows which parts matter
    job: CompressJob


def make_half(lessons: LayerLessons, folder: Path) -> None:
    """Write half of the model's layers, evenly apart, taught by the whole; raise ModelError."""
    reader = lessons.open()
    count = len(layer_list(reader.model))
    if count < 2:  # noqa: PLR2004 - of one there is no half
        raise ModelError(f"{reader.source.folder}: has {count} layer of its own to leave out: it cannot be halved")
    # The last among them: without it the layers below would have to learn anew what comes out in the end.
    layers = np.unique(np.linspace(0, count - 1, -(-count // 2)).round().astype(int)).tolist()
    _teach(cut(reader, layers, lambda _: {}, folder), lessons, "half", folder)


def make_pruned(lessons: LayerLessons, folder: Path) -> None:
    """Write the layers and heads that matter, taught by the whole; raise ModelError."""
    reader, job = lessons.open(), lessons.job
    if job.heads == job.layers == 1:
        raise ModelError("pruned: compress.heads and compress.layers are 1: nothing is to be taken out")
    labelled = lessons.labelled()
    layers = layers_that_matter(reader, labelled, job.layers, job.seed)
    student = cut(reader, layers, lambda one: heads_that_matter(one, labelled, job.heads, job.seed), folder)
    _teach(student, lessons, "pruned", folder)


def _teach(student: LayerReader, lessons: LayerLessons, name: str, folder: Path) -> None:
    recover(lessons.open(), student, lessons.tokens, lessons.job.recovery, lessons.job.seed, name)
    student.write(folder)
