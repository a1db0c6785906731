"""The numbers that MLflow is told of a run: metrics, their intervals, the scorers beside, the slices."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from trainer.measures.bootstrap import Intervals
from trainer.measures.per_example import aggregate_slices

if TYPE_CHECKING:
    from trainer.task import Outcome

POINTS = re.compile(r"^\.+")
LONGEST = 100  # characters: two such names, and what stands around them, are within MLflow's 250


def all_metrics(outcome: "Outcome", intervals: Intervals, shown: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Give every number of a run by the name that MLflow knows it by."""
    metrics = dict(outcome.metrics)
    for name, interval in intervals.whole.items():
        metrics |= {f"low/{name}": interval.low, f"high/{name}": interval.high}
    for scorer, values in outcome.compared.items():
        if scorer != outcome.name:
            metrics |= {f"{scorer.replace(' ', '_').replace('-', '_')}/{name}": value for name, value in values.items()}
    columns = distinct_names(sorted(shown))
    for column, parts in aggregate_slices(outcome.table, shown).items():
        names = distinct_names(sorted(parts))
        for value, (examples, values) in parts.items():
            place = f"{columns[column]}/{names[value]}"
            metrics |= {f"{place}/{name}": number for name, number in values.items()}
            metrics[f"{place}/examples"] = float(examples)
            further = outcome.sliced.get(column, {}).get(value)
            metrics |= {f"{place}/{name}": number for name, number in further.metrics.items()} if further else {}
    return metrics


def cell_name(source: str, target: str) -> str:
    """Give what the metrics of one set, learnt or not, on another begin with."""
    return f"{legal_name(source)}.{legal_name(target)}"


def legal_name(value: str) -> str:
    """Keep what MLflow allows in the name of a metric, of which this is a part: of a long one its beginning."""
    name = "".join(letter if letter.isalnum() or letter in "_-. " else "_" for letter in value) or "none"
    name = POINTS.sub(lambda found: "_" * len(found[0]), name)  # such as stand for a folder
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}_{sha256(value.encode()).hexdigest()[:8]}"


def distinct_names(values: Sequence[str]) -> Mapping[str, str]:
    """Give each value a name that MLflow allows and no other of them has: that of "a/b" and of "a_b" would be one."""
    names = {value: legal_name(value) for value in values}
    often = Counter(names.values())
    return {
        value: name if name == value or often[name] == 1 else f"{name}-{sha256(value.encode()).hexdigest()[:8]}"
        for value, name in names.items()
    }
