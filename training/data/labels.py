"""How files spell labels and scores, and what they mean here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.data.files import NLI_LABELS, NOT_ENTAILMENT, PARAPHRASE_LABELS, DataError
from training.data.rows import LabelledRows

ENTAILMENT, NEUTRAL, CONTRADICTION = NLI_LABELS
DIFFERENT, SAME = PARAPHRASE_LABELS

ENTAILMENT_IDS = {"0": ENTAILMENT, "1": NEUTRAL, "2": CONTRADICTION}
ENTAILMENT_SPELLINGS = {
    **{label: label for label in (*NLI_LABELS, NOT_ENTAILMENT)},
    **dict.fromkeys(("entailed", "entails", "e"), ENTAILMENT),
    "n": NEUTRAL,
    **dict.fromkeys(("contradicted", "contradicts", "c"), CONTRADICTION),
    **dict.fromkeys(("notentailment", "non_entailment", "notentailed", "not_entailed"), NOT_ENTAILMENT),
}
PARAPHRASE_SPELLINGS = {
    **dict.fromkeys((SAME, "duplicate", "equivalent", "same"), SAME),
    **dict.fromkeys((DIFFERENT, "non_paraphrase", "not_duplicate", "non_duplicate", "not_equivalent"), DIFFERENT),
}
PARAPHRASE_IDS = {**dict.fromkeys(("1", "true", "yes"), SAME), **dict.fromkeys(("0", "false", "no"), DIFFERENT)}
SPELLINGS = {
    "entailment": ENTAILMENT_SPELLINGS | ENTAILMENT_IDS,
    "paraphrase": PARAPHRASE_SPELLINGS | PARAPHRASE_IDS,
}
NO_LABEL = ("-", "-1")  # how SNLI says that its annotators did not agree

Gold = Literal["entailment", "similarity", "paraphrase"]  # what files say of pairs; relatedness reads as similarity
SCORE_RANGES = {"stsb": (0.0, 5.0), "sick": (1.0, 5.0)}  # of well-known sets, by folder


def read_labels(task: str, rows: LabelledRows, path: Path, own: Mapping[str, str] | None = None) -> list[str | None]:
    """Our label of each of ``rows`` for ``task``, entailment or paraphrase; ``None`` where the file says it has none.

    ``own`` spellings, mapped to ours, come before the usual ones. Raises ``DataError`` with the line of an unknown one,
    and where ids alone leave open what they mean.
    """
    mapped = {spelling(text): label for text, label in (own or {}).items()}
    known = SPELLINGS[task] | mapped
    if unknown := set(known.values()) - set(SPELLINGS[task].values()):
        raise DataError(f"--labels: expected labels of {_listed(SPELLINGS[task])}, found {', '.join(sorted(unknown))}")
    spellings = {value: spelling(value) for value in set(rows.values)}
    spelled = [spellings[value] for value in rows.values]
    ids = set(spelled) - set(NO_LABEL)
    if task == "entailment" and ids <= {"0", "1"} and not ids <= set(mapped):
        raise DataError(
            f"{path}: expected labels by name or the ids 0, 1 and 2, found {' and '.join(sorted(ids))} alone, "
            f"which may mean {NOT_ENTAILMENT}: say it (--labels 0={ENTAILMENT} 1={NOT_ENTAILMENT})"
        )
    return [_label(text, known, f"{path}:{line}") for text, line in zip(spelled, rows.lines, strict=True)]


def spelling(value: str | float) -> str:
    """``value`` in lower case, words joined by underscores, whole numbers without a point."""
    text = value.strip().casefold() if isinstance(value, str) else str(value)
    return re.sub(r"(?<=\w)[\s-]+(?=\w)", "_", re.sub(r"(?<=\d)\.0+$", "", text))


def guess_task(rows: LabelledRows, path: Path, own: Mapping[str, str] | None = None) -> Gold:
    """What ``rows`` are for where nobody said: labels by name and scores with decimals tell, ids do not.

    Raises ``DataError`` where nothing tells. ``own`` are as of `read_labels`.
    """
    mapped = {spelling(text): label for text, label in (own or {}).items()}
    found = {mapped.get(text, text) for text in map(spelling, set(rows.values))} - set(NO_LABEL)
    if found <= ENTAILMENT_SPELLINGS.keys():
        return "entailment"
    if found <= PARAPHRASE_SPELLINGS.keys():
        return "paraphrase"
    if any("." in text for text in found) and all(map(_is_number, found)):
        return "similarity"
    shown = ", ".join(sorted(found)[:5])
    raise DataError(
        f"{path}: expected labels by name or scores with decimals, found {shown:.80}: what for? (see --task)"
    )


def read_scores(rows: LabelledRows, path: Path, scale: tuple[float, float] | None = None) -> NDArray[np.float64]:
    """The scores [P] of ``rows``, brought from ``scale`` to 0..1.

    Without one the range is that of a known set, by its folder, or 0 to 1 or 0 to 5 where the scores are plainly of
    these. Raises ``DataError`` with the line of what is no number in the range, and where the range is unknown.
    """
    scores = np.array([_number(value, f"{path}:{line}") for value, line in zip(rows.values, rows.lines, strict=True)])
    low, high = scale or SCORE_RANGES.get(path.parent.name) or _plain_range(scores, path)
    if not low < high:
        raise DataError(f"--scale: expected the lowest and the highest score, found {low:g} {high:g}")
    for score, line in zip(scores, rows.lines, strict=True):
        if not low <= score <= high:
            raise DataError(f"{path}:{line}: expected a score from {low:g} to {high:g}, found {score:g} (see --scale)")
    return np.asarray((scores - low) / (high - low))


def _label(text: str, known: Mapping[str, str], where: str) -> str | None:
    if text in known:
        return known[text]
    if text in NO_LABEL:
        return None
    raise DataError(f"{where}: expected a label of {_listed(known)}, found {text!r} (see --labels)")


def _listed(known: Mapping[str, str]) -> str:
    return ", ".join(dict.fromkeys(known.values()))


def _number(value: str | float, where: str) -> float:
    if not _is_number(value):
        raise DataError(f"{where}: expected a score, found {value!r:.80}")
    return float(value)


def _is_number(value: str | float) -> bool:
    try:
        return isfinite(float(value))
    except ValueError:
        return False


def _plain_range(scores: NDArray[np.float64], path: Path) -> tuple[float, float]:
    least, most = scores.min(), scores.max()
    if least >= 0 and most <= 1:
        return 0.0, 1.0
    if 0 <= least < 1 and 4 < most <= 5:
        return 0.0, 5.0
    raise DataError(
        f"{path}: expected scores plainly from 0 to 1 or from 0 to 5, found {least:g} to {most:g}: "
        "say what their lowest and highest are (--scale LOW HIGH)"
    )
