"""Sentences for benchmarks: a sentence a line, gzip-compressed or not."""

from __future__ import annotations

import gzip
from itertools import islice
from pathlib import Path

MOST = 100_000  # sentences; no benchmark needs more, and some files hold millions


def read_sentences(path: Path) -> list[str]:
    """The first lines of ``path`` that are not blank; exits where there is none."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            found = list(islice((line.strip() for line in lines if line.strip()), MOST))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SystemExit(f"{path}: expected UTF-8 sentences, one a line: {error}") from error
    if not found:
        raise SystemExit(f"{path}: expected a sentence a line, found none")
    return found
