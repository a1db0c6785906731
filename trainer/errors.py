"""What can go wrong, as a tree.

TrainerError          one sentence for the person who started the job
├── InputError        what was handed in is wrong: exit code 2, nothing is left behind
│   ├── JobError      the job file
│   ├── DataError     tables and snapshots
│   │   └── PictureError  one picture of a table
│   ├── ModelError    a model folder
│   └── CheckpointError  where a fit would go on from
├── TrainingError     a fit cannot go on: its loss runs away, memory is too short: exit code 1
├── LostProcessError  one of several processes that fit together is gone: exit code 1, checkpoints stay
├── ScoringError      a model was trained and could not be scored: exit code 1, the model is kept
└── TrackingError     the tracking server refused or is away: exit code 1

Stopped               SIGTERM, Ctrl-C or SIGHUP: the run is KILLED (outside the tree: `except Exception` lets it pass)
Dismissed             a process that helped to train has nothing left to do (outside the tree too)
"""

FULL = ("No space left on device", "Disk quota exceeded")  # as the system says it


def tell_error(error: BaseException) -> str:
    """Say what went wrong, by its kind; Python has no words for memory that is short, nor for whose disk is full."""
    if any(words in str(error) for words in FULL):  # safetensors and Arrow have errors of their own for it
        place = getattr(error, "filename", None)
        where = f"the disk of {place}" if place else "a disk that the job writes to: its output's, TMPDIR's or MLflow's"
        return f"no room is left on {where}"
    words = str(error) or ("there is not enough memory" if isinstance(error, MemoryError) else "it says no more")
    return f"{type(error).__name__}: {words}"


class TrainerError(Exception):
    pass


class InputError(TrainerError):
    pass


class JobError(InputError):
    pass


class DataError(InputError):
    pass


class PictureError(DataError):
    pass


class ModelError(InputError):
    pass


class CheckpointError(InputError):
    pass


class TrainingError(TrainerError):
    pass


class LostProcessError(TrainerError):
    pass


class ScoringError(TrainerError):
    pass


class TrackingError(TrainerError):
    pass


class Dismissed(BaseException):
    pass


class Stopped(BaseException):
    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
