"""Signals that ask for the end wait for a checkpoint; a second Ctrl-C does not."""

from __future__ import annotations

import signal
import threading

import pytest

from training.command.interruption import SIGNALS, deferred


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_remembered_and_a_second_ctrl_c_ends_at_once(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with deferred() as asked:
        assert asked.number == 0
        signal.raise_signal(number)
        assert asked.number == number
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert [signal.getsignal(each) for each in SIGNALS] == before
    assert "ending with a checkpoint after this step" in capsys.readouterr().err


def test_other_threads_take_no_signals() -> None:
    seen = []

    def work() -> None:
        with deferred() as asked:
            seen.append(asked.number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [0]
