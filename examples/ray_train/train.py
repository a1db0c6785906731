"""The same fit under Ray Train: `python examples/ray_train/train.py JOB.toml [--workers 2] [--gpu] [--set KEY=VALUE]`.

Each worker of Ray starts one process of the trainer and tells it its place, as torchrun would. Where one of them is
lost, Ray starts all again, and they go on from the last checkpoint.
"""

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.errors import TrainerError
from trainer.jobs.file import FIRE_ID_VARIABLE, load_job


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("job", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gpu", action="store_true", help="one a worker")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--address", help="of a cluster that runs; default: one on this machine, for this fit")
    options = parser.parse_args()
    try:
        job = load_job(options.job, options.overrides)  # before Ray starts: what is wrong is told in a sentence
    except TrainerError as error:
        print(f"ray_train: {error}", file=sys.stderr)
        return 2
    told = {
        "command": [str(options.job.absolute()), *(word for one in options.overrides for word in ("--set", one))],
        "folder": str(Path.cwd()),
        "output": str(job.output.absolute()),
        "environment": {name: os.environ[name] for name in (FIRE_ID_VARIABLE,) if name in os.environ},
    }
    return fit_together(told, options.workers, gpu=options.gpu, address=options.address)


def fit_together(told: Mapping[str, Any], workers: int, *, gpu: bool, address: str | None) -> int:
    """Fit in so many workers of a cluster, or of a Ray of its own."""
    if address is None:
        # Nobody else of this machine may give this Ray work, which reads both as it is imported; without a token of
        # this fit's it would write one into the home folder.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    ray.init(address, **({"num_cpus": workers, "include_dashboard": True} if address is None else {}))
    with tempfile.TemporaryDirectory(prefix="ray-train-") as storage:
        fitted = DataParallelTrainer(
            fit_in_worker,
            train_loop_config=dict(told),
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu),
            run_config=RunConfig(name="trainer", storage_path=storage, failure_config=FailureConfig(max_failures=1)),
        )
        try:
            fitted.fit()
        except TrainingFailedError as error:
            print(f"ray_train: {str(error).strip().splitlines()[-1]}", file=sys.stderr)
            return 1
        finally:
            ray.shutdown()
    print(f"ray_train: {workers} workers are done; output {told['output']}")
    return 0


def fit_in_worker(told: Mapping[str, Any]) -> None:
    """Let a process of the trainer fit, and report what the first has measured."""
    from ray.train import get_context, report
    from ray.train.collective import broadcast_from_rank_zero

    context = get_context()
    place = broadcast_from_rank_zero(_meeting_place() if context.get_world_rank() == 0 else None)
    environment = {
        "RANK": context.get_world_rank(),
        "WORLD_SIZE": context.get_world_size(),
        "LOCAL_RANK": context.get_local_rank(),
        "LOCAL_WORLD_SIZE": context.get_local_world_size(),
        "MASTER_ADDR": place["address"],
        "MASTER_PORT": place["port"],
    }
    given = {**os.environ, **told["environment"], **{name: str(value) for name, value in environment.items()}}
    # A process of its own: signals, exit codes and threads are then as they are without Ray.
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "fit", *told["command"]], env=given, cwd=told["folder"], check=False
    )
    if done.returncode:
        raise RuntimeError(f"process {environment['RANK']} of the fit ended with {done.returncode}; it has said why")
    metrics = {}
    if context.get_world_rank() == 0:
        metrics = json.loads(Path(told["output"], "result.json").read_text(encoding="utf-8"))["metrics"]
    report(metrics)


def _meeting_place() -> dict[str, Any]:
    """Give an address and a port of this machine that are free."""
    from ray.util import get_node_ip_address

    with socket.socket() as found:
        found.bind(("", 0))
        return {"address": get_node_ip_address(), "port": found.getsockname()[1]}


if __name__ == "__main__":
    sys.exit(main())
