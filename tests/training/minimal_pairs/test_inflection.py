"""Forms of words, by hand and by rule."""

from __future__ import annotations

import pytest

from training.minimal_pairs.harvest import word_lists
from training.minimal_pairs.inflection import Verb, in_words, plural, with_article


@pytest.mark.parametrize(
    ("base", "present", "past", "participle", "progressive"),
    [
        ("chase", "chases", "chased", "chased", "chasing"),
        ("carry", "carries", "carried", "carried", "carrying"),
        ("catch", "catches", "caught", "caught", "catching"),
        ("steal", "steals", "stole", "stolen", "stealing"),
        ("hit", "hits", "hit", "hit", "hitting"),
        ("hug", "hugs", "hugged", "hugged", "hugging"),
        ("draw", "draws", "drew", "drawn", "drawing"),
        ("cry", "cries", "cried", "cried", "crying"),
        ("see", "sees", "saw", "seen", "seeing"),
        ("visit", "visits", "visited", "visited", "visiting"),
        ("shut down", "shuts down", "shut down", "shut down", "shutting down"),
    ],
)
def test_verbs(base: str, present: str, past: str, participle: str, progressive: str) -> None:
    verb = Verb.of(base)
    assert (verb.plain, verb.present, verb.past) == (base, present, past)
    assert (verb.participle, verb.progressive) == (participle, progressive)


def test_no_listed_verb_is_left_without_a_plausible_form() -> None:
    lists = word_lists()
    verbs = {
        verb
        for name, verbs in lists.items()
        if name.endswith(("between", "things", "acts", "actions"))
        for verb in verbs
    }
    verbs |= {verb for group in lists["alike"] for verb in group.split("/")}
    for text in verbs - {*lists["things"], *lists["acts on things"]}:
        verb = Verb.of(text)
        assert verb.progressive.split()[0].endswith("ing"), text
        assert not verb.past.split()[0].endswith(("yed", "eed")) or verb.base.endswith(("ay", "ey", "oy", "ee")), text
        assert "  " not in verb.past


def test_nouns_and_numbers() -> None:
    assert [plural(noun) for noun in ("dog", "child", "box", "baby", "police officer", "wolf")] == [
        *("dogs", "children", "boxes", "babies", "police officers", "wolves")
    ]
    assert [with_article(noun) for noun in ("dog", "old dog", "uniform", "hour")] == [
        *("a dog", "an old dog", "a uniform", "an hour")
    ]
    assert [in_words(number) for number in (2, 20, 21, 1500)] == ["two", "twenty", "21", "1,500"]
