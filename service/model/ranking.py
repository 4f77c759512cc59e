"""What is made of scores: ranks, and labels that were never trained on.

Zero-shot classification asks, as the pipeline of Hugging Face transformers does (Yin et al., "Benchmarking Zero-shot
Text Classification", EMNLP 2019, arXiv 1909.00161), whether the text entails "This example is {label}.". With
``multi_label``, or for a single label, the score of a label is P(entailment) / (P(entailment) + P(contradiction)),
whatever the other labels. Otherwise the labels share 1 by a softmax of their entailment logits. These are logarithms of
probabilities here, so that a label gets its P(entailment) over the sum of all labels'; logits before the model's own
softmax may differ from them by another constant for each pair.

Letter: P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import category

import numpy as np

from cmow.service.errors import EmptyTextError, SchemaError, TextTooLongError, TooManyPairsError
from cmow.service.model.engine import Floats
from cmow.service.text.texts import TextLimits

TEMPLATE = "This example is {}."
PLACE = "{}"


def best_first(scores: Floats) -> list[int]:
    """Rows of ``scores`` [P] from the highest to the lowest; equal ones stay in order."""
    rows: list[int] = np.argsort(-scores, kind="stable").tolist()
    return rows


def hypotheses(
    labels: Sequence[str],
    template: str,
    limits: TextLimits,
    names: tuple[str, str] = ("labels", "hypothesis_template"),
) -> list[str]:
    """The template with each of ``labels`` in it; never ``str.format``, which a template could lead into objects.

    ``names`` are what labels and template are called in errors. Raises ``InvalidInputError``, and that before the
    template is copied for each label, which could take gigabytes.
    """
    if template.count(PLACE) != 1:
        found = template.count(PLACE)
        raise SchemaError(f"{names[1]}: expected {PLACE} once, got it {found} times", names[1])
    _check_size(labels, template, limits, names)
    if blank := [row for row, label in enumerate(labels) if _is_blank(label)]:
        where = f"{names[0]}[{blank[0]}]"
        raise EmptyTextError(f"{where}: expected text, got none", where)
    return [template.replace(PLACE, label) for label in labels]


def _is_blank(label: str) -> bool:
    """Whether ``label`` has no letter, digit, punctuation or symbol: the tokenizer would leave the template alone."""
    return not any(category(character)[0] in "LNPS" for character in label.replace("\N{REPLACEMENT CHARACTER}", ""))


def _check_size(labels: Sequence[str], template: str, limits: TextLimits, names: tuple[str, str]) -> None:
    if len(labels) > limits.max_pairs:
        found = f"{names[0]}: expected at most {limits.max_pairs} sentences, got {len(labels)}"
        raise TooManyPairsError(found, names[0])
    characters = len(labels) * (len(template) - len(PLACE)) + sum(map(len, labels))
    if characters > limits.max_request_chars:
        raise TextTooLongError(
            f"{names[1]}: expected at most {limits.max_request_chars} characters with all labels in it, "
            f"got {characters}",
            names[1],
        )


def label_scores(probabilities: Floats, classes: Sequence[str], multi_label: bool) -> Floats:
    """Scores [P] of labels from the ``probabilities`` [P, 3] of ``classes`` for their hypotheses."""
    columns = [classes.index(name) for name in ("entailment", "contradiction")]
    smallest = np.finfo(np.float32).tiny
    floor = np.maximum(probabilities[:, columns].astype(np.float64), smallest)
    entailment = floor[:, 0]
    total = floor.sum(axis=1) if multi_label or len(floor) == 1 else entailment.sum()
    return np.asarray(entailment / total, np.float32)
