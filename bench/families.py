"""The judge beside others on the benchmark's families, our own and series of other origin: one table.

    python bench/families.py --detect DIR [--otava PYTHON] [--otava-source DIR] [--mongodb PYTHON] [--scale 0.3]

DIR holds gen.py and seen/. The peers' interpreters are made as the docstring of ``bench/judge.py`` says; DIR of Otava's
source is its source package, unpacked (``pip download --no-deps --no-binary :all: apache-otava==0.8.0``); the
package ``otava-test-data`` is used where it is installed. A cell is: false alarms per 1,000 clean runs, and of the
steps of 1 to 3 spreads those that were told within ten runs. Peers that run on every prefix see the first ``--slow``
series of each family, and none of more than a hundred runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from foreign import Change, Labelled, level_series, otava_patterns, retrained, tigerbeetle

HERE = Path(__file__).parent
WITHIN = 10
ORIGINS = ("benchmark", "own", "retrained", "patterns", "real")
LONGEST = 100  # runs of a series that is judged on every prefix
SMALLEST, LARGEST = 0.95, 3.5  # spreads of a step that counts for POWER


@dataclass(slots=True)
class Score:
    false: int = 0
    clean: int = 0
    told: int = 0
    steps: int = 0
    series: int = 0

    def add(self, series: Labelled, alerts: Iterable[int]) -> None:
        """Count as the benchmark's scorer does: an alert is false where no fall stands."""
        edges = [*(change.at for change in series.changes), len(series.values)]
        fallen = set()
        raised = set(alerts)
        for change, (start, end) in zip(series.changes, pairwise(edges), strict=True):
            if change.is_bad:
                fallen |= set(range(start, end))
                if not series.is_graded or SMALLEST <= change.size <= LARGEST:
                    self.steps += 1
                    self.told += any(start <= at < min(start + WITHIN, end) for at in raised)
        self.series += 1
        self.false += len(raised - fallen)
        self.clean += len(series.values) - len(fallen)

    def __str__(self) -> str:
        false = f"{1000 * self.false / self.clean:.1f}" if self.clean else "-"
        if not self.clean and not self.steps:
            return ""
        return f"{false}, {self.told / self.steps:.0%}" if self.steps else false


def generated(detect: Path, seed: int, scale: float) -> Iterator[Labelled]:
    """Yield fresh series of the benchmark's generator and of our own families, oriented: higher is better."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(detect / "gen.py"), "online", folder, "--seed", str(seed)]
        more = ["--scale", str(scale), "--extra", str(HERE / "extra_noise.py")]
        subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL)
        records, labels = (
            [json.loads(line) for line in (Path(folder) / name).read_text(encoding="utf-8").splitlines()]
            for name in ("online.jsonl", "online.labels.jsonl")
        )
    from extra_noise import FAMILIES

    for record, label in zip(records, labels, strict=True):
        sign = 1 if record["higher_is_better"] else -1
        is_step = label["scenario"] == "step"  # of a drift, and of several changes, no share is told here
        changes = [
            Change(c["index"], c["size_sigma"] if is_step else 0.0, c["direction"] == "bad") for c in label["changes"]
        ]
        origin = "own" if label["family"] in FAMILIES else "benchmark"
        yield Labelled(origin, label["family"], [sign * value for value in record["values"]], changes)


def ask(command: Sequence[str], series: Sequence[Labelled]) -> list[list[int]]:
    """Return the runs at which a detector raises an alarm, of each series."""
    asked = "".join(
        json.dumps({"id": str(i), "values": one.values, "higher_is_better": True}) + "\n"
        for i, one in enumerate(series)
    )
    answered = subprocess.run(command, input=asked, check=True, capture_output=True, text=True).stdout
    by_id = {each["id"]: each["alerts"] for each in map(json.loads, filter(None, answered.splitlines()))}
    return [by_id[str(i)] for i in range(len(series))]


def contenders(chosen: argparse.Namespace) -> Iterator[tuple[str, list[str], bool]]:
    """Yield name, command and whether it is slow."""
    herald = [str(Path(sys.executable).parent / "herald"), "judge", "--format", "jsonl", "--preset"]
    peers = str(HERE / "peers.py")
    for preset in ("quiet", "sensitive"):
        yield f"herald {preset}", [*herald, preset, "-"], False
    for name in ("drop", "z", "cusum5", "cusum6.5"):
        yield name, [sys.executable, peers, name], False
    for name in ("otava", "otava4") if chosen.otava else ():
        yield name, [chosen.otava, peers, name], True
    if chosen.mongodb:
        yield "mongodb", [chosen.mongodb, peers, "mongodb"], True


Family: TypeAlias = tuple[str, str]  # origin and name


def gather(chosen: argparse.Namespace) -> dict[Family, list[Labelled]]:
    """Gather the series of each family, the benchmark's first."""
    found: dict[Family, list[Labelled]] = {}
    sources = [generated(chosen.detect, chosen.seed, chosen.scale), retrained(chosen.histories)]
    if find_spec("otava_test_data") is not None:
        sources.append(otava_patterns(chosen.histories))
    if chosen.otava_source:
        sources.append(tigerbeetle(chosen.otava_source))
    sources.append(level_series(chosen.detect))
    for source in sources:
        for series in source:
            found.setdefault((series.origin, series.family), []).append(series)
    return dict(sorted(found.items(), key=lambda item: ORIGINS.index(item[0][0])))


def measure(
    families: Mapping[Family, Sequence[Labelled]], command: Sequence[str], most: int | None
) -> dict[Family, Score]:
    """Score a detector on each family, and on all of one origin (under no name)."""
    short = {
        name: [one for one in family if most is None or len(one.values) <= LONGEST] for name, family in families.items()
    }
    seen = [one for family in short.values() for one in family[:most]]
    scores = {key: Score() for origin, name in families for key in ((origin, name), (origin, ""))}
    for series, alerts in zip(seen, ask(command, seen), strict=True):
        for name in (series.family, ""):
            scores[series.origin, name].add(series, alerts)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detect", type=Path, required=True)
    parser.add_argument("--otava")
    parser.add_argument("--mongodb")
    parser.add_argument("--otava-source", type=Path)
    parser.add_argument("--seed", type=int, default=951)
    parser.add_argument("--scale", type=float, default=0.3)
    parser.add_argument("--histories", type=int, default=40)
    parser.add_argument("--slow", type=int, default=20)
    parser.add_argument("--only", nargs="*", default=[])
    chosen = parser.parse_args()
    families = gather(chosen)
    columns: dict[str, dict[Family, Score]] = {}
    for name, command, is_slow in contenders(chosen):
        if chosen.only and name not in chosen.only:
            continue
        columns[name] = measure(families, command, chosen.slow if is_slow else None)
        print(name, "done", file=sys.stderr, flush=True)
    head = ["family", "series", "clean runs", *columns]
    print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    for origin in dict.fromkeys(origin for origin, _ in families):
        for key in [(origin, ""), *(key for key in families if key[0] == origin)]:
            of_it = [scores[key] for scores in columns.values()]
            named = [key[1] or f"**{origin}, all**", str(of_it[0].series), str(of_it[0].clean)]
            print("| " + " | ".join([*named, *map(str, of_it)]) + " |")


if __name__ == "__main__":
    main()
