"""Where jobs can run: a union of sections, one a kind."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from bot.executors.kubernetes.config import KubernetesSection
from bot.executors.local.config import LocalSection
from bot.executors.ray.config import RaySection
from bot.executors.slurm.config import SlurmSection

ExecutorSection = Annotated[LocalSection | KubernetesSection | RaySection | SlurmSection, Field(discriminator="kind")]
LOCAL = "local"  # always there: Herald's own machine


def check_executor(key: str, wanted: str, known: Mapping[str, ExecutorSection]) -> None:
    """Raise ValueError where *key* names an executor that is not there."""
    if wanted == LOCAL or wanted in known:
        return
    names = sorted({LOCAL, *known})
    near = difflib.get_close_matches(wanted, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"{key}: {wanted!r} is not one of {names}: {hint}each but 'local' has a section [executor.NAME]")
