"""What MLflow, its database or its server refused, in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from trainer.errors import InputError, TrackingError
from trainer.jobs.addresses import without_user

THEIRS = ("mlflow", "sqlalchemy", "requests", "urllib3", "alembic")
ASIDE = "(raised as a result of Query-invoked autoflush"  # what SQLAlchemy says before it says what went wrong


@contextmanager
def translated() -> Iterator[None]:
    """Raise TrackingError for what they raise within the block."""
    try:
        yield
    except (TrackingError, InputError):
        raise
    except Exception as error:
        if not type(error).__module__.startswith(THEIRS) and not isinstance(error, OSError):
            raise
        raise TrackingError(f"MLflow: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """Give what an error says in its first line, without who signs in."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith(ASIDE)]
    return without_user(lines[0]) if lines else type(error).__name__
