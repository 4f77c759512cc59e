"""Whether sources support a claim, contradict it, or say nothing of it, and where.

Sources are cut into windows, each sentence and each two that follow one another: entailment was learned on premises of
about that length. Every window is embedded; the ``NEAREST`` windows of a claim by their cosine are its premises. Of the
highest probabilities of entailment and of contradiction among these the higher one decides, where it reaches the
bundle's threshold: `training.verdicts.claims` fits both. So nothing of a source is left unread, however long it is.

Letters: C claims, W windows, m similarity width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from cmow.service.errors import EmptyTextError, TooManyTextsError
from cmow.service.model.bundle import Claims, Manifest
from cmow.service.model.engine import Floats, Ints, with_itself
from cmow.service.model.verdicts.steps import Steps, T
from cmow.service.model.work import Scored, Work
from cmow.service.text.pairs import SentencePairs
from cmow.service.text.sentences import Span, sentence_spans
from cmow.service.text.texts import TextList

ClaimLabel = Literal["supported", "contradicted", "not found"]

NEAREST = 2  # a third is more often unrelated, which entailment takes for a contradiction, than to the point
SENTENCES = 2  # of the longest window
MOST_WINDOWS = 40_000  # of all sources: 60 MB of embeddings
RUN = 1024  # texts or pairs of one work


@dataclass(frozen=True)
class Evidence:
    """A window: characters ``start`` to ``stop`` of the source number ``source``, and their ``text``."""

    source: int
    start: int
    stop: int
    text: str


@dataclass(frozen=True)
class Asked:
    """Claims to check, and where each stands in the answer that they were taken from."""

    claims: TextList
    spans: Sequence[Span | None] = ()


@dataclass(frozen=True)
class Claim:
    """What the sources say of a claim, with the probability of that and the window that decided.

    A claim that is ``not found`` has the probability that neither other label has, and the window that is nearest to
    one of them. ``span`` are its characters in the answer that it was taken from.
    """

    claim: str
    label: ClaimLabel
    probability: float
    evidence: Evidence
    span: Span | None


@dataclass(frozen=True)
class Checked:
    """Every claim in order; ``read`` are the works that were done on texts, each once."""

    claims: list[Claim]
    read: list[Scored]


class Answers(NamedTuple):
    """Of a claim's nearest windows ``rows`` [K]: ``probabilities`` of entailment and of contradiction [K, 2]."""

    rows: Ints
    probabilities: Floats


def sentences_of(answer: TextList) -> Asked:
    """The sentences of an ``answer``, a single text; raises ``EmptyTextError`` where it has none."""
    (text,) = answer.texts
    spans = list(sentence_spans(text))
    if not spans:
        raise EmptyTextError(f"{answer.name}: expected text with at least one sentence, got none", answer.name)
    return Asked(TextList(answer.name, [text[slice(*span)] for span in spans]), spans)


def windows_of(sources: TextList) -> list[Evidence]:
    """Every window of ``sources``, in order.

    Raises ``EmptyTextError`` where a source has none, ``TooManyTextsError`` where there are more than ``MOST_WINDOWS``.
    """
    windows: list[Evidence] = []
    for source, (where, text) in enumerate(sources.positions()):
        before = len(windows)
        for span in _window_spans(text):
            windows.append(Evidence(source, *span, text[slice(*span)]))
            if len(windows) > MOST_WINDOWS:
                found = f"{sources.name}: expected at most {MOST_WINDOWS // SENTENCES} sentences in all, got more"
                raise TooManyTextsError(found, sources.name)
        if len(windows) == before:
            raise EmptyTextError(f"{where}: expected text with at least one sentence, got none", where)
    return windows


def _window_spans(text: str) -> Iterator[Span]:
    before: list[Span] = []
    for span in sentence_spans(text):
        before = [*before, span][-SENTENCES:]
        yield from (Span(first.start, span.stop) for first in before)


def check_steps(claims: Work, asked: Asked, sources: TextList, manifest: Manifest) -> Steps[Checked]:
    """Check what is ``asked`` by ``sources``; ``claims`` asks for the embeddings of the claims."""
    windows = windows_of(sources)
    texts = [window.text for window in windows]
    read = [(yield claims)]
    for part in _runs(texts):
        read.append((yield replace(claims, texts=part, pairs=with_itself(len(part)), named=None)))
    embeddings = np.concatenate([scored.values for scored in read[1:]])
    nearest = [_nearest(embeddings, claim) for claim in read[0].values]
    pairs = [(row, number) for number, rows in enumerate(nearest) for row in rows.tolist()]
    answers = []
    for pairs_of_run in _runs(pairs):
        answers.append((yield _entailment(pairs_of_run, texts, claims.texts)).values)
    columns = [manifest.labels.index(name) for name in ("entailment", "contradiction")]
    parts = np.split(np.concatenate(answers)[:, columns], np.cumsum([len(rows) for rows in nearest])[:-1])
    spans = asked.spans or [None] * len(nearest)
    found = zip(claims.texts, spans, map(Answers, nearest, parts), strict=True)
    return Checked([_claim(text, span, answer, windows, manifest.claims) for text, span, answer in found], read)


def _runs(entries: Sequence[T]) -> Iterator[Sequence[T]]:
    return (entries[start : start + RUN] for start in range(0, len(entries), RUN))


def _nearest(embeddings: Floats, claim: Floats) -> Ints:
    """The rows of ``embeddings`` [W, m] that are nearest to that of a ``claim`` [m], in order of the windows."""
    cosines = embeddings @ claim
    kept = min(NEAREST, len(cosines))
    return np.sort(np.argpartition(-cosines, kept - 1)[:kept])


def _entailment(pairs: Sequence[tuple[int, int]], windows: Sequence[str], claims: Sequence[str]) -> Work:
    """Entailment of ``pairs``: a window as the premise, a claim as the hypothesis."""
    sentences = SentencePairs.of((windows[window], claims[claim]) for window, claim in pairs)
    return Work("entailment", sentences.texts, sentences.index)


def _claim(text: str, span: Span | None, answers: Answers, windows: Sequence[Evidence], rule: Claims) -> Claim:
    """The verdict from the ``answers`` of its nearest windows."""
    row, column = np.unravel_index(answers.probabilities.argmax(), answers.probabilities.shape)
    probability = float(answers.probabilities[row, column])
    label: ClaimLabel = "contradicted" if column else "supported"
    least = rule.contradicted if column else rule.supported
    evidence = windows[answers.rows[row]]
    if probability < least:
        return Claim(text, "not found", 1 - probability, evidence, span)
    return Claim(text, label, probability, evidence, span)
