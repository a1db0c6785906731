"""What a judgement is: yes or no, one of some classes, or a grade between two ends; kept beside the model."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.data.json_texts import parse_json
from trainer.errors import DataError, ModelError
from trainer.models.calibration import Calibration

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SETTINGS = "relevance.json"
TWO = 2  # labels teach when there are two, and yes or no are two
BINARY, CLASSES, GRADES = "binary", "classes", "grades"


@dataclass(frozen=True, slots=True)
class LabelScale:
    """What a label can be, and from where a product counts as relevant."""

    kind: str  # binary, classes or grades
    low: float  # the ends of the grades; 0 and 1 for yes or no
    high: float
    relevant: float  # the grade from which a product counts as relevant
    classes: tuple[str, ...]  # names, where there are classes

    @property
    def outputs(self) -> int:
        """Give how many numbers a model has to say about a pair."""
        return len(self.classes) if self.kind == CLASSES else 1

    def shares(self, label_N: Floats) -> Floats:
        """Give labels between 0 and 1."""
        return np.asarray((label_N - self.low) / (self.high - self.low))

    def grades(self, share_N: Floats) -> Floats:
        """Give shares between 0 and 1 as grades again."""
        return np.asarray(self.low + (self.high - self.low) * share_N)


@dataclass(frozen=True, slots=True)
class JobScale:
    """What a job with a saved model says of its labels."""

    target: str  # auto, or a kind
    relevant: float | None
    settled: bool  # the model is scored as it was saved: its threshold is not chosen anew


@dataclass(frozen=True, slots=True)
class RelevanceSettings:
    """What a fitted model needs beside its weights."""

    scale: LabelScale
    calibration: Calibration  # from outputs to grades, or to the chances of classes
    certainty: Calibration  # from outputs to the chance of being relevant; the same for yes or no
    threshold: float  # of that chance
    max_tokens: int
    pooling: str
    spelling: bool = False  # queries are read in the words of the products


def choose_scale(
    label_N: Floats, all_N: Floats, names: tuple[str, ...], target: str, relevant: float | None, where: Path | str
) -> LabelScale:
    """Tell the kind from the labels unless the job says; raise DataError for train labels that teach nothing.

    What only valid or test rows have belongs to the scale as well: it cannot be learnt, but it can be judged.
    """
    distinct = np.unique(label_N)
    if len(distinct) < TWO:
        only = names[int(distinct[0])] if names and len(distinct) else f"{distinct[0]:g}" if len(distinct) else "absent"
        raise DataError(f"{where}: every label of the train rows is {only!r}; two different ones are the least")
    middle = (distinct[0] + distinct[-1]) / 2
    distinct = np.unique(all_N)
    kind = target if target != "auto" else CLASSES if names else BINARY if set(distinct) <= {0.0, 1.0} else GRADES
    if kind == CLASSES:
        return LabelScale(CLASSES, 0.0, 1.0, 0.5, names or tuple(f"{value:g}" for value in distinct))
    if kind == BINARY and len(distinct) > TWO:
        raise DataError(f"{where}: target = 'binary' wants two labels; the rows hold {len(distinct)}")
    low, high = float(distinct[0]), float(distinct[-1])
    cut = float(middle) if relevant is None else relevant  # the test's labels have no say in the cut
    if not low < cut <= high:
        raise DataError(f"{where}: relevant = {cut:g} parts nothing: labels run from {low:g} to {high:g}")
    return LabelScale(kind, low, high, cut, ())


def numbered_classes(label_N: Floats, names: tuple[str, ...], scale: LabelScale, where: Path) -> Ints:
    """Give each label's place among the classes the model knows; raise ModelError for one it does not."""
    known = {name: place for place, name in enumerate(scale.classes)}
    spoken = {value: names[int(value)] if names else f"{value:g}" for value in np.unique(label_N).tolist()}
    strange = [name for name in spoken.values() if name not in known]
    if strange:
        raise ModelError(
            f"{where}: class '{strange[0]}' is more than the model has: it knows {', '.join(scale.classes)}"
        )
    place = {value: known[name] for value, name in spoken.items()}
    return np.array([place[value] for value in label_N.tolist()], dtype=np.int64)


def check_grades(label_N: Floats, scale: LabelScale, where: Path) -> None:
    """Raise ModelError for a label beyond the ends the model was fitted to."""
    for value in (label_N.min(), label_N.max()):
        if not scale.low <= value <= scale.high:
            raise ModelError(f"{where}: label {value:g} is outside the model's scale, {scale.low:g} to {scale.high:g}")


def check_saved_scale(
    scale: LabelScale, label_N: Floats, names: tuple[str, ...], job: JobScale, where: Path
) -> LabelScale:
    """Hold a saved model's scale against a job and the labels it gets; raise ModelError where they are not of a kind.

    Give the scale to judge by: a job that fits may say anew from where a product counts.
    """
    if job.target not in ("auto", scale.kind):
        raise ModelError(
            f"target = {job.target!r} is not what the saved model says of a pair: it knows {_spoken(scale)}"
        )
    if scale.kind == CLASSES:
        numbered_classes(label_N, names, scale, where)
        return scale
    if names:
        raise ModelError(
            f"{where}: labels are words ({', '.join(names[:3])}), and the saved model knows {_spoken(scale)};"
            " data.grades says what each is worth"
        )
    check_grades(label_N, scale, where)
    distinct = np.unique(label_N)
    if scale.kind == BINARY and (strange := [value for value in distinct.tolist() if value not in _ends(scale)]):
        raise ModelError(f"{where}: label {strange[0]:g} is neither of what the saved model knows: {_spoken(scale)}")
    cut = scale.relevant if job.relevant is None else job.relevant
    _check_cut(cut, scale, distinct, job, where)
    return replace(scale, relevant=cut)


def _check_cut(cut: float, scale: LabelScale, distinct_L: Floats, job: JobScale, where: Path) -> None:
    if job.settled and cut != scale.relevant:
        # Certainty and threshold were chosen for the cut of the fit: of another they say nothing.
        raise ModelError(
            f"relevant = {cut:g} is not what the saved model was fitted with, {scale.relevant:g}: leave it out, or fit"
        )
    if not scale.low < cut <= scale.high:
        raise ModelError(f"relevant = {cut:g} parts nothing: the saved model knows {_spoken(scale)}")
    # Of yes or no a table may hold one alone; grades that all lie on one side are of another scale.
    if scale.kind == GRADES and not distinct_L[0] < cut <= distinct_L[-1]:
        whose = "the saved model's" if job.relevant is None else "the job's"
        raise ModelError(
            f"{where}: {whose} relevant = {cut:g} parts nothing: labels run from {distinct_L[0]:g} to"
            f" {distinct_L[-1]:g}, and the saved model knows {_spoken(scale)}"
        )


def _ends(scale: LabelScale) -> tuple[float, float]:
    return scale.low, scale.high


def _spoken(scale: LabelScale) -> str:
    if scale.kind == CLASSES:
        return f"the classes {', '.join(scale.classes)}"
    if scale.kind == BINARY:
        return f"yes or no, {scale.high:g} or {scale.low:g}"
    return f"grades from {scale.low:g} to {scale.high:g}"


def save_settings(saved: RelevanceSettings, folder: Path) -> None:
    """Write what load_settings reads, beside the weights."""
    (folder / SETTINGS).write_text(json.dumps(asdict(saved), indent=2) + "\n", encoding="utf-8")


def load_settings(folder: Path) -> RelevanceSettings | None:
    """Read what `fit` wrote beside the weights; None where the folder holds a bare model."""
    path = folder / SETTINGS
    if not path.exists():
        return None
    try:
        facts: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        scale = LabelScale(**facts["scale"] | {"classes": tuple(facts["scale"]["classes"])})
        found = RelevanceSettings(
            scale,
            Calibration(**facts["calibration"]),
            Calibration(**facts["certainty"]),
            float(facts["threshold"]),
            int(facts["max_tokens"]),
            str(facts["pooling"]),
            bool(facts.get("spelling", False)),
        )
        _check_settings(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: not settings this version can read: {reason}") from None
    return found


def _check_settings(saved: RelevanceSettings) -> None:
    """Raise ValueError for settings that no fit writes."""
    scale, numbers = saved.scale, (*asdict(saved.calibration).values(), *asdict(saved.certainty).values())
    if scale.kind not in (BINARY, CLASSES, GRADES):
        raise ValueError(f"scale.kind is {scale.kind!r}")
    if scale.kind == CLASSES and len(set(scale.classes)) < max(TWO, len(scale.classes)):
        raise ValueError(f"scale.classes are {', '.join(scale.classes)}")
    if scale.kind != CLASSES and not -np.inf < scale.low < scale.relevant <= scale.high < np.inf:
        raise ValueError(f"scale.relevant is {scale.relevant}, the scale from {scale.low} to {scale.high}")
    if not 0 <= saved.threshold <= 1:
        raise ValueError(f"threshold is {saved.threshold}, not a chance")
    if not np.isfinite(numbers).all():
        raise ValueError("calibration and certainty are not all numbers")
