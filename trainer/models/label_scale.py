"""What a judgement is: yes or no, one of some classes, or a grade between two ends; kept beside the model."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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
class RelevanceSettings:
    """What a fitted model needs beside its weights."""

    scale: LabelScale
    calibration: Calibration  # from outputs to grades, or to the chances of classes
    certainty: Calibration  # from outputs to the chance of being relevant; the same for yes or no
    threshold: float  # of that chance
    max_tokens: int
    pooling: str


def choose_scale(
    label_N: Floats, all_N: Floats, names: tuple[str, ...], target: str, relevant: float | None, where: Path
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


def save_settings(saved: RelevanceSettings, folder: Path) -> None:
    """Write what load_settings reads, beside the weights."""
    (folder / SETTINGS).write_text(json.dumps(asdict(saved), indent=2) + "\n", encoding="utf-8")


def load_settings(folder: Path) -> RelevanceSettings | None:
    """Read what `fit` wrote beside the weights; None where the folder holds a bare model."""
    path = folder / SETTINGS
    if not path.exists():
        return None
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        scale = LabelScale(**facts["scale"] | {"classes": tuple(facts["scale"]["classes"])})
        return RelevanceSettings(
            scale,
            Calibration(**facts["calibration"]),
            Calibration(**facts["certainty"]),
            float(facts["threshold"]),
            int(facts["max_tokens"]),
            str(facts["pooling"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: not settings this version can read: {reason}") from None
