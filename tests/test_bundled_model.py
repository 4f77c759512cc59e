"""The model in the repository, as it is served: it knows what the README says it knows, at any length."""

from __future__ import annotations

import random

import numpy as np
import pytest

from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine
from cmow.service.options.defaults import BUNDLE
from export.work.verify import verify

pytestmark = pytest.mark.bundle

COOKING = [
    "Chop the onions and fry them in butter until they are soft.",
    "Add salt, pepper and a little flour to the sauce.",
    "Bake the bread in a hot oven for forty minutes.",
    "The soup should simmer with carrots and celery for an hour.",
    "Whisk the eggs with sugar and fold in the cream.",
]
FOOTBALL = [
    "The striker scored twice before half time.",
    "The goalkeeper saved a penalty in the last minute.",
    "The coach changed two defenders after the break.",
    "Fans filled the stadium for the cup final.",
    "The midfielder was shown a red card by the referee.",
]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(load_bundle(BUNDLE))


def test_near_sentences_score_higher_than_far_ones(engine: Engine) -> None:
    eating = "A man is eating food."
    near, far = engine.answer(
        "similarity", [(eating, "A man is eating a piece of bread."), (eating, "The girl is carrying a baby.")]
    )
    assert near > far + 0.2


def test_similarity_is_symmetric_and_one_for_the_same_text(engine: Engine) -> None:
    one, other = COOKING[0], FOOTBALL[0]
    there, back, same = engine.answer("similarity", [(one, other), (other, one), (one, one)])
    assert there == back
    assert same == pytest.approx(1, abs=1e-6)


def test_a_negation_is_further_than_a_paraphrase(engine: Engine) -> None:
    riding = "A man is riding a horse."
    pairs = [(riding, "A man is not riding a horse."), (riding, "A person is on a horse.")]
    for task in ("similarity", "relatedness", "paraphrase"):
        negated, paraphrased = engine.answer(task, pairs)
        assert negated < paraphrased, task


def test_order_is_read_by_all_but_the_cosine(engine: Engine) -> None:
    anchor, passive, exchanged = (
        "The teacher praised the boy.",
        "The boy was praised by the teacher.",
        "The boy praised the teacher.",
    )
    pairs = [(anchor, passive), (anchor, exchanged)]
    for task in ("relatedness", "paraphrase"):
        same, other = engine.answer(task, pairs)
        assert same > other, task
    same, other = engine.answer("entailment", pairs)[:, engine.bundle.manifest.labels.index("entailment")]
    assert same > 0.5 > other
    same, other = engine.answer("similarity", pairs)
    assert same < other  # which docs/api.md says


def test_switching_on_is_not_switching_off(engine: Engine) -> None:
    on = "turn on dark mode"
    for other in ("turn off dark mode", "disable dark mode"):
        same, opposite = engine.answer("paraphrase", [(on, "enable dark mode"), (on, other)])
        assert same > 0.5 > opposite


def test_what_follows_is_entailed(engine: Engine) -> None:
    premise = "A soccer game with multiple males playing."
    pairs = [(premise, "Some men are playing a sport."), (premise, "The men are asleep in bed.")]
    labels = [engine.bundle.manifest.labels[row.argmax()] for row in engine.answer("entailment", pairs)]
    assert labels == ["entailment", "contradiction"]


def long_text(engine: Engine, sentences: list[str], tokens: int, seed: int) -> str:
    """Sentences drawn at random until there are just below ``tokens`` tokens."""
    choose = random.Random(seed)
    lengths = dict(zip(sentences, engine.tokenizer.encode(sentences).lengths, strict=True))
    drawn: list[str] = []
    while tokens >= 0:
        drawn.append(choose.choice(sentences))
        tokens -= int(lengths[drawn[-1]])
    return " ".join(drawn[:-1])


def test_texts_of_100_000_tokens_are_finite_and_keep_their_topic(engine: Engine) -> None:
    texts = [long_text(engine, topic, 100_000, seed) for topic in (COOKING, FOOTBALL) for seed in (1, 2)]
    packed = engine.tokenizer.encode(texts)
    assert (packed.lengths > 99_900).all()
    assert not packed.truncated.any()
    cooking, _, football, _ = vectors = engine.embed(texts)
    assert np.isfinite(vectors).all()
    similarity = vectors @ vectors.T
    assert min(similarity[0, 1], similarity[2, 3]) > similarity[:2, 2:].max() + 0.2
    recipe, match = engine.embed(["How do I cook a good sauce?", "Who won the football match?"])
    assert cooking @ recipe > cooking @ match
    assert football @ match > football @ recipe


def test_the_whole_proof_holds_for_the_bundle() -> None:
    checks = verify(load_bundle(BUNDLE))
    assert [str(check) for check in checks if not check.passed] == []
