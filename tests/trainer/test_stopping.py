"""What stops a job stops it once, and what it leaves is tidy."""

import signal

import pytest

from trainer.errors import Stopped
from trainer.stopping import STOPPING, deferring_stops, stoppable


@pytest.fixture
def as_before():
    kept = {number: signal.getsignal(number) for number in STOPPING}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup may have started the tests
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("first", STOPPING)
def test_who_asks_twice_does_not_interrupt_what_the_first_stop_tidies_up(first, as_before):
    tidied = []

    def make_steps():
        try:
            with deferring_stops() as deferral:
                signal.raise_signal(first)
                deferral.end_if_asked()  # as at the end of a step
        finally:
            signal.raise_signal(signal.SIGINT)
            tidied.append(signal.raise_signal(signal.SIGTERM))

    with pytest.raises(Stopped) as stopped, stoppable():
        make_steps()
    assert stopped.value.signal_number == first
    assert tidied == [None]


def test_a_terminal_that_is_closed_stops_a_job_unless_nohup_started_it(as_before):
    with pytest.raises(Stopped), stoppable():
        signal.raise_signal(signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup leaves it
    with stoppable(), deferring_stops() as deferral:
        signal.raise_signal(signal.SIGHUP)
        assert deferral.asked is None
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
