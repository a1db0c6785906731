"""What is said of an error that nobody foresaw."""

import errno
import os

import pytest
from safetensors import SafetensorError

from trainer.errors import tell_error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError("Error writing bytes to file. Detail: [errno 28] No space left on device"),  # Arrow's
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    ],
)
def test_a_disk_that_is_full_is_told_as_that_whoever_wrote_there(error):
    assert tell_error(error) == ("no room is left on a disk that the job writes to: its output's, TMPDIR's or MLflow's")


def test_a_full_disk_is_named_where_the_system_names_a_file():
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/srv/out/model")
    assert tell_error(error) == "no room is left on the disk of /srv/out/model"


def test_other_errors_are_told_by_their_kind():
    assert tell_error(ValueError("no number")) == "ValueError: no number"
    assert tell_error(MemoryError()) == "MemoryError: there is not enough memory"
