"""The model as everything calls it: texts in, scores out, within limits. Routes, commands and Python share it.

Letters: B texts, P pairs, m similarity width.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

from cmow.service.errors import ClosedError, ModelNotFoundError, SchemaError
from cmow.service.model.bundle import Manifest, load_bundle
from cmow.service.model.engine import Engine, EngineOptions, Floats, Ints, TaskName, with_itself
from cmow.service.model.ranking import TEMPLATE, best_first, hypotheses, label_scores
from cmow.service.model.verdicts.claims import Asked, Checked, Claim, check_steps, sentences_of
from cmow.service.model.verdicts.same import Match, Matches, Thresholds, same_steps
from cmow.service.model.verdicts.steps import Steps, T, advance
from cmow.service.model.work import LongTexts, Scored, UnknownTexts, Work
from cmow.service.options.defaults import BUNDLE, GPU_MIN_TOKENS, MAX_TEXT_CHARS, MOST_THREADS, Provider
from cmow.service.text.columns import as_texts
from cmow.service.text.pairs import Sides
from cmow.service.text.texts import TextLimits, TextList
from cmow.service.text.tokenizer import Part

Mode = Literal["cosine", "paraphrase", "relatedness"]
SHOWN = 120  # characters of names that a message lists
# A program's own memory is its own concern: only what no text should have is refused.
UNBOUNDED = TextLimits(max_pairs=sys.maxsize, max_text_chars=MAX_TEXT_CHARS, max_request_chars=sys.maxsize)
MODES: dict[Mode, TaskName] = {"cosine": "similarity", "paraphrase": "paraphrase", "relatedness": "relatedness"}


@dataclass(frozen=True)
class Entailment:
    """Probabilities float32 [P, 3] of ``classes`` for P pairs."""

    classes: tuple[str, ...]
    scores: Floats

    @property
    def labels(self) -> list[str]:
        """The most probable class of each pair [P]."""
        return [self.classes[column] for column in self.scores.argmax(axis=1)]


@dataclass(frozen=True)
class Ranked:
    """A document, its place among those given, and its cosine with the query."""

    index: int
    score: float
    document: str


@dataclass(frozen=True)
class Label:
    """A label and its score, from 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True)
class Token:
    """A token, and where it stands in its text: characters ``start`` to ``stop``."""

    id: int
    text: str
    start: int
    stop: int


class Model:
    """An engine and the limits of what it may be asked. Any thread may call it.

    Texts are a string, a list, or a column of NumPy, pandas, Polars or Arrow; a string is paired with every text of the
    other side. With ``truncate`` a text beyond the limits is cut to them; otherwise it is an error. Methods raise
    ``InvalidInputError``, which names the text at fault as in ``sentence2[3]``, and ``InferenceError``. ``aliases`` are
    more names that clients may call the model by.
    """

    def __init__(self, engine: Engine, limits: TextLimits, aliases: Sequence[str] = ()) -> None:
        self._engine: Engine | None = engine
        self.limits = limits
        self.aliases = aliases

    @property
    def engine(self) -> Engine:
        """What runs; raises ``ClosedError``."""
        if self._engine is None:
            raise ClosedError("the model is closed: expected no call after close()")
        return self._engine

    @property
    def manifest(self) -> Manifest:
        """Of the bundle: what the model is, and how it was trained."""
        return self.engine.bundle.manifest

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def names(self) -> list[str]:
        """All that it may be called: its own name first."""
        return list(dict.fromkeys([self.name, *self.aliases]))

    def similarity(
        self,
        sentence1: Any,
        sentence2: Any,
        mode: Mode = "cosine",
        truncate: bool = False,
        on_unknown: UnknownTexts = "flag",
    ) -> Floats:
        """How close in meaning the sentences of each pair are, float32 [P].

        By the cosine (-1 to 1), by the probability that both say the same (``paraphrase``), or by how related people
        would call them (``relatedness``, 0 to 1). Two different texts of which the model knows no token, as of
        another script, get 0; with ``on_unknown="refuse"`` one of them is an error.
        """
        if mode not in MODES:
            raise SchemaError(f"mode: expected {', '.join(MODES)}, got {str(mode)[:40]!r}", "mode")
        names = "sentence1", "sentence2"
        return self._of_pairs(MODES[mode], sentence1, sentence2, names, truncate, on_unknown)

    def entailment(
        self, premise: Any, hypothesis: Any, truncate: bool = False, on_unknown: UnknownTexts = "flag"
    ) -> Entailment:
        """Whether each hypothesis follows from its premise, contradicts it, or neither."""
        scores = self._of_pairs("entailment", premise, hypothesis, ("premise", "hypothesis"), truncate, on_unknown)
        return Entailment(tuple(self.manifest.labels), scores)

    def embed(self, texts: Any, truncate: bool = False) -> Floats:
        """Unit-length embeddings float32 [B, m] of ``texts``."""
        return self.run(self.texts(TextList("texts", as_texts(texts, "texts")), _long(truncate))).values

    def rerank(self, query: str, documents: Any, top_n: int | None = None, truncate: bool = False) -> list[Ranked]:
        """``documents`` by their cosine with ``query``, the best first; all, or the ``top_n`` best."""
        if top_n is not None and top_n < 1:
            raise SchemaError(f"top_n: expected a number from 1 on, or None for all, got {top_n}", "top_n")
        texts = _listed(documents, "documents")
        scores = self._of_pairs("similarity", query, texts, ("query", "documents"), truncate)
        return [Ranked(row, float(scores[row]), texts[row]) for row in best_first(scores)[:top_n]]

    def zero_shot(
        self, text: str, labels: Any, template: str = TEMPLATE, multi_label: bool = False, truncate: bool = False
    ) -> list[Label]:
        """How well each of ``labels`` fits ``text``, the best first; the scores sum to 1 unless ``multi_label``."""
        names = _listed(labels, "labels")
        asked = hypotheses(names, template, self.limits)
        probabilities = self._of_pairs("entailment", text, asked, ("text", "labels"), truncate)
        scores = label_scores(probabilities, self.manifest.labels, multi_label)
        return [Label(names[row], float(scores[row])) for row in best_first(scores)]

    def same(
        self,
        query: str,
        candidates: Any,
        similarity: float | None = None,
        paraphrase: float | None = None,
        contradiction: float | None = None,
        truncate: bool = False,
    ) -> list[Match]:
        """Whether each of ``candidates`` says the same as ``query``, the best first.

        It does where its cosine with the query is at least ``similarity``, the probability of a paraphrase at least
        ``paraphrase`` and that of a contradiction at most ``contradiction``; the bundle has the defaults.
        """
        thresholds = Thresholds.of(self.manifest.same, similarity, paraphrase, contradiction)
        sides = Sides(_text(query, "query"), _listed(candidates, "candidates"), ("query", "candidates"))
        return self.follow(self.same_steps(sides, thresholds, _long(truncate))).matches

    def check(self, sources: Any, claims: Any = None, answer: str | None = None) -> list[Claim]:
        """What ``sources``, texts of any length, say of each of ``claims``, or of each sentence of an ``answer``.

        A claim of which the model knows no token is an error.
        """
        if (claims is None) == (answer is None):
            found = "neither" if claims is None else "both"
            raise SchemaError(f"claims: expected either claims or an answer, got {found}", "claims")
        given = TextList("sources", as_texts(sources, "sources"))
        named = ("claims", as_texts(claims, "claims")) if answer is None else ("answer", _text(answer, "answer"))
        asked = TextList(*named)
        return self.follow(self.check_steps(given, asked, split=answer is not None)).claims

    def tokenize(self, texts: Any) -> list[list[Token]]:
        """The tokens that the model reads of each of ``texts`` [B]."""
        named = TextList("texts", as_texts(texts, "texts"))
        named.check(self.limits)
        return [self._tokens(text) for text in named.texts]

    def close(self) -> None:
        """Let go of the model's threads and memory; whatever is called after that raises ``ClosedError``."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        """Another process opens the bundle again: sessions and threads stay where they are."""
        return _reopen, (self.engine.bundle.path, self.engine.options, self.limits)

    def pairs(self, task: TaskName, sides: Sides, long: LongTexts, on_unknown: UnknownTexts = "flag") -> Work:
        """``task`` on the pairs of ``sides``, checked against the limits."""
        sides = sides.cut(self.limits.max_text_chars) if long == "cut" else sides
        pairs = sides.pairs(self.limits)
        work = self.work(task, pairs.texts, pairs.index)
        refuse = on_unknown == "refuse"
        return replace(work, named=sides, max_tokens=self._max_tokens(long), refuse_unknown=refuse)

    def texts(self, texts: TextList, long: LongTexts, task: TaskName = "embed") -> Work:
        """``task`` on single ``texts``, checked against the limits."""
        texts = texts.cut(self.limits.max_text_chars) if long == "cut" else texts
        texts.check(self.limits)
        values = texts.texts
        work = self.work(task, values, with_itself(len(values)))
        return replace(work, named=texts, max_tokens=self._max_tokens(long))

    def work(self, task: TaskName, texts: Sequence[str], pairs: Ints) -> Work:
        """``task`` on ``pairs`` [P, 2] of ``texts`` [B], of which nothing is checked."""
        return Work(task, texts, pairs, unknown_id=self.engine.tokenizer.unknown_id)

    def run(self, work: Work) -> Scored:
        """The result of ``work``, here and now."""
        packed = self.engine.tokenizer.encode(work.texts)
        part = Part(packed, 0, len(packed))
        work.check(part)
        return self.score(work, part)

    def score(self, work: Work, part: Part) -> Scored:
        """The result of ``work``, whose texts have the tokens of ``part``."""
        return work.scored(self.engine.score(work.task, part.packed, work.pairs), part)

    def same_steps(self, sides: Sides, thresholds: Thresholds, long: LongTexts) -> Steps[Matches]:
        """What judges whether the pairs of ``sides``, a query and its candidates, say the same."""
        work, manifest = self.pairs("similarity", sides, long), self.manifest
        return same_steps(work, manifest.same, manifest.labels.index("contradiction"), thresholds)

    def check_steps(self, sources: TextList, claims: TextList, split: bool) -> Steps[Checked]:
        """What checks ``claims``, or their sentences with ``split``, by ``sources``; all is within the limits."""
        sources.check(self.limits)
        claims.check(self.limits)
        asked = sentences_of(claims) if split else Asked(claims)
        work = replace(self.texts(asked.claims, "refuse"), refuse_unknown=True)
        return (yield from check_steps(work, asked, sources, self.manifest))

    def follow(self, steps: Steps[T]) -> T:
        """What ``steps`` come to, here and now."""
        step = advance(steps, None)
        while step.work is not None:
            step = advance(steps, self.run(step.work))
        verdict: T = step.verdict
        return verdict

    def check_name(self, name: str | None) -> None:
        """Raise ``ModelNotFoundError`` where a client asks for another model than this one."""
        if name is not None and name not in self.names:
            served = " or ".join(map(repr, self.names))[:SHOWN]
            hint = "cmow-serve --served-model-name NAME,NAME takes more names"
            raise ModelNotFoundError(f"model: expected {served}, the only model here, got another ({hint})", "model")

    def check_dimensions(self, dimensions: int | None) -> None:
        """Raise ``SchemaError`` where a client asks for longer embeddings than the model has."""
        longest = self.manifest.dims.similarity_dim
        if dimensions is not None and dimensions > longest:
            raise SchemaError(f"dimensions: expected at most {longest}, got {str(dimensions)[:40]}", "dimensions")

    def _of_pairs(
        self,
        task: TaskName,
        left: Any,
        right: Any,
        names: tuple[str, str],
        truncate: bool,
        on_unknown: UnknownTexts = "flag",
    ) -> Floats:
        if on_unknown not in get_args(UnknownTexts):
            raise SchemaError(f"on_unknown: expected flag or refuse, got {str(on_unknown)[:40]!r}", "on_unknown")
        sides = Sides(as_texts(left, names[0]), as_texts(right, names[1]), names)
        return self.run(self.pairs(task, sides, _long(truncate), on_unknown)).values

    def _tokens(self, text: str) -> list[Token]:
        spans = self.engine.tokenizer.spans(text)
        return [Token(token, text[start:stop], start, stop) for token, start, stop in spans]

    def _max_tokens(self, long: LongTexts) -> int | None:
        return self.manifest.max_tokens if long == "refuse" else None


def _listed(texts: Any, name: str) -> Sequence[str]:
    """``texts`` of the field ``name``; a string is one of them."""
    found = as_texts(texts, name)
    return [found] if isinstance(found, str) else found


def _text(value: Any, name: str) -> str:
    """``value`` of the field ``name``, which takes one text."""
    if not isinstance(value, str):
        raise SchemaError(f"{name}: expected a string, got {type(value).__name__}", name)
    return value


def _long(truncate: bool) -> LongTexts:
    return "cut" if truncate else "refuse"


def open_model(bundle: Path | str | None, provider: Provider, threads: int, require_fused_op: bool) -> Model:
    """What ``cmow.load`` gives; raises ``StartError``, and ``SchemaError`` where an option is wrong."""
    if provider not in get_args(Provider):
        raise SchemaError(f"provider: expected {', '.join(get_args(Provider))}, got {str(provider)[:40]!r}", "provider")
    if not 0 <= threads <= MOST_THREADS:
        raise SchemaError(f"threads: expected a number from 0 to {MOST_THREADS}, got {threads}", "threads")
    options = EngineOptions(threads, require_fused_op, provider=provider, gpu_min_tokens=GPU_MIN_TOKENS)
    return _reopen(Path(BUNDLE if bundle is None else bundle), options, UNBOUNDED)


def _reopen(path: Path, options: EngineOptions, limits: TextLimits) -> Model:
    """The model in ``path``; its files are compared with their digests while it is opened."""
    bundle = load_bundle(path, verify_hashes=False)
    with ThreadPoolExecutor(1) as thread:
        verified = thread.submit(load_bundle, path)
        try:
            return Model(Engine(bundle, options), limits)
        finally:
            verified.result()  # a damaged file explains whatever else went wrong
