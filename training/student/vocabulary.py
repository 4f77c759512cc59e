"""Teacher and student, or a student and what starts from it, must number the same tokens alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cmow.service.text.tokenizer import load_tokenizer
from training.errors import TrainingError


class VocabularyError(TrainingError):
    """Two models that share token ids have different vocabularies, or a token is missing."""


def read_vocabulary(path: Path) -> dict[str, int]:
    """Token to id of a ``tokenizer.json``; ``cmow.service.errors.BundleError`` where it is none."""
    return load_tokenizer(path).get_vocab(with_added_tokens=True)


def check_vocabulary(path: Path, expected: Mapping[str, int], owner: str) -> None:
    """``VocabularyError`` unless the tokeniser in ``path`` has the vocabulary ``expected``, that of ``owner``."""
    found = read_vocabulary(path)
    if found != expected:
        differing = sorted(found.items() ^ expected.items(), key=lambda entry: (entry[1], entry[0]))[:4]
        sizes = f"{len(found)} tokens against {len(expected)}, first {differing}"
        raise VocabularyError(f"{path}: expected the vocabulary of {owner}, found {sizes}")
