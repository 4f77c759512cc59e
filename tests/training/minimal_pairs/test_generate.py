"""Constructed pairs: deterministic, split by frames and words, with labels that no surface cue gives away."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.training.tiny_project import write_lines, write_rows
from training.minimal_pairs import frames, measures, polarity, real
from training.minimal_pairs.generate import HELD_OUT, HELD_OUT_NAMES, KINDS, Kind, dev_items, items, pairs, triples
from training.minimal_pairs.relations import Item, Pair, Relation
from training.minimal_pairs.words import NAMES, PLACES, VERBS_BETWEEN_PEOPLE, Lexicon, in_split, of_split

CAPTIONS = [
    *(
        f"A {who} is {act} a {thing}."
        for who in ("woman", "girl", "worker")
        for act, thing in (("holding", "cup"), ("riding", "bike"))
    ),
    *(f"The worker is standing in the rain on day {number}." for number in range(8)),
    "There are two dogs on the beach.",
    "The trains from London to Paris are late.",
    "The meeting was moved to Monday.",
    "Anna is taller than Berta.",
    "A boat can be seen far away.",
    "Nothing grows under that old oak.",
]


@pytest.fixture(scope="module")
def train() -> Lexicon:
    return Lexicon.of("train", CAPTIONS)


@pytest.fixture(scope="module")
def dev() -> Lexicon:
    return Lexicon.of("dev", CAPTIONS)


def made(kind: Kind, words: Lexicon, count: int = 60) -> Iterator[Item]:
    """Items of ``kind`` with different seeds; none where it finds nothing to edit."""
    found = (kind(words, random.Random(seed)) for seed in range(count))
    return (item for item in found if item is not None)


def relations(item: Item) -> dict[str, Relation]:
    return dict(item.others)


def test_the_same_seed_gives_the_same_pairs(train: Lexicon) -> None:
    again = Lexicon.of("train", reversed(CAPTIONS))
    assert again.names == train.names
    assert list(pairs(train, 3, 500)) == list(pairs(Lexicon.of("train", CAPTIONS), 3, 500))
    assert list(pairs(train, 3, 50)) != list(pairs(train, 4, 50))
    assert len(list(triples(train, 0, 200))) == 200


@pytest.mark.parametrize("kind", [*KINDS, *HELD_OUT], ids=lambda kind: kind.__name__)
def test_every_kind_makes_different_sentences_with_a_relation_each(train: Lexicon, kind: Kind) -> None:
    for item in made(kind, train):
        texts = [item.anchor, *(text for text, _ in item.others)]
        assert len(set(texts)) == len(texts), item
        assert all(text == text.strip() and "  " not in text and "{" not in text for text in texts), item
        assert all(text[0].isupper() or item.mood == "query" or item.kind.startswith("real") for text in texts), item
        assert item.others


@pytest.mark.parametrize("kind", [*KINDS, *HELD_OUT], ids=lambda kind: kind.__name__)
def test_both_splits_have_every_kind(train: Lexicon, dev: Lexicon, kind: Kind) -> None:
    if kind.__module__ != real.__name__:
        assert len(list(made(kind, train, 20))) == len(list(made(kind, dev, 20))) == 20


def test_words_of_the_splits_are_disjoint(train: Lexicon, dev: Lexicon) -> None:
    for field in ("names", "places", "people", "things", "looks", "between", "on_things", "actions", "sentences"):
        one, other = set(getattr(train, field)), set(getattr(dev, field))
        assert one, field
        assert not one & other, field
    assert set(train.names) | set(dev.names) == set(NAMES)
    assert 0.05 < len(dev.places) / len(PLACES) < 0.4
    assert of_split(["a", "b", "a"], "train") + of_split(["a", "b"], "dev") in (["a", "b"], ["b", "a"])
    assert in_split("London", "train") != in_split("London", "dev")


def test_frames_of_the_splits_are_disjoint(train: Lexicon, dev: Lexicon) -> None:
    """Without their own words, anchors about directions and switches have no pattern in common."""

    def patterns(kind: Kind, words: Lexicon) -> set[str]:
        known = {*words.names, *words.places, *frames.MOMENTS}
        swaps = re.compile("|".join(sorted(map(re.escape, known), key=len, reverse=True)))
        texts = [text for item in made(kind, words, 300) for text in (item.anchor, *relations(item))]
        return {swaps.sub("_", text) for text in texts}

    assert not patterns(frames.direction, train) & patterns(frames.direction, dev)


def test_labels_follow_from_the_relation() -> None:
    item = Item("kind", "A.", (("B.", Relation.SAME), ("C.", Relation.IMPLIED), ("D.", Relation.EXCHANGED)))
    assert [(pair.first, pair.second, pair.entailment, pair.paraphrase) for pair in item.pairs()] == [
        ("A.", "B.", "entailment", True),
        ("B.", "A.", "entailment", True),
        ("A.", "C.", "entailment", False),
        ("C.", "A.", "neutral", False),
        ("A.", "D.", "not_entailment", False),
        ("D.", "A.", "not_entailment", False),
    ]
    assert [(triple.rephrased, triple.exchanged) for triple in item.triples()] == [("B.", "D.")]
    asked = Item("kind", "A?", (("B?", Relation.SAME),), "question")
    assert next(asked.pairs()) == Pair("A?", "B?", "kind", None, True, 0.95)


def test_roles(train: Lexicon) -> None:
    """Who did it in the anchor did it in what says the same, and in nothing else."""
    verbs = "|".join(sorted({verb.past for verb in train.between} | {verb.participle for verb in train.between}))
    active = re.compile(rf"^(.+?) (?:{verbs}) (.+?)(?: (?:in|on|at|near|yesterday|last|this|after)\b.*)?\.$")
    passive = re.compile(rf"^(.+?) was (?:{verbs}) by (.+?)(?: (?:in|on|at|near|yesterday|last|this|after)\b.*)?\.$")
    cleft = re.compile(rf"^It was (.+?) who (?:{verbs}) (.+?)(?: (?:in|on|at|near|yesterday|last|this|after)\b.*)?\.$")

    object_cleft = re.compile(rf"^It was (.+?) that (.+?) (?:{verbs})\b")

    def agent(text: str) -> str | None:
        for pattern, group in ((object_cleft, 2), (cleft, 1), (passive, 2), (active, 1)):
            if match := pattern.match(text):
                return match.group(group).lower()
        return None

    checked = 0
    for item in made(frames.roles, train, 200):
        doer = agent(item.anchor)
        for text, relation in item.others:
            if doer and (found := agent(text)):
                assert (found == doer) == (relation is Relation.SAME), (item.anchor, text)
                checked += 1
    assert checked > 300


def test_numbers_are_true(train: Lexicon) -> None:
    """What is said of the least and the most is compared as numbers."""

    def bounds(text: str) -> tuple[float, float] | None:
        for pattern, low, high in (
            (r"at least (\d+)", 0, None),
            (r"no fewer than (\d+)", 0, None),
            (r"(\d+) or more", 0, None),
            (r"more than (\d+)", 1, None),
            (r"at most (\d+)", None, 0),
            (r"no more than (\d+)", None, 0),
            (r"fewer than (\d+)", None, -1),
            (r"exactly (\d+)", 0, 0),
            (r" (\d+) ", 0, 0),
        ):
            if match := re.search(pattern, text):
                number = int(match.group(1))
                if "no more than" in text and pattern == r"more than (\d+)":
                    continue
                return (-1 if low is None else number + low, 10**9 if high is None else number + high)
        return None

    checked = Counter[str]()
    for item in made(measures.numbers, train, 400):
        anchor = bounds(item.anchor)
        for text, relation in item.others:
            found = bounds(text)
            if item.mood != "statement" or anchor is None or found is None:
                continue
            inside = found[0] <= anchor[0] and anchor[1] <= found[1]
            apart = found[0] > anchor[1] or anchor[0] > found[1]
            expected = {Relation.SAME: inside, Relation.IMPLIED: inside, Relation.OPPOSED: apart}[relation]
            assert expected, (item.anchor, text, relation)
            checked[relation.name] += 1
    assert min(checked[name] for name in ("SAME", "IMPLIED", "OPPOSED")) > 30


def test_a_captions_passive(train: Lexicon) -> None:
    found = {item.anchor: relations(item) for item in made(real.real_scenes, train, 40)}
    assert found
    for anchor, others in found.items():
        match = re.match(r"A (\w+) is (holding|riding) a (\w+)\.", anchor)
        assert match is not None
        who, act, thing = match.groups()
        done = {"holding": "held", "riding": "ridden"}[act]
        assert others[f"A {thing} is being {done} by a {who}."] is Relation.SAME
        assert others[f"A {thing} is {act} a {who}."] is Relation.OPPOSED


def test_switches_name_the_act_and_its_opposite(train: Lexicon) -> None:
    ways = {
        act: (row, side)
        for row, sides in enumerate(polarity.SWITCHES)
        for side, acts in enumerate(sides)
        for act in acts
    }
    pattern = re.compile(rf"\b({'|'.join(sorted(ways, key=len, reverse=True))})\b")

    def side(text: str) -> tuple[int, int]:
        match = pattern.search(text.lower())
        assert match is not None, text
        return ways[match.group(1)]

    for item in made(polarity.switches, train, 200):
        for text, relation in item.others:
            if relation is Relation.SAME:
                assert side(text) == side(item.anchor)


def test_no_surface_cue_gives_the_label_away(train: Lexicon) -> None:
    """Neither the number of shared words nor a negation tells whether two order-dependent sentences say the same."""
    by_kind: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for kind in (frames.roles, frames.direction, frames.converse_relations, frames.attributes, measures.comparatives):
        for item in made(kind, train, 150):
            for text, relation in item.others:
                if relation in (Relation.SAME, Relation.OPPOSED, Relation.EXCHANGED):
                    words = [set(re.findall(r"\w+", each.lower())) for each in (item.anchor, text)]
                    overlap = len(words[0] & words[1]) / len(words[0] | words[1])
                    by_kind[kind.__name__].append((overlap, relation is Relation.SAME))
    for name, rows in by_kind.items():
        same = [overlap for overlap, is_same in rows if is_same]
        other = [overlap for overlap, is_same in rows if not is_same]
        # What says the same never shares more words than what does not: overlap alone is wrong or of no use.
        assert sum(same) / len(same) <= sum(other) / len(other) + 0.02, name


def test_held_out_kinds_are_not_for_training(train: Lexicon, dev: Lexicon) -> None:
    named = {item.kind for item in islice(items(train, 0), 3000)}
    held_out = {item.kind for kind in HELD_OUT for item in made(kind, dev, 3)}
    assert held_out == set(HELD_OUT_NAMES)
    assert not named & held_out
    assert held_out < dev_items(dev, 0, 2).keys()


def test_only_training_text_is_read(tmp_path: Path) -> None:
    write_rows(tmp_path / "nli/snli/train.jsonl.gz", [{"sentence1": "A b.", "sentence2": "C d.", "label": "neutral"}])
    write_rows(tmp_path / "nli/snli/dev.jsonl.gz", [{"sentence1": "X y.", "sentence2": "Z z.", "label": "neutral"}])
    write_lines(tmp_path / "text/plain.txt.gz", ["Some text."])
    read = {text for split in ("train", "dev") for text in Lexicon.harvest(tmp_path, split).sentences}  # type: ignore[arg-type]
    assert read == {"A b.", "C d."}


def test_a_harvest_adds_people_and_things() -> None:
    captions = [f"A welder is standing near gate {number}." for number in range(9)]
    captions += [f"The girl {number} is holding a trumpet." for number in range(60)]
    train, dev = Lexicon.of("train", captions), Lexicon.of("dev", captions)
    assert "welder" in (*train.people, *dev.people)
    assert "trumpet" in (*train.things, *dev.things)
    assert VERBS_BETWEEN_PEOPLE
