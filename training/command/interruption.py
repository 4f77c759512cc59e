"""Ctrl-C and SIGTERM while a run trains: it ends after its step, with a checkpoint."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Asked:
    """Which signal has asked this process to end: its ``number``, 0 for none."""

    def __init__(self) -> None:
        self.number = 0

    def take(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal ``number``; a second Ctrl-C ends the process at once."""
        self.number = number
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        print("\nending with a checkpoint after this step; Ctrl-C ends at once", file=sys.stderr)


@contextmanager
def deferred() -> Iterator[Asked]:
    """While this lasts, signals that ask the process to end are remembered; only the main thread can take them."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, asked.take) for number in SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
