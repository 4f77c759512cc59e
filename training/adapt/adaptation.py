"""One adaptation from beginning to end: read, choose, fit, calibrate, write, and check what was written.

Letters: P pairs, K outputs of a head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from msgspec import structs
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from torch import Tensor, nn
from tqdm import tqdm

from cmow.service.model.bundle import ENTAILMENT as ENTAILMENT_GRAPH
from cmow.service.model.bundle import FILES, MANIFEST, Bundle, Manifest, Relatedness, load_bundle
from cmow.service.model.bundle import PARAPHRASE as PARAPHRASE_GRAPH
from cmow.service.model.bundle import RELATEDNESS as RELATEDNESS_GRAPH
from cmow.service.model.engine import Engine, EngineOptions, TaskName
from cmow.service.model.relatedness import relatedness
from cmow.service.text.tokenizer import Tokenizer
from training.adapt.general import general_pairs
from training.adapt.heads.calibrate import fitted_scale
from training.adapt.heads.choice import Choice, choose, parts_of
from training.adapt.heads.features import PairFeatures, read_pairs
from training.adapt.heads.fit import CHECKS, Fit, FitOptions, Known, logits_of
from training.adapt.heads.splits import Rows
from training.adapt.heads.tasks import TASKS
from training.adapt.options import PairTask
from training.adapt.outcome import Answers, Outcome, kept, probabilities
from training.adapt.stages import Stages
from training.adapt.write import head_weights, write_with
from training.bundle.from_bundle import encoder_from, initialisers
from training.bundle.pairs import load_calibration, load_head, load_pairs
from training.data.labelled import GOLD_FOLDERS, LabelledPairs
from training.errors import TrainingError
from training.evaluation.metrics import FloatArray
from training.pairs.pairset import PairSet
from training.student.model import HybridEncoder

MAX_TOKENS = 512  # of a text; what follows is not read
SCORED_EVERY = 4  # of general pairs one in so many is not learnt from, but scored
# Of each task the graph that answers, and what its head is called there.
GRAPHS: dict[PairTask, tuple[str, str]] = {
    "entailment": (ENTAILMENT_GRAPH, "head"),
    "paraphrase": (PARAPHRASE_GRAPH, "same"),
    "relatedness": (RELATEDNESS_GRAPH, "same"),
}
OTHERS: tuple[TaskName, ...] = ("similarity", "entailment", "paraphrase", "relatedness")
SERVED_BOUND = 0.05  # of the mean difference in a probability: the service rounds to int8 what torch does not


@dataclass(frozen=True)
class Adapted:
    """A fitted ``head`` with the weights of relatedness, how long was best, and what has changed."""

    head: nn.Sequential
    related: Relatedness
    choice: Choice
    own: Outcome
    general: str

    def text(self) -> str:
        """To be read in a terminal."""
        check = self.choice.check
        fitted = f"the head, for {check} of {CHECKS} parts of a whole run" if check else "the cut alone"
        return f"fitted: {fitted}\n{self.own.text()}\ngeneral pairs: {self.general}"


class Adaptation:
    """The fit of one head of ``bundle``; what is computed on the way is kept in ``stages``."""

    def __init__(
        self, bundle: Bundle, task: PairTask, options: FitOptions, stages: Stages, general: int, threads: int = 0
    ) -> None:
        self.bundle, self.name, self.task = bundle, task, TASKS[task]
        self.options, self.stages, self.general = options, stages, general
        self.engine = Engine(bundle, EngineOptions(threads=threads))
        self.tokenizer = Tokenizer(bundle.tokenizer_path, MAX_TOKENS)
        self.model = load_pairs(bundle.path).eval()
        graph, prefix = GRAPHS[task]
        load_head(self.model, self.task.head, prefix, initialisers(bundle, graph))
        self.calibration, rules = load_calibration(bundle.path)
        self.related = rules.relatedness
        self.begun = self.task.served(self.model, self.calibration)

    @cached_property
    def encoder(self) -> HybridEncoder:
        """The encoder of sentences, as torch has it."""
        return encoder_from(self.bundle)

    def fitted(self, own: LabelledPairs, dev: LabelledPairs | None) -> Adapted:
        """Fit to the pairs ``own``; ``dev`` ones choose and calibrate, or ``own`` ones held out in turn."""
        fit = Fit(self.task, self.begun, self._known("own", own), self._learnt_general(), self.options)
        known = None if dev is None else self._known("dev", dev)
        parts = parts_of(fit.own, known, strata(self.name, own), self.options.seed)
        runs = [len(part.learnt) for part in parts if len(part.learnt)]
        steps = sum(map(self.options.steps_of, [*runs, len(own)])) if runs else 0
        with tqdm(total=steps, desc="fitting", unit=" steps", disable=not steps) as progress:
            choice = choose(fit, parts, self.stages, progress)
            head = fit.head(np.arange(len(own)), choice.check, progress)
        scale, shift = fitted_scale(self.task, choice.logits, choice.truth, with_shift=choice.check == 0)
        self.task.rescale(head, scale, shift)
        scored = (own if dev is None else dev).take(choice.scored)
        found = probabilities(choice.logits * scale + shift)
        related = self._fitted_relatedness(found, scored)
        before = Answers(self.name, self.engine.answer(self.name, scored.texts), scored)
        after = replace(before, values=self._answers(found, scored, related))
        outcome = Outcome("held-out pairs" if dev is None else "dev pairs", before, after)
        return Adapted(head, related, choice, outcome, self._kept(head, related))

    def write(self, adapted: Adapted, folder: Path, command: str) -> None:
        """Write the adapted bundle into ``folder``; ``TrainingError`` where it does not answer as it should."""
        graph, prefix = GRAPHS[self.name]
        stored = self.task.stored(adapted.head, self.calibration)
        weights = head_weights(stored, prefix, initialisers(self.bundle, graph))
        with TemporaryDirectory(dir=folder, prefix=".new-") as place:
            new = Path(place)
            write_with(self.bundle, graph, weights, self._manifest(adapted, command), new)
            self._verify(adapted, Engine(load_bundle(new), self.engine.options))
            for name in (*FILES, MANIFEST):
                (new / name).replace(folder / name)

    def _known(self, name: str, pairs: LabelledPairs) -> Known:
        features = self._read(name, pairs)
        return Known(features, self.task.truth(features.pairs))

    def _learnt_general(self) -> Known:
        """General pairs to learn from, with the logits before."""
        features = self._read("general", self._part_of_general(learnt=True))
        return Known(features, self._logits(self.begun, features))

    @cached_property
    def _scored_general(self) -> tuple[LabelledPairs, PairFeatures]:
        """General pairs that nothing is learnt from."""
        pairs = self._part_of_general(learnt=False)
        return pairs, self._read("other_general", pairs)

    @cached_property
    def _general_pairs(self) -> LabelledPairs:
        return general_pairs(self.general, self.options.seed)

    def _part_of_general(self, learnt: bool) -> LabelledPairs:
        places = np.arange(len(self._general_pairs))
        return self._general_pairs.take(np.flatnonzero((places % SCORED_EVERY > 0) == learnt))

    def _read(self, name: str, pairs: LabelledPairs) -> PairFeatures:
        known = PairSet.of(pairs, self.tokenizer)
        words = f"reading {name.replace('_', ' ')} pairs"
        tensors = self.stages.once(name, lambda: read_pairs(known, self.encoder, self.model, words))
        return PairFeatures(known, tensors["states"], tensors["read"], self.model)

    def _logits(self, head: nn.Sequential, features: PairFeatures) -> Tensor:
        return logits_of(self.task, head, features, np.arange(len(features)))

    def _answers(self, found: FloatArray, pairs: LabelledPairs, related: Relatedness) -> FloatArray:
        """What the service says of ``pairs`` where the head says what is ``found``."""
        return found if self.name != "relatedness" else relatedness(related, self._evidence(found, pairs))

    def _evidence(self, found: FloatArray, pairs: LabelledPairs) -> NDArray[np.float32]:
        cosines = self.engine.answer("similarity", pairs.texts)
        return np.stack([cosines, found], axis=1).astype(np.float32)

    def _fitted_relatedness(self, found: FloatArray, pairs: LabelledPairs) -> Relatedness:
        """Weights of the least squared error; as they were where relatedness is not what is fitted."""
        if self.name != "relatedness":
            return self.related
        fitted = LinearRegression().fit(self._evidence(found, pairs), pairs.similarity)
        cosine, head = fitted.coef_.tolist()
        return Relatedness(cosine=cosine, head=head, intercept=float(fitted.intercept_))

    def _kept(self, head: nn.Sequential, related: Relatedness) -> str:
        """How far ``head`` answers as before where it should, in words."""
        pairs, features = self._scored_general
        found = probabilities(self._logits(head, features))
        return kept(self.name, self.engine.answer(self.name, pairs.texts), self._answers(found, pairs, related))

    def _manifest(self, adapted: Adapted, command: str) -> Manifest:
        """That of the bundle begun with; of its scores those of what is not fitted still hold, and are kept."""
        known = self.bundle.manifest
        scores = {name: round(value, 4) for name, value in adapted.own.after.scores.items()}
        folder = GOLD_FOLDERS["similarity" if self.name == "relatedness" else self.name]
        others = {name: values for name, values in known.training.metrics.items() if not name.startswith(folder)}
        training = structs.replace(
            known.training, recipe=[*known.training.recipe, command], metrics=others | {adapted.own.name: scores}
        )
        now = datetime.now(UTC).replace(microsecond=0)
        return structs.replace(known, created=now, relatedness=adapted.related, training=training)

    def _verify(self, adapted: Adapted, served: Engine) -> None:
        """Raise ``TrainingError`` unless ``served`` answers as torch does, and as before where nothing was fitted."""
        pairs, features = self._scored_general
        expected = self._answers(probabilities(self._logits(adapted.head, features)), pairs, adapted.related)
        error = float(np.abs(served.answer(self.name, pairs.texts) - expected).mean())
        if not error <= SERVED_BOUND:
            raise TrainingError(f"expected answers within {SERVED_BOUND} of those fitted, found {error:.3f}")
        for other in (task for task in OTHERS if task != self.name):
            now, before = (engine.answer(other, pairs.texts) for engine in (served, self.engine))
            if (now != before).any():
                raise TrainingError(f"expected {other} to answer as before, found other answers")


def strata(task: str, pairs: LabelledPairs) -> Rows:
    """Classes [P] of ``pairs``, or fifths of their scores: what every part of them is to have its share of."""
    if task == "entailment":
        return np.asarray(pairs.entailment.argmax(axis=1), np.int64)
    values = pairs.paraphrase if task == "paraphrase" else (5 * pairs.similarity).clip(0, 4)
    return np.asarray(values, np.int64)
