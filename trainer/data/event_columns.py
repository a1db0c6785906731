"""The columns of a log of events, and what reads those whose way of writing is told by all rows together."""

from collections.abc import Iterator
from dataclasses import dataclass

from trainer.data.batches import Batch
from trainer.data.number_columns import NumberReader
from trainer.data.tables import read_batches
from trainer.data.times import TimeReader
from trainer.jobs.data import InteractionsData


@dataclass(frozen=True, slots=True)
class Readers:
    """What reads the columns whose way of writing is told by all rows together."""

    time: TimeReader
    value: NumberReader | None
    price: NumberReader | None
    rating: NumberReader | None

    @classmethod
    def of(cls, job: InteractionsData) -> "Readers":
        """Make readers that look through the whole table where the rows at hand do not tell."""

        def again() -> Iterator[Batch]:
            return read_batches(job, columns_of(job))

        names = (job.columns.value, job.columns.price, job.columns.rating)
        return cls(
            TimeReader(job.time_format, again), *(None if name is None else NumberReader(name, again) for name in names)
        )


def columns_of(job: InteractionsData) -> list[str]:
    """Name the columns that the job reads."""
    columns = job.columns
    kept = (columns.behaviour, columns.rating)
    single = (columns.user, columns.item, columns.time, columns.value, columns.price, columns.event, *kept)
    return [name for name in (*single, *columns.text) if name is not None]
