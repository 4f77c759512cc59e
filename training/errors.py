"""What stops a training stage with one line instead of a traceback.

TrainingError
├── DataError         training/data/files.py: a data file or data set
├── DeviceError       training/loop/device.py: a device, or several processes where one is expected
├── TeacherError      training/teachers/: a teacher, or a cache of what it said
├── StaleError        training/data/identity.py: a folder made with other options, or of other files
├── OutputError       training/data/atomic.py: a file that cannot be written
├── InterruptedRunError training/loop/run.py: a signal has ended a run
├── CheckpointError   training/student/model.py: a student or a run to go on with
└── VocabularyError   training/student/vocabulary.py: two models with different tokens
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from cmow.service.errors import StartError

GO_ON = "the same command begins again, or goes on from its last checkpoint"


class TrainingError(Exception):
    """Input of a stage is missing, damaged, or not what the stage expects; the message says what was found."""


class TeacherError(TrainingError, RuntimeError):
    """The teacher cannot be loaded, or a cache belongs to another teacher or text."""


class StaleError(TrainingError):
    """A folder holds a run or a cache that was made with other options, or of files that have changed since."""


class OutputError(TrainingError):
    """A file cannot be written: the disk is full, the folder read-only, the path something else."""


class InterruptedRunError(TrainingError):
    """The signal ``number`` has ended a run; the message says what is left to go on from."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the process with one line: status 2 where input or disk is at fault, 128 and its number after a signal."""
    before = signal.signal(signal.SIGTERM, _end_on_signal)
    try:
        yield
    except InterruptedRunError as error:
        _end(128 + error.number, f"interrupted: {error}")
    except KeyboardInterrupt:
        _end(128 + signal.SIGINT, f"interrupted: {GO_ON}")
    except (TrainingError, StartError) as error:
        _end(2, f"error: {error}")
    except OSError as error:
        _end(2, f"error: expected to read or write a file: {error}")
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise InterruptedRunError(number, GO_ON)


def _end(status: int, message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(status)
