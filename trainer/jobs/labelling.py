"""What is asked of people to label, and what a model may label itself: the section `[label]`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from trainer.jobs.fields import Count, FilePath, Section, resolve_path

Reason = Literal["uncertainty", "disagreement", "diversity", "mix", "random"]
Confidence = Annotated[float, Field(gt=0.5, lt=1)]
MIX: tuple[Reason, ...] = ("uncertainty", "diversity")


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _resolve_folder(value: object, info: ValidationInfo) -> object:
    found = resolve_path(value, info)
    return str(found.absolute()) if isinstance(found, Path) else found


ModelFolder = Annotated[str, BeforeValidator(_resolve_folder)]


class LabelJob(Section):
    """Unlabelled pairs, and what is made of them."""

    pairs: FilePath | None = None  # a table with the columns of `data`; default: rows of `data` without a label
    count: Count = 100  # pairs that people are asked about
    by: Annotated[tuple[Reason, ...], BeforeValidator(_one_or_more), Field(strict=False, min_length=1)] = ("mix",)
    others: Annotated[tuple[ModelFolder, ...], BeforeValidator(_one_or_more), Field(strict=False)] = ()  # saved models
    language: Literal["en", "zh"] = "en"  # of the form
    folds: Annotated[int, Field(ge=2, le=20)] = 3  # of the train rows, to judge each by a model that never saw it
    confidence: Confidence = 0.9  # from which calibrated chance on a model's own answer is taken for a label
    most_per_label: Count = 500  # such labels a round
    rounds: Count = 3
    metric: str | None = None  # of the valid rows, which has to gain; auc, of classes accuracy

    @model_validator(mode="after")
    def _draws_or_chooses(self) -> "LabelJob":
        if "random" in self.by and len(self.by) > 1:
            raise ValueError('by: "random" chooses by nothing else')
        return self

    @property
    def reasons(self) -> frozenset[Reason]:
        """Give what decides, a mix spelt out."""
        return frozenset(part for reason in self.by for part in (MIX if reason == "mix" else (reason,)))
