"""Pairs with what their data files say of them: NLI labels, similarity scores, paraphrase labels.

Letter: P pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmow.service.bulk.options import Task
from training.data.files import (
    NLI_LABELS,
    NOT_ENTAILMENT,
    PARAPHRASE_LABELS,
    DataError,
    by_name,
    split_files,
    warn,
)
from training.data.labels import Gold, read_labels, read_scores
from training.data.rows import LABELS, SCORES, Columns, LabelledRows, read_rows, say_left_out

TextPair = tuple[str, str]

GOLD_FOLDERS: dict[Gold, str] = {"entailment": "nli", "similarity": "similarity", "paraphrase": "paraphrase"}
HELD_OUT = "paraphrase/mrpc"  # what is only ever scored, in folds of its training split

# Accepted labels in the order of NLI_LABELS; none where nobody knows.
ACCEPTED: dict[str | None, list[bool]] = {
    **{label: [name == label for name in NLI_LABELS] for label in NLI_LABELS},
    NOT_ENTAILMENT: [name != "entailment" for name in NLI_LABELS],
    None: [False] * len(NLI_LABELS),
}


@dataclass(frozen=True)
class LabelledPairs:
    """P pairs of texts and what is known of each.

    ``entailment`` bool [P, 3]: the accepted labels in the order of ``NLI_LABELS``, none where unknown; ``similarity``
    float64 [P] in 0..1 and ``paraphrase`` float64 [P], 0 or 1: NaN where unknown. ``lines`` int64 [P] are those of the
    file that a pair was read from, 0 for pairs from elsewhere.
    """

    texts: list[TextPair]
    entailment: NDArray[np.bool_]
    similarity: NDArray[np.float64]
    paraphrase: NDArray[np.float64]
    lines: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)

    @staticmethod
    def of(
        texts: Sequence[TextPair],
        entailment: NDArray[np.bool_] | None = None,
        similarity: NDArray[np.float64] | None = None,
        paraphrase: NDArray[np.float64] | None = None,
        lines: Sequence[int] | None = None,
    ) -> LabelledPairs:
        """Pairs of which only what is given is known."""
        unknown = np.full(len(texts), np.nan)
        return LabelledPairs(
            list(texts),
            np.zeros((len(texts), len(NLI_LABELS)), bool) if entailment is None else entailment,
            unknown if similarity is None else similarity,
            unknown if paraphrase is None else paraphrase,
            np.zeros(len(texts), np.int64) if lines is None else np.array(lines, np.int64),
        )

    @staticmethod
    def joined(parts: Sequence[LabelledPairs]) -> LabelledPairs:
        """All pairs of ``parts`` in their order; ``DataError`` where there is no part."""
        if not parts:
            raise DataError("expected files of labelled pairs, found none")
        return LabelledPairs(
            list(chain.from_iterable(part.texts for part in parts)),
            np.concatenate([part.entailment for part in parts]),
            np.concatenate([part.similarity for part in parts]),
            np.concatenate([part.paraphrase for part in parts]),
            np.concatenate([part.lines for part in parts]),
        )

    def take(self, rows: NDArray[np.int64]) -> LabelledPairs:
        """The pairs ``rows``, in that order."""
        return LabelledPairs(
            [self.texts[row] for row in rows],
            self.entailment[rows],
            self.similarity[rows],
            self.paraphrase[rows],
            self.lines[rows],
        )


def read_labelled(
    path: Path,
    task: Task,
    columns: Columns | None = None,
    labels: Mapping[str, str] | None = None,
    scale: tuple[float, float] | None = None,
) -> LabelledPairs:
    """The pairs of a file with their labels or scores for ``task``; ``DataError`` says what cannot be taken, and where.

    ``columns`` name the file's, ``labels`` map its spellings to ours, ``scale`` is the range of its scores (see
    `training.data.labels`). ``not_entailment`` accepts both neutral and contradiction; relatedness reads as similarity.
    Rows that say that they have no label are left out with a warning, and there is one where all say the same.
    """
    scored = task in ("similarity", "relatedness")
    return as_labelled(read_rows(path, columns, SCORES if scored else LABELS), path, task, labels, scale)


def as_labelled(
    rows: LabelledRows,
    path: Path,
    task: Task,
    labels: Mapping[str, str] | None = None,
    scale: tuple[float, float] | None = None,
) -> LabelledPairs:
    """What ``rows`` of ``path`` say, as `read_labelled` has it."""
    if task in ("similarity", "relatedness"):
        scores = read_scores(rows, path, scale)
        _warn_of_one(path, "score", set(rows.values))
        return LabelledPairs.of(rows.texts, similarity=scores, lines=rows.lines)
    rows, found = _with_label(rows, read_labels(task, rows, path, labels), path)
    _warn_of_one(path, "label", set(found))
    if task == "entailment":
        accepted = np.array([ACCEPTED[label] for label in found])
        return LabelledPairs.of(rows.texts, entailment=accepted, lines=rows.lines)
    same = np.array([float(label == PARAPHRASE_LABELS[1]) for label in found])
    return LabelledPairs.of(rows.texts, paraphrase=same, lines=rows.lines)


def read_split(data: Path, split: str, task: Gold, trained: bool = False) -> dict[str, LabelledPairs]:
    """The pairs of every file for ``task`` in a data folder whose name starts with ``split``, by name.

    ``trained`` takes only those that have a training file beside them. Of what is trained on and fitted by, MRPC is no
    part: ``train`` leaves it out.
    """
    paths = split_files(data, split, (GOLD_FOLDERS[task],))
    if split == "train":
        paths = [path for path in paths if path.parent != data / HELD_OUT]
    if trained:
        paths = [path for path in paths if any(path.parent.glob("train*"))]
    return {name: read_labelled(path, task) for name, path in by_name(paths).items()}


def label_names(accepted: NDArray[np.bool_]) -> list[str]:
    """The label of each row of ``accepted`` [P, 3]; ``not_entailment`` where neutral and contradiction both are."""
    names = {tuple(row): label for label, row in ACCEPTED.items() if label}
    return [names[tuple(row)] for row in accepted.tolist()]


def _with_label(rows: LabelledRows, labels: Sequence[str | None], path: Path) -> tuple[LabelledRows, list[str]]:
    """The rows that have a label, and these labels."""
    kept = [row for row, label in enumerate(labels) if label is not None]
    left_out = [line for line, label in zip(rows.lines, labels, strict=True) if label is None]
    say_left_out(path, left_out, "no label", len(kept))
    return rows.take(kept), [label for label in labels if label is not None]


def _warn_of_one(path: Path, kind: str, values: AbstractSet[object]) -> None:
    if len(values) == 1:
        warn(f"{path}: expected more than one {kind}, found {next(iter(values))} in every row")
