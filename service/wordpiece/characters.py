"""What Hugging Face ``tokenizers`` does with each character before WordPiece, as a table for the C++.

    python -m cmow.service.wordpiece.characters service/wordpiece/characters_table.h

writes the table again; to be run, and its result committed, for every new version of ``tokenizers``.

Why one character at a time is enough: ``BertNormalizer`` removes characters and maps each of them alone (spaces around
ideographs, canonical decomposition, lower case), and ``BertPreTokenizer`` looks at one at a time. The exception is the
reordering of combining marks within the canonical decomposition. It moves only characters of a combining class other
than 0, and nearly all of those are removed right after it. A character that leaves one of the rest is not in the table;
nor is one that Python's version of Unicode does not know, whose class could be anything.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import tokenizers
from tokenizers import normalizers, pre_tokenizers

LIMIT = 0x20000  # code points of the table: the Basic Multilingual Plane, and the plane of the emoji
HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)  # each has a decomposition of its own, more than all others together
CHUNK = 512  # characters that the library reads at a time; its time grows faster than the text

HEADER = """\
// Written by `python -m cmow.service.wordpiece.characters` with Unicode {unicode}; do not edit.
// {{first, last, kind, replacement}}; a null replacement: each character stays as it is, or leaves nothing.

constexpr char kAuthority[] = "{version}";

// clang-format off
constexpr Run kRuns[] = {{
"""
FOOTER = """};
// clang-format on
"""


class Effect(NamedTuple):
    """What becomes of a character; ``replacement`` is ``None`` where it stays as it is, or leaves nothing."""

    kind: Literal["Removed", "Space", "Word", "Isolated"]
    replacement: str | None = None


class Run(NamedTuple):
    """The code points ``first`` to ``last`` have one effect."""

    first: int
    last: int
    effect: Effect


def effects() -> Iterator[tuple[str, Effect]]:
    """Every character of the table, in order."""
    known = [character for character in map(chr, range(LIMIT)) if _is_known(character)]
    for start in range(0, len(known), CHUNK):
        characters = known[start : start + CHUNK]
        for character, words in zip(characters, _between_letters(characters), strict=True):
            effect = _effect(character, words)
            if effect is not None:
                yield character, effect


def runs(effects: Iterable[tuple[str, Effect]]) -> list[Run]:
    """Neighbours with one effect joined."""
    joined: list[Run] = []
    for character, effect in effects:
        code = ord(character)
        if joined and joined[-1].last == code - 1 and joined[-1].effect == effect:
            joined[-1] = joined[-1]._replace(last=code)
        else:
            joined.append(Run(code, code, effect))
    return joined


def table() -> str:
    """The C++ header."""
    lines = [""]
    for entry in map(_entry, runs(effects())):
        if len(lines[-1]) + len(entry) > 118:
            lines.append("")
        lines[-1] += f"  {entry}" if not lines[-1] else f" {entry}"
    return (
        HEADER.format(version=tokenizers.__version__, unicode=unicodedata.unidata_version)
        + "\n".join(lines)
        + "\n"
        + FOOTER
    )


def _is_known(character: str) -> bool:
    return ord(character) not in HANGUL_SYLLABLES and unicodedata.category(character) not in {"Cn", "Cs"}


def _between_letters(characters: list[str]) -> Iterator[list[str]]:
    """The words that the library makes of ``xCy`` for each character C."""
    normalizer = normalizers.BertNormalizer(lowercase=True)
    text = normalizer.normalize_str(" ".join(f"x{character}y" for character in characters))
    words: list[str] = []
    for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text):
        words.append(word)
        if word.endswith("y"):
            yield words
            words = []


def _effect(character: str, words: list[str]) -> Effect | None:
    """The effect of ``character`` that ``words`` show; ``None`` where the C++ could not follow."""
    match words:
        case ["xy"]:
            return Effect("Removed")
        case ["x", "y"]:
            return Effect("Space")
        case [word]:
            replacement = word[1:-1]
        case ["x", replacement, "y"] if len(replacement) == 1:
            pass
        case _:
            return None
    # The C++ counts on no more tokens than bytes.
    if any(map(unicodedata.combining, replacement)) or len(replacement) > len(character.encode()):
        return None
    return Effect("Word" if len(words) == 1 else "Isolated", None if replacement == character else replacement)


def _entry(run: Run) -> str:
    replacement = "nullptr" if run.effect.replacement is None else f'"{"".join(map(_escape, run.effect.replacement))}"'
    return f"{{0x{run.first:X}, 0x{run.last:X}, Kind::k{run.effect.kind}, {replacement}}},"


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isascii():
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(table(), encoding="utf-8")
