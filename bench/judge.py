"""Score the judge and its peers side by side with the benchmark's own scorer, in one run.

    python bench/judge.py --detect DIR [--otava PYTHON] [--mongodb PYTHON] [--limit 700] [--only NAME ...]

DIR holds score.py and seen/. The peers pin versions of numpy that do not agree, so each has an environment of its own:

    python -m venv PEERS/otava && PEERS/otava/bin/pip install apache-otava==0.8.0
    python -m venv PEERS/mongodb
    PEERS/mongodb/bin/pip install signal-processing-algorithms==2.1.6 "numpy==1.26.*"

and ``--otava PEERS/otava/bin/python --mongodb PEERS/mongodb/bin/python`` names their interpreters; without
them their rows are left out. Peers that run on every prefix are slow: they are scored on the first ``--limit`` series,
and so is a second row of the judge, to be held against them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS = ("detector", "n", "FA", "worst family", "POWER", "5 sigma", "delay at 3", "improvement", "repeats", "seconds")


def score(detect: Path, mode: str, command: str, limit: int | None) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        scorer = [sys.executable, str(detect / "score.py"), mode, "--data", str(detect / "seen"), "--cmd", command]
        limits = ["--limit", str(limit)] if limit else []
        subprocess.run([*scorer, *limits, "--json", str(out)], check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text(encoding="utf-8"))


def row(name: str, found: dict) -> list[str]:
    family, worst = max(found["by_family_fa_per_1000"].items(), key=lambda item: item[1])
    return [
        name,
        str(found["series"]),
        f"{found['false_alarms_per_1000_clean_runs']:.1f}",
        f"{family} {worst:.1f}",
        f"{found['power_1to3']:.1f}",
        f"{found['detect_within_10_pct']['5.0']:.1f}",
        f"{found['mean_delay_runs']['3.0']}",
        f"{found['false_alarms_per_1000_runs_in_improvement_series']:.1f}",
        f"{found['repeat_tickets_per_detection']:.3f}",
        f"{found['seconds']}",
    ]


def print_row(cells: list[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def contenders(chosen: argparse.Namespace) -> list[tuple[str, str, bool]]:
    """Return name, command and whether it is slow."""
    herald = f"{Path(sys.executable).parent / 'herald'} judge --format jsonl --preset"
    peers = HERE / "peers.py"
    rows = [("herald quiet", f"{herald} quiet -", False), ("herald sensitive", f"{herald} sensitive -", False)]
    if chosen.otava or chosen.mongodb:
        rows.append(("herald quiet, first series", f"{herald} quiet -", True))
    rows += [(name, f"{sys.executable} {peers} {name}", False) for name in ("drop", "z", "cusum5", "cusum6.5")]
    if chosen.otava:
        rows += [(name, f"{chosen.otava} {peers} {name}", True) for name in ("otava", "otava4")]
    if chosen.mongodb:
        rows.append(("mongodb", f"{chosen.mongodb} {peers} mongodb", True))
    return [one for one in rows if not chosen.only or one[0] in chosen.only]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detect", type=Path, required=True)
    parser.add_argument("--otava")
    parser.add_argument("--mongodb")
    parser.add_argument("--limit", type=int, default=700)
    parser.add_argument("--only", nargs="*", default=[])
    chosen = parser.parse_args()
    print_row(list(COLUMNS))
    print_row(["---"] * len(COLUMNS))
    for name, command, slow in contenders(chosen):
        print_row(row(name, score(chosen.detect, "online", command, chosen.limit if slow else None)))
    print("\noffline: F1, covering")
    for name, command, _ in contenders(chosen):
        if name in {"herald quiet", "otava", "mongodb"}:
            found = score(chosen.detect, "offline", command, None)
            print_row([name, f"{found['f1']:.3f}", f"{found['cover']:.3f}"])


if __name__ == "__main__":
    main()
