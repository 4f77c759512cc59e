"""From where on a claim is supported or contradicted (`cmow.service.model.verdicts.claims`): documents, and the fit.

A document is some premises of three-way NLI pairs, one after the other; its claims are their hypotheses. What a premise
entails is supported, what it contradicts is contradicted, and what is neutral is not found. That another premise may
support such a claim by chance counts as an error all the same.

Letter: C claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from cmow.service.model.bundle import Bundle, Claims
from cmow.service.model.engine import Engine
from cmow.service.model.model import UNBOUNDED, Model
from cmow.service.model.verdicts.claims import Claim, ClaimLabel
from training.data.files import split_files
from training.data.labelled import LabelledPairs, label_names, read_labelled
from training.pairs.calibrate import best_threshold

VERDICTS: tuple[ClaimLabel, ...] = get_args(ClaimLabel)
OF_LABEL: dict[str, ClaimLabel] = {
    "entailment": "supported",
    "contradiction": "contradicted",
    "neutral": "not found",
}
SETS = ("nli/snli", "nli/mnli")
CLAIMS = 1200  # of each set and length
PREMISES = (1, 20)  # of a document


class Document(NamedTuple):
    """A text, its claims [C], and what is true of each [C]."""

    text: str
    claims: list[str]
    truth: list[ClaimLabel]


def documents(pairs: LabelledPairs, premises: int) -> Iterator[Document]:
    """Documents of so many ``premises``, from the first ``CLAIMS`` of ``pairs`` in an order by chance."""
    known = pairs.take(np.flatnonzero(pairs.entailment.sum(axis=1) == 1))
    chosen = known.take(np.random.default_rng(0).permutation(len(known))[:CLAIMS])
    labels = [OF_LABEL[label] for label in label_names(chosen.entailment)]
    for start in range(0, len(chosen), premises):
        part = chosen.texts[start : start + premises]
        text = " ".join(_ended(premise) for premise, _ in part)
        yield Document(text, [claim for _, claim in part], labels[start : start + premises])


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def split_documents(data: Path, split: str) -> Iterator[tuple[str, int, list[Document]]]:
    """Name of the file, premises of a document, and documents, for each of ``SETS`` that ``data`` has."""
    for name in SETS:
        for path in split_files(data, split, (name,)):
            pairs = read_labelled(path, "entailment")
            for premises in PREMISES:
                yield path.relative_to(data).as_posix(), premises, list(documents(pairs, premises))


def check(model: Model, found: Sequence[Document]) -> list[Claim]:
    """What ``model`` says of each claim of the documents ``found``."""
    return [claim for document in found for claim in model.check(document.text, document.claims)]


def truth(found: Sequence[Document]) -> NDArray[np.str_]:
    """What is true of each claim of the documents ``found``."""
    return np.array([label for document in found for label in document.truth])


def fit_claims(bundle: Bundle, data: Path) -> Claims:
    """The thresholds of the highest mean recall of the verdicts on training splits; the bundle's without any."""
    if not (found := [each for _, _, part in split_documents(data, "train") for each in part]):
        return bundle.manifest.claims
    unbounded = structs.replace(bundle.manifest, claims=Claims(supported=0, contradicted=0))
    return best_thresholds(check(Model(Engine(replace(bundle, manifest=unbounded)), UNBOUNDED), found), truth(found))


def best_thresholds(said: Sequence[Claim], known: NDArray[np.str_]) -> Claims:
    """Those of the highest mean recall, from what was ``said`` [C] with thresholds of 0 and what is ``known`` [C]."""
    share = {label: 1 / max(1, int((known == label).sum())) for label in VERDICTS}

    def threshold(label: ClaimLabel) -> float:
        """What is not found should fall below it; what is the third thing is wrong either way."""
        rows = [row for row, claim in enumerate(said) if claim.label == label and known[row] in (label, "not found")]
        if not rows:
            return 0.5
        probabilities = np.array([said[row].probability for row in rows])
        weights = np.array([share[known[row]] for row in rows])
        return min(1.0, best_threshold(probabilities, known[rows] == label, weights))

    return Claims(supported=threshold("supported"), contradicted=threshold("contradicted"))
