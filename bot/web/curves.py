"""A run's metrics step by step, asked of MLflow with little patience: a page is whole without them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.domain.page_charts import CurvePicture
from bot.errors import HeraldError
from bot.ports import StepReader
from bot.runtime.deadline import ending_at
from bot.runtime.log import describe, get_logger

_PATIENCE = 2.0  # seconds for all the curves of one run
_RESTS = 60.0  # seconds after MLflow had not answered in time
_METRICS, _DRAWN, _STEPS = 16, 6, 300
_KEPT = 64  # runs

log = get_logger(__name__)


@dataclass(slots=True)
class StepCurves:
    """Draws curves of finished runs, which no longer change; one reader at a time asks, the others do without."""

    steps: StepReader
    may_ask: Callable[[], bool] = lambda: True
    _kept: OrderedDict[str, tuple[CurvePicture, ...]] = field(default_factory=OrderedDict)
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _rests_until: float = 0.0

    def __call__(self, run_id: str, metrics: Sequence[str]) -> Sequence[CurvePicture]:
        if run_id in self._kept:
            return self._kept[run_id]
        if not self.may_ask() or time.monotonic() < self._rests_until or not self._asking.acquire(blocking=False):
            return ()
        thread = threading.Thread(target=self._ask, args=(run_id, metrics), name="curves", daemon=True)
        thread.start()
        thread.join(_PATIENCE)
        if thread.is_alive():
            self._rests_until = time.monotonic() + _RESTS
        return self._kept.get(run_id, ())

    def _ask(self, run_id: str, metrics: Sequence[str]) -> None:
        try:
            with ending_at(time.monotonic() + _PATIENCE):
                found = self.steps.by_step(run_id, metrics[:_METRICS])
            self._kept[run_id] = tuple(
                CurvePicture(name, tuple(step for step, _ in points), tuple(value for _, value in points))
                for name, points in ((name, _thinned(points)) for name, points in found.items())
                if len(points) > 1
            )[:_DRAWN]
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        except HeraldError:  # a page says nothing of it: MLflow is away, or the run is gone from it
            self._rests_until = time.monotonic() + _RESTS
        except Exception as error:  # noqa: BLE001  whatever MLflow's client raises, it is no trouble of the page's
            self._rests_until = time.monotonic() + _RESTS
            log.warning("curves not read", error=describe(error))
        finally:
            self._asking.release()


def _thinned(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """Return some of many points, the first and the last among them."""
    if len(points) <= _STEPS:
        return points
    return [points[round(number * (len(points) - 1) / (_STEPS - 1))] for number in range(_STEPS)]
