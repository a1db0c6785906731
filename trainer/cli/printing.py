"""What a command was asked for, on standard output."""

import sys

from trainer.errors import TrainerError


def show(text: str) -> None:
    """Print it at once, with a line's end; raise TrainerError where it cannot be: it stands nowhere else."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # who reads it has seen enough
    except OSError as error:
        raise TrainerError(f"what was found cannot be printed: {error.strerror}") from None
