"""A verdict in steps: what asks the model for one work after the other, and comes to something.

The same steps run in a program, and in the service, where each work waits for its turn beside those of other requests.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

from cmow.service.model.work import Scored, Work

T = TypeVar("T")
Steps = Generator[Work, Scored, T]


class Step(NamedTuple):
    """The ``work`` to do next; without one, the ``verdict``."""

    work: Work | None
    verdict: Any


def advance(steps: Steps[Any], scored: Scored | None) -> Step:
    """What ``steps`` ask for next, given the result of the work before, ``None`` at the beginning."""
    try:
        return Step(next(steps) if scored is None else steps.send(scored), None)
    except StopIteration as end:
        return Step(None, end.value)
