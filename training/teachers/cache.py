"""What teachers said, on disk: embeddings of sentences, and judgements of pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.data.atomic import make_folder, replace_bytes
from training.data.identity import Identity
from training.data.labelled import LabelledPairs, TextPair
from training.errors import TeacherError

GOLD = ("entailment", "similarity", "paraphrase")
LOGITS = 5  # three of entailment, similarity, paraphrase


@dataclass(frozen=True)
class TeacherCache:
    """Sentences and their teacher embeddings on disk; the first ``done`` rows of ``targets`` are filled."""

    sentences: list[str]
    targets: NDArray[Any]
    done: int

    @staticmethod
    def open(folder: Path) -> TeacherCache:
        """Map the cache in ``folder``; ``TeacherError`` where it is missing or its parts disagree."""
        try:
            done = read_state(folder)["done"]
            # Not read_text, which takes other line ends for one as well.
            sentences = (folder / "sentences.txt").read_bytes().decode("utf-8").split("\n")[:-1]
            targets = np.load(folder / "targets.npy", mmap_mode="r")
        except (OSError, ValueError) as error:
            raise TeacherError(f"{folder}: expected a cache made by training.teacher: {error}") from error
        if len(sentences) != len(targets) or not 0 <= done <= len(targets):
            raise TeacherError(f"{folder}: {len(sentences)} sentences, {len(targets)} targets, {done} done")
        return TeacherCache(sentences, targets, done)

    @staticmethod
    def complete(folder: Path) -> TeacherCache:
        """The same, and ``TeacherError`` where sentences are left: what learns from a part would never know."""
        cache = TeacherCache.open(folder)
        if cache.done < len(cache.sentences):
            raise TeacherError(
                f"{folder}: expected all {len(cache.sentences)} sentences embedded, found {cache.done}: "
                "let training.teacher go on to its end"
            )
        return cache


def read_state(folder: Path) -> dict[str, Any]:
    """``state.json`` of a cache; ``TeacherError`` where it is missing or something else."""
    path = folder / "state.json"
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise TeacherError(f"{path}: expected the state of a cache made by training: {error}") from error
    if not isinstance(state, dict) or not {"identity", "done"} <= state.keys() or not isinstance(state["done"], int):
        raise TeacherError(f"{path}: expected the state of a cache made by training, found something else")
    return state


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace ``state.json`` at once, so that a killed run leaves the old one or the new one."""
    replace_bytes(folder / "state.json", json.dumps(state).encode())


def ensure_cache(folder: Path, options: Mapping[str, Any], files: Iterable[Path], make: Callable[[], object]) -> None:
    """Call ``make`` to fill the cache in ``folder`` where there is none yet.

    ``StaleError`` where there is one of other ``options``, or of ``files`` that have changed since.
    """
    if (folder / "state.json").exists():
        known = Identity.parsed(read_state(folder)["identity"], folder / "state.json")
        Identity.of(options, files, known).check(known, folder)
        return
    identity = Identity.of(options, files)
    make_folder(folder)
    make()
    write_state(folder, {"identity": identity.record(), "done": 0})


@dataclass(frozen=True)
class PairCache:
    """P judged pairs.

    ``sentences`` are distinct texts, ``pairs`` int32 [P, 2] rows of them; ``entailment`` bool [P, 3], ``similarity``
    and ``paraphrase`` float64 [P] as in ``LabelledPairs``; ``logits`` float16 [P, 5], filled up to ``done``.
    """

    sentences: list[str]
    pairs: NDArray[np.int32]
    entailment: NDArray[np.bool_]
    similarity: NDArray[np.float64]
    paraphrase: NDArray[np.float64]
    logits: np.memmap[Any, Any]
    done: int

    @staticmethod
    def open(folder: Path, mode: Literal["r", "r+"] = "r") -> PairCache:
        """Map the cache in ``folder``; ``TeacherError`` where it is missing or its parts disagree."""
        try:
            done = read_state(folder)["done"]
            sentences = (folder / "sentences.txt").read_text(encoding="utf-8").split("\n")[:-1]
            arrays = [np.load(folder / f"{name}.npy") for name in ("pairs", *GOLD)]
            logits = np.load(folder / "logits.npy", mmap_mode=mode)
        except (OSError, ValueError) as error:
            raise TeacherError(f"{folder}: expected a cache made by training.pair_labels: {error}") from error
        rows = {len(array) for array in (*arrays, logits)}
        if len(rows) != 1 or arrays[0].max(initial=-1) >= len(sentences) or not 0 <= done <= len(logits):
            found = f"parts of {sorted(rows)} rows, {len(sentences)} sentences, {done} done"
            raise TeacherError(f"{folder}: expected parts that fit together, found {found}")
        pairs, entailment, similarity, paraphrase = arrays
        return PairCache(sentences, pairs, entailment, similarity, paraphrase, logits, done)

    @staticmethod
    def create(folder: Path, pairs: LabelledPairs) -> None:
        """Write a cache of ``pairs``, none judged yet, to ``folder``; its state is not among it."""
        rows: dict[str, int] = {}
        index = [[rows.setdefault(" ".join(text.split()), len(rows)) for text in pair] for pair in pairs.texts]
        (folder / "sentences.txt").write_text("".join(text + "\n" for text in rows), encoding="utf-8")
        np.save(folder / "pairs.npy", np.array(index, np.int32).reshape(-1, 2))
        for name in GOLD:
            np.save(folder / f"{name}.npy", getattr(pairs, name))
        np.lib.format.open_memmap(
            folder / "logits.npy", mode="w+", dtype=np.float16, shape=(len(pairs), LOGITS)
        ).flush()

    def texts(self, rows: slice) -> list[TextPair]:
        """The pairs ``rows`` as texts."""
        return [(self.sentences[left], self.sentences[right]) for left, right in self.pairs[rows].tolist()]
