"""Sentences stand where the spans say, nothing is lost between them, and hostile text takes no longer."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmow.service.text.sentences import CHUNK, LONGEST, sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:stop] for start, stop in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t ", []),
        ("One", ["One"]),
        ("It rains. She left!  Did he?", ["It rains.", "She left!", "Did he?"]),
        ("Dr. Smith paid $3.5 million. He left.", ["Dr. Smith paid $3.5 million.", "He left."]),
        (
            "See e.g. Fig. 3. It grew 2.3% in the U.S. economy.",
            ["See e.g. Fig. 3.", "It grew 2.3% in the U.S. economy."],
        ),
        ("Title\n\nIt rains.", ["Title", "It rains."]),
        ("Zoë ate 😀 cake. She left.", ["Zoë ate 😀 cake.", "She left."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_nothing_but_space_is_left_out(text: str) -> None:
    spans = list(sentence_spans(text))
    assert all(text[start:stop].strip() == text[start:stop] != "" for start, stop in spans)
    ends = [0, *(end for span in spans for end in span), len(text)]
    assert ends == sorted(ends)
    assert not "".join(text[left:right] for left, right in zip(ends[::2], ends[1::2], strict=True)).strip()


def test_a_sentence_is_never_cut_by_the_end_of_a_chunk() -> None:
    sentence = "The city council approved a new budget of 3 million dollars."
    assert set(sentences(f"{sentence} " * (3 * CHUNK // len(sentence)))) == {sentence}


@pytest.mark.parametrize("word", ["word ", "word\n", "w"])
def test_what_has_no_full_stop_is_cut_between_words(word: str) -> None:
    text = word * (3 * CHUNK // len(word))
    found = sentences(text)
    assert max(map(len, found)) <= LONGEST
    assert "".join("".join(found).split()) == "".join(text.split())
    if word != "w":
        assert {part for sentence in found for part in sentence.split()} == {"word"}


@pytest.mark.parametrize("unit", [".", "a.", '"', "(", "Dr. ", "\n", "😀. Yes ", "(\"'."])
def test_hostile_text_is_read_in_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    started = perf_counter()
    list(sentence_spans(text))
    assert perf_counter() - started < 5  # some tenths of a second
