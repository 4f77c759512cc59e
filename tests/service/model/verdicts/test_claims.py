"""Claims against sources: every window is read, the verdict is the obvious one, and offsets point at the evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cmow.service.errors import EmptyListError, EmptyTextError, SchemaError, TextTooLongError, TooManyTextsError
from cmow.service.model.engine import Engine
from cmow.service.model.model import UNBOUNDED, Model
from cmow.service.model.verdicts import claims as module
from cmow.service.model.verdicts.claims import NEAREST, windows_of
from cmow.service.text.texts import TextList

SOURCES = ["A man is playing guitar. It rains! The dog is not music.", "somebody makes music"]
CLAIMS = ["It rains.", "a woman is playing music", "the dog is a guitar"]


@pytest.fixture(scope="module")
def model(engine: Engine) -> Model:
    return Model(engine, UNBOUNDED)


def test_windows_are_single_sentences_and_neighbours() -> None:
    windows = windows_of(TextList("sources", SOURCES))
    assert [window.text for window in windows if window.source == 0] == [
        "A man is playing guitar.",
        "A man is playing guitar. It rains!",
        "It rains!",
        "It rains! The dog is not music.",
        "The dog is not music.",
    ]
    assert all(window.text == SOURCES[window.source][window.start : window.stop] for window in windows)


def obvious(engine: Engine, claim: str) -> tuple[str, float, str]:
    """Label, probability and evidence, with every window asked and the rule written out."""
    texts = [window.text for window in windows_of(TextList("sources", SOURCES))]
    cosines = engine.embed(texts) @ engine.embed([claim])[0]
    best = ("not found", -1.0, "")
    for row in sorted(range(len(texts)), key=lambda row: -cosines[row])[:NEAREST]:
        entailed, _, contradicted = engine.answer("entailment", [(texts[row], claim)])[0].tolist()
        for label, value in (("supported", entailed), ("contradicted", contradicted)):
            if value > best[1]:
                best = (label, value, texts[row])
    return best if best[1] >= 0.5 else ("not found", 1 - best[1], best[2])


@pytest.mark.parametrize("claim", CLAIMS)
def test_verdicts_are_those_of_the_obvious_way(model: Model, claim: str) -> None:
    found = next(each for each in model.check(SOURCES, CLAIMS) if each.claim == claim)
    label, probability, text = obvious(model.engine, claim)
    assert (found.label, found.evidence.text) == (label, text)
    assert found.probability == pytest.approx(probability, abs=1e-5)
    evidence = found.evidence
    assert SOURCES[evidence.source][evidence.start : evidence.stop] == text


def test_an_answer_is_split_into_claims_that_know_where_they_stand(model: Model) -> None:
    answer = " It rains.  The dog is a guitar.\n"
    found = model.check(SOURCES, answer=answer)
    spans = [claim.span for claim in found if claim.span is not None]
    assert [answer[start:stop] for start, stop in spans] == ["It rains.", "The dog is a guitar."]
    alone = model.check(SOURCES, ["It rains.", "The dog is a guitar."])
    assert [(claim.claim, claim.label, claim.evidence) for claim in found] == [
        (claim.claim, claim.label, claim.evidence) for claim in alone
    ]
    assert all(claim.span is None for claim in alone)


@pytest.mark.parametrize("run", [1, 2, 3, 1000])
def test_runs_of_any_size_come_to_the_same(model: Model, monkeypatch: pytest.MonkeyPatch, run: int) -> None:
    expected = model.check(SOURCES, CLAIMS)
    monkeypatch.setattr(module, "RUN", run)
    for found, known in zip(model.check(SOURCES, CLAIMS), expected, strict=True):
        assert (found.label, found.evidence) == (known.label, known.evidence)
        assert found.probability == pytest.approx(known.probability, abs=1e-5)


def test_the_last_of_many_sentences_is_read(model: Model) -> None:
    """5,000 words, and what the claim is about at their very end."""
    source = "A man is playing guitar and the dog is not music. " * 500 + "It rains."
    (claim,) = model.check(source, "It rains.")
    assert claim.evidence.text == "It rains."
    assert claim.evidence.stop == len(source)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sources": "a"}, SchemaError, "claims: expected either claims or an answer, got neither"),
        ({"sources": "a", "claims": "b", "answer": "c"}, SchemaError, "got both"),
        ({"sources": [], "claims": "b"}, EmptyListError, "sources: expected at least one text"),
        ({"sources": ["a", " "], "claims": "b"}, EmptyTextError, r"sources\[1\]: expected text with at least one"),
        ({"sources": "a", "claims": []}, EmptyListError, "claims: expected at least one text"),
        ({"sources": "a", "claims": ["b", "\u200b"]}, EmptyTextError, r"claims\[1\]: expected text with at least one"),
        ({"sources": "a", "answer": "\n"}, EmptyTextError, "answer: expected text with at least one sentence"),
        ({"sources": "a" * 100_001, "claims": "b"}, TextTooLongError, "sources: expected at most 100000 characters"),
        ({"sources": "a", "claims": "b " * 300}, TextTooLongError, "claims: expected at most 256 tokens"),
        ({"sources": "a man", "answer": 5}, SchemaError, "answer: expected a string, got int"),
    ],
)
def test_mistakes(model: Model, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        model.check(**arguments)


def test_too_many_sentences_are_refused_at_once(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WINDOWS", 4)
    with pytest.raises(TooManyTextsError, match="sources: expected at most 2 sentences in all, got more"):
        model.check(SOURCES, CLAIMS)


def test_the_embeddings_are_those_of_the_model(model: Model) -> None:
    """Retrieval is exact: the nearest by all cosines are the nearest by each."""
    windows = model.embed([window.text for window in windows_of(TextList("sources", SOURCES))])
    for claim in model.embed(CLAIMS):
        rows = module._nearest(windows, claim)
        assert set(rows.tolist()) == set(np.argsort(-(windows @ claim))[:NEAREST].tolist())
