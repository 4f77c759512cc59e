"""What DistilBERT's logits mean. It reads a pair as one sequence, so every task takes it the same pass.

Letters: P pairs, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadtest.compare.models import read_head
from loadtest.compare.side import Embed, Encoder, Floats, Side, Task
from loadtest.compare.texts import Pair
from training.data.files import NLI_LABELS

Logits = Callable[[Sequence[Pair]], Floats]


@dataclass(frozen=True)
class Head:
    """The task of a classifier, ``None`` where it is not trained, and the labels of its columns."""

    task: Task | None
    labels: list[str]

    @classmethod
    def read(cls, models: Path) -> Head:
        """The one that ``models.make_models`` noted."""
        head = read_head(models)
        return cls(head["task"], head["labels"])

    @property
    def trained(self) -> frozenset[Task]:
        """The tasks whose scores mean something."""
        return frozenset({self.task}) if self.task else frozenset()

    def side(self, files: Sequence[Path], embed: Embed, encoder: Encoder, logits: Logits) -> Side:
        """A contestant that scores by ``logits``."""
        return Side(
            files=files,
            embed=embed,
            encoder=encoder,
            similarity=lambda pairs: logits(pairs)[:, 0],
            entailment=(lambda pairs: self.probabilities(logits(pairs))) if self.task == "entailment" else None,
            trained=self.trained,
        )

    def probabilities(self, logits: Floats) -> Floats:
        """Probabilities [P, 3] in the order of ``NLI_LABELS`` of ``logits`` [P, C]; all the same from another head."""
        columns = [self.labels.index(label) for label in NLI_LABELS] if self.task == "entailment" else [0, 0, 0]
        ordered = logits[:, columns]
        exponentials = np.exp(ordered - ordered.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)
