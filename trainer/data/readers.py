"""How the data of a job are come by: read ahead by another process, read when they are wanted, or given."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trainer.data.next_item_data import ReadSnapshot, read_data
from trainer.data.pairs import Pairs, ReadPairs, read_pairs
from trainer.data.reading_ahead import reading_ahead
from trainer.data.snapshot import Snapshot
from trainer.jobs.schema import AnyJob, NextItemJob


@dataclass(frozen=True, slots=True)
class DataReaders:
    """What reads the data of each kind of job."""

    pairs: ReadPairs = read_pairs
    snapshot: ReadSnapshot = read_data


@contextmanager
def readers_of(job: AnyJob, given: Pairs | Snapshot | None = None) -> Iterator[DataReaders]:
    """Let a job's data be read ahead while the block runs; those that are *given* stand for them."""
    match given:
        case Pairs():
            yield DataReaders(pairs=lambda _: given)
        case Snapshot():
            yield DataReaders(snapshot=lambda _: given)
        case _ if isinstance(job, NextItemJob):
            with reading_ahead(job.data, read_data, job.threads) as snapshot:
                yield DataReaders(snapshot=snapshot.take)
        case _:
            with reading_ahead(job.data, read_pairs, job.threads) as pairs:
                yield DataReaders(pairs=pairs.take)
