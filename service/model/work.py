"""What one call asks of the model: a task, its texts and pairs, and which texts may be asked about.

Letters: B texts, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from cmow.service.model.engine import Floats, Ints, TaskName
from cmow.service.text.texts import check_tokens, check_uncut
from cmow.service.text.tokenizer import Part

# A text beyond the limits is an error, is cut to them, or (a text of too many tokens alone) is cut and reported.
LongTexts = Literal["refuse", "cut", "report"]


class Named(Protocol):
    """Texts that know where they stood in a request."""

    def positions(self) -> Iterator[tuple[str, str]]:
        """(position such as ``sentence2[3]``, text) of every text."""


@dataclass(frozen=True)
class Work:
    """``task`` on ``pairs`` int64 [P, 2], rows of ``texts`` [B].

    ``named`` gives the positions for errors; without it a text may be empty. A text of more than ``max_tokens`` is an
    error; with ``None`` it is cut, and the result says so.
    """

    task: TaskName
    texts: Sequence[str]
    pairs: Ints
    named: Named | None = None
    max_tokens: int | None = None

    def check(self, part: Part) -> None:
        """Raise ``InvalidInputError`` where the tokens of the texts are not what the work needs."""
        if self.named is None or part.whole.plain:
            return
        packed = part.packed
        check_tokens(self.named.positions(), self.texts, packed)
        if self.max_tokens is not None:
            check_uncut(self.named.positions(), self.texts, packed, self.max_tokens)

    def truncated(self, part: Part) -> list[bool]:
        """For each pair, whether one of its texts was cut."""
        if part.whole.plain:
            return [False] * len(self.pairs)
        truncated: list[bool] = np.any(part.packed.truncated[self.pairs], axis=1).tolist()
        return truncated


@dataclass(frozen=True)
class Scored:
    """What the model says of one call, and what that took.

    ``values`` float32 [P, ...] as in ``cmow.service.model.engine.TASKS``. ``tokens`` counts each distinct text of pairs
    once. ``truncated`` says for each pair (or text) whether it was cut to the model's limit.
    """

    values: Floats
    tokens: int
    truncated: list[bool]
