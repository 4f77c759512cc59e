"""What stops a training stage with one line instead of a traceback.

TrainingError
├── DataError         training/data/files.py: a data file or data set
├── DeviceError       training/loop/device.py: a device, or several processes where one is expected
├── TeacherError      training/teachers/: a teacher, or a cache of what it said
├── CheckpointError   training/student/model.py: a student or a run to go on with
└── VocabularyError   training/student/vocabulary.py: two models with different tokens
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cmow.service.errors import StartError


class TrainingError(Exception):
    """Input of a stage is missing, damaged, or not what the stage expects; the message says what was found."""


class TeacherError(TrainingError, RuntimeError):
    """The teacher cannot be loaded, or a cache belongs to another teacher or text."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the process with the message where its input is at fault."""
    try:
        yield
    except (TrainingError, StartError) as error:
        sys.exit(f"error: {error}")
