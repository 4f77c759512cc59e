"""What one call asks of the model: a task, its texts and pairs, and which texts may be asked about.

Letters: B texts, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from cmow.service.model.engine import Floats, Ints, TaskName
from cmow.service.text.texts import check_known, check_tokens, check_uncut
from cmow.service.text.tokenizer import Part

# A text beyond the limits is an error, is cut to them, or (a text of too many tokens alone) is cut and reported.
LongTexts = Literal["refuse", "cut", "report"]
UnknownTexts = Literal["flag", "refuse"]

SIMILARITIES: frozenset[TaskName] = frozenset({"similarity", "paraphrase", "relatedness"})


class Named(Protocol):
    """Texts that know where they stood in a request."""

    def positions(self) -> Iterator[tuple[str, str]]:
        """(position such as ``sentence2[3]``, text) of every text."""


@dataclass(frozen=True)
class Scored:
    """What the model says of one call, and what that took.

    ``values`` float32 [P, ...] as in ``cmow.service.model.engine.TASKS``. ``tokens`` counts each distinct text of pairs
    once, ``unknown`` those of them that the vocabulary lacks. ``truncated`` says for each pair (or text) whether it was
    cut to the model's limit, ``unread`` whether the model knows no token of one of its texts, ``empty`` whether one of
    them has none.
    """

    values: Floats
    tokens: int
    unknown: int
    truncated: list[bool]
    unread: list[bool]
    empty: list[bool]


@dataclass(frozen=True)
class Work:
    """``task`` on ``pairs`` int64 [P, 2], rows of ``texts`` [B].

    ``named`` gives the positions for errors; without it a text may be empty. A text of more than ``max_tokens`` is an
    error; with ``None`` it is cut, and the result says so. ``unknown_id`` is the token of what the vocabulary lacks;
    with ``refuse_unknown`` a text of nothing else is an error. ``not_empty`` are the texts of which each needs a token,
    where not all of ``named`` do.
    """

    task: TaskName
    texts: Sequence[str]
    pairs: Ints
    named: Named | None = None
    max_tokens: int | None = None
    unknown_id: int = -1
    refuse_unknown: bool = False
    not_empty: Named | None = None

    def check(self, part: Part) -> None:
        """Raise ``InvalidInputError`` where the tokens of the texts are not what the work needs."""
        if self.named is None:
            return
        if not part.whole.plain:
            packed = part.packed
            check_tokens((self.not_empty or self.named).positions(), self.texts, packed)
            if self.max_tokens is not None:
                check_uncut(self.named.positions(), self.texts, packed, self.max_tokens)
        if self.refuse_unknown and (counts := part.packed.count(self.unknown_id)) is not None:
            check_known(self.named.positions(), self.texts, counts == part.packed.lengths)

    def scored(self, values: Floats, part: Part) -> Scored:
        """The result of the work from the ``values`` [P, ...] of its pairs, whose texts have the tokens of ``part``."""
        truncated = unread = empty = [False] * len(self.pairs)
        if not part.whole.plain:
            truncated = np.any(part.packed.truncated[self.pairs], axis=1).tolist()
            empty = np.any(part.packed.lengths[self.pairs] == 0, axis=1).tolist()
        counts = part.packed.count(self.unknown_id)
        if counts is None:
            return Scored(values, part.tokens, 0, truncated, unread, empty)
        nothing_known = (counts == part.packed.lengths)[self.pairs]  # [P, 2]
        if self.task in SIMILARITIES:
            # All that is unknown is one token to the model: without this, different texts of it would be the same.
            apart = nothing_known.all(axis=1) & (self.pairs[:, 0] != self.pairs[:, 1])
            values = np.where(apart, np.float32(0), values)
        unread = nothing_known.any(axis=1).tolist()
        return Scored(values, part.tokens, int(counts.sum()), truncated, unread, empty)
