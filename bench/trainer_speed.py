"""Where a fit spends its time: `python bench/trainer_speed.py JOB.toml [--set KEY=VALUE]`.

Wall and CPU seconds a stage, in one process; CPU beyond wall is the second core.
"""

import argparse
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

sys.path.pop(0)  # this folder has a requests.py of its own
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@contextmanager
def stage(name: str) -> Iterator[None]:
    wall, cpu = perf_counter(), _cpu()
    yield
    print(f"{name:30} {perf_counter() - wall:7.2f} {_cpu() - cpu:7.2f}", flush=True)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    options = parser.parse_args()
    print(f"{'stage':30} {'wall s':>7} {'cpu s':>7}")
    with TemporaryDirectory() as scratch:
        measure(options.job, [*options.overrides, f"output={scratch}/output"], Path(scratch))


def measure(path: Path, overrides: list[str], scratch: Path) -> None:
    from trainer.environment import let_threads_sleep, usable_cores

    let_threads_sleep()
    with stage("total"):
        with stage("import torch"):
            import torch
        with stage("import transformers"):
            from transformers import BertModel  # noqa: F401
        with stage("import the rest"):
            from trainer.data.snapshot import read_snapshot
            from trainer.jobs.file import load_job
            from trainer.learning.checkpoints import NoCheckpoints
            from trainer.tasks import next_item
            from trainer.tracking.mlflow import start_run
        job = load_job(path, overrides)
        torch.set_num_threads(job.threads or usable_cores())
        with stage("read the snapshot alone"):
            read_snapshot(job.data.snapshot)
        with stage("load data and model"):
            task = next_item.load(job, training=True)
        with stage("start an MLflow run"):
            recorder = start_run(job.tracking, {})
        with stage("fit, the untrained model first"):
            ready = task.fit(lambda _: None, NoCheckpoints())
        with stage("rank and compare"):
            ready.score()
        with stage("save the model"):
            ready.save(scratch / "model")
        with stage("log the model"):
            recorder.log_artifact(scratch / "model", "model")
        recorder.finish("FINISHED")


if __name__ == "__main__":
    main()
