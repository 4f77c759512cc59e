"""Which files a stage reads, as its identity (training/data/identity.py) holds them."""

from __future__ import annotations

from pathlib import Path

from training.data.files import split_files

PAIRS = ("nli", "similarity", "paraphrase")
CHANGING = {"metrics.jsonl", "resume.pt", "run.json", "ended.json", "state.json", "recipe.json"}


def labelled_files(data: Path, *kinds: str) -> list[Path]:
    """Training and dev splits below ``data`` of ``kinds``, its folders."""
    return [path for split in ("train", "dev") for path in split_files(data, split, kinds)]


def text_files(data: Path) -> list[Path]:
    """All that has sentences to learn from: training splits, captions and running text."""
    return [*split_files(data, "train", (*PAIRS, "single")), *(data / "text").glob("*.gz")]


def made_files(folder: Path | str | None) -> list[Path]:
    """What a stage, an export or a teacher's authors left in ``folder``, without what a run only notes; a hub's name,
    or none, has no files.
    """
    if folder is None or not Path(folder).is_dir():
        return []
    return [path for path in Path(folder).iterdir() if path.is_file() and not _is_noted(path)]


def _is_noted(path: Path) -> bool:
    return path.name in CHANGING or path.name.startswith(".")
