"""What counts as the same to a bundle (`cmow.service.model.verdicts.same`), fitted on its answers.

On questions, commands and searches made for the purpose (`training.minimal_pairs`), and on training pairs of
paraphrases where there are some: each source weighs the same, and in it both classes. Of the minimal pairs it takes
frames and words that no training has, since of its own ones a model is too sure. The least cosine is the lowest of a
minimal pair that says the same: it spares work, and decides nothing that the heads could. The probability is a logistic
regression of the paraphrase head's logit, the highest probability of a contradiction the best cut of those that count
as paraphrases.

Letter: P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from cmow.service.model.bundle import Same
from cmow.service.model.engine import Engine, Floats
from cmow.service.model.verdicts.same import logit
from training.data.labelled import LabelledPairs, TextPair, read_split
from training.minimal_pairs.generate import items
from training.minimal_pairs.labels import labelled
from training.minimal_pairs.words import Lexicon
from training.pairs.calibrate import Judged, best_threshold, class_weights, platt

PAIRS = 4000  # of each source


def same_sources(data: Path) -> Iterator[Judged]:
    """Minimal pairs that ask or command, and each file of paraphrases, ``PAIRS`` of each at most."""
    asked = (item for item in items(Lexicon.of("dev"), seed=1) if item.mood != "statement")
    yield _judged(labelled(islice((pair for item in asked for pair in item.pairs()), PAIRS)))
    for pairs in read_split(data, "train", "paraphrase").values():
        chosen = np.random.default_rng(0).permutation(len(pairs))[:PAIRS]
        yield _judged(pairs.take(chosen))


def _judged(pairs: LabelledPairs) -> Judged:
    return Judged(pairs.texts, pairs.paraphrase > 0.5)


def fit_same(engine: Engine, judged: Sequence[Judged]) -> Same:
    """The rule under which ``engine`` tells the pairs of ``judged`` best, minimal pairs first."""
    texts = [pair for source in judged for pair in source.texts]
    same = np.concatenate([source.same for source in judged])
    weights = np.concatenate([class_weights(source.same, 0.5) for source in judged])
    scale, shift = platt(logits := logit(engine.answer("paraphrase", texts)), same, weights)
    alike = np.flatnonzero(scale * logits + shift >= 0)
    contradicted = contradictions(engine, [texts[row] for row in alike])
    return Same(
        similarity=least_cosine(engine, judged[0]),
        scale=scale,
        shift=shift,
        contradiction=1 - best_threshold(1 - contradicted, same[alike], weights[alike]),
    )


def contradictions(engine: Engine, texts: Sequence[TextPair]) -> Floats:
    """Of pairs [P] the probability that one contradicts the other, the higher of both orders."""
    column = engine.bundle.manifest.labels.index("contradiction")
    there, back = (engine.answer("entailment", pairs)[:, column] for pairs in (texts, [pair[::-1] for pair in texts]))
    return np.maximum(there, back)


def least_cosine(engine: Engine, judged: Judged) -> float:
    """Of the pairs that say the same."""
    texts = [judged.texts[row] for row in np.flatnonzero(judged.same)]
    return float(engine.answer("similarity", texts).min())
