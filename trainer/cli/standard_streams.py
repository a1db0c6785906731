"""Standard input, output and error of a process whose caller closed some of them."""

import os
import sys

LAST = 2  # standard error's number


def hold_standard_streams() -> None:
    """Open on nothing what the caller closed of the three: the next file that is opened would take its number.

    A table of a database would then be what is printed to, and Python has None where a stream is not there.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    opened = os.open(os.devnull, os.O_RDWR)
    while opened <= LAST:
        os.set_inheritable(opened, True)  # what we start would have it closed again
        opened = os.open(os.devnull, os.O_RDWR)
    os.close(opened)
    sys.stdin = sys.stdin or open(0, encoding="utf-8")  # noqa: SIM115 - it stays to the end
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115
