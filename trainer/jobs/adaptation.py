"""How a model reads itself into a job's texts before the task is learnt: the section `[adapt]`."""

from typing import Annotated

from pydantic import Field

from trainer.jobs.fields import Count, Positive, Section, Share


class AdaptJob(Section):
    """Hidden tokens of the texts are told from the rest (BERT, Devlin et al. 2019)."""

    texts: Annotated[int, Field(ge=2, lt=2**31)] | None = None  # drawn at most; all by default
    epochs: Count = 1
    batch: Annotated[int, Field(ge=8, lt=2**31)] = 4096  # tokens a step, what is filled up counted
    lr: Positive = 5e-5
    warmup: Share = 0.1  # share of the steps
    mask: Annotated[float, Field(gt=0, le=0.5)] = 0.15  # share of a text's tokens that is asked for, one at least
    whole_words: bool = False  # true: all pieces of a word are hidden together
    layers: Count | None = None  # that learn, from the top; all by default, the word embeddings never
    valid_share: Annotated[float, Field(gt=0, le=0.5)] = 0.05  # of the texts, held out to measure what was learnt
