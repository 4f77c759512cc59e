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
from training.minimal_pairs.generate import (
    HELD_OUT,
    HELD_OUT_NAMES,
    KINDS,
    UNSEEN,
    Kind,
    dev_items,
    items,
    pairs,
    triples,
)
from training.minimal_pairs.grammar import FrameError, all_frames, read_frames, variants
from training.minimal_pairs.harvest import harvest, word_lists
from training.minimal_pairs.kinds import logic, measures, order, polarity, real, roles, switches
from training.minimal_pairs.relations import Item, Pair, Relation
from training.minimal_pairs.words import Lexicon, in_split, of_split

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
    for name in train.others:
        assert not set(train.others[name]) & set(dev.others[name]), name
        assert len(dev.others[name]) > 2, name
    assert set(train.names) | set(dev.names) == set(word_lists()["names"])
    assert 0.1 < len(dev.places) / len(word_lists()["places"]) < 0.3
    assert of_split(["a", "b", "a"], "train") + of_split(["a", "b"], "dev") in (["a", "b"], ["b", "a"])
    assert in_split("London", "train") != in_split("London", "dev")


def test_frames_of_the_splits_are_disjoint() -> None:
    """But for the shells that add nothing, a time or a place."""
    train, dev = set(all_frames("train")), set(all_frames("dev"))
    assert {kind for kind, _ in train & dev} <= {"plain", "time", "place"}
    assert {kind for kind, _ in train} == {kind for kind, _ in dev}
    assert len(train) > 1000


def test_frames_are_read_from_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.minimal_pairs.grammar.LISTS", tmp_path)
    (tmp_path / "some.txt").write_text(
        "# A comment.\n[time order then statement a b]\n{A} (and|then) {B}\n-- dev\n{B}\n"
    )
    (section,) = read_frames("some")
    assert (section.kind, section.name, section.mood, section.words) == ("time order", "then", "statement", ("a", "b"))
    assert section.frames == {"train": (("{A} and {B}", "{A} then {B}"),), "dev": (("{B}",),)}
    assert variants("(please |)go {in|out}") == ("please go {in|out}", "go {in|out}")
    for name, text in (
        ("early", "no section\n"),
        ("moody", "[kind name]\na\n-- dev\nb\n"),
        ("half", "[kind query]\na\n"),
    ):
        (tmp_path / f"{name}.txt").write_text(text)
        with pytest.raises(FrameError, match="expected"):
            read_frames(name)


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


def agent_of(text: str) -> str | None:
    """Who does it, of sentences about names in the past tense without anything around them."""
    for pattern in (
        r"It was by (\w+) that",
        r"was \w+ by (\w+)\.",
        r"It was \w+ that (\w+) \w+ed\.",
        r"It was (\w+) who \w+ed",
    ):
        if match := re.search(pattern, text):
            return match.group(1)
    match = re.fullmatch(r"(\w+) \w+ed \w+\.", text)
    return match.group(1) if match else None


def test_roles(train: Lexicon) -> None:
    """Who did it in the anchor did it in what says the same, and in nothing else."""
    checked = Counter[bool]()
    for item in made(roles.roles, train, 3000):
        doer = agent_of(item.anchor)
        for text, relation in item.others:
            if doer and (found := agent_of(text)) and relation in (Relation.SAME, Relation.EXCHANGED):
                assert (found == doer) == (relation is Relation.SAME), (item.anchor, text)
                checked[found == doer] += 1
    assert min(checked.values()) > 20


def test_agreement_and_tense(train: Lexicon) -> None:
    for item in made(roles.roles, train, 600):
        for text in (item.anchor, *relations(item)):
            assert not re.search(r"\b(is|are|was|were|will) (is|are|was|were|did)\b", text), text
            assert not re.search(r"\b[Tt]he one (who|that) are\b|\b[Tt]he ones (who|that) (is|was)\b", text), text
            assert not re.search(r"\bwas not \w+ing by\b|\bdid not \w+ed\b(?<!need)(?<!feed)", text), text


def test_numbers_are_true(train: Lexicon) -> None:
    """What is said of the least and the most is compared as numbers."""

    patterns: tuple[tuple[str, int | None, int | None], ...] = (
        (r"(?:at least|no fewer than|a minimum of) (\d+)|(\d+) or more", 0, None),
        (r"(?:at most|no more than|up to|a maximum of) (\d+)|(\d+) or fewer", None, 0),
        (r"(?:more than|over) (\d+)", 1, None),
        (r"(?:fewer|less) than (\d+)|not even (\d+)", None, -1),
        (r"exactly (\d+)| (?<!to )(?<!and )(\d+) (?!to|and|or)", 0, 0),
    )

    def bounds(text: str) -> tuple[float, float] | None:
        if re.search(r"\d+ to |between", text):
            return None
        for pattern, low, high in patterns:
            if match := re.search(pattern, text.lower()):
                number = int(next(group for group in match.groups() if group))
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
            implying = anchor[0] <= found[0] and found[1] <= anchor[1]
            expected = {
                Relation.SAME: inside and implying,
                Relation.IMPLIED: inside,
                Relation.IMPLYING: implying and not inside,
                Relation.OPPOSED: apart,
            }[relation]
            assert expected, (item.anchor, text, relation)
            checked[relation.name] += 1
    assert min(checked[name] for name in ("SAME", "IMPLIED", "OPPOSED")) > 30


def test_a_captions_passive(train: Lexicon) -> None:
    checked = 0
    for item in made(real.real_scenes, train, 60):
        match = re.fullmatch(r"A (\w+) is (holding|riding) a (\w+)\.", item.anchor)
        if match is None:
            continue
        who, act, thing = match.groups()
        done = {"holding": "held", "riding": "ridden"}[act]
        expected = {
            f"A {thing} is being {done} by a {who}.": Relation.SAME,
            f"A {thing} is {act} a {who}.": Relation.OPPOSED,
        }
        for text in expected.keys() & relations(item).keys():
            assert relations(item)[text] is expected[text]
            checked += 1
    assert checked


def test_switches_name_the_act_and_its_opposite(train: Lexicon) -> None:
    """What says the same has an act of the anchor's side."""
    sides = [(row, acts) for row in switches.acts("train") for acts in (row.on, row.off)]

    def found(text: str) -> set[str]:
        words = text.lower()
        return {act for _, acts in sides for act in acts if re.search(rf"\b{act}\b", words)}

    checked = 0
    for item in made(switches.switches, train, 300):
        for text, relation in item.others:
            if relation is Relation.SAME and len(found(text)) == len(found(item.anchor)) == 1:
                (one,), (other,) = found(text), found(item.anchor)
                assert any(one in acts and other in acts for _, acts in sides), (item.anchor, text)
                checked += 1
    assert checked > 30


# Of these, what says the same and what does not are of one frame each, so that only order can tell them apart.
ORDERED = (
    *(roles.roles, roles.asked_roles, roles.scene, roles.attitudes, order.direction, order.preference, order.placing),
    *(order.giving, order.relations, order.ditransitives, order.order_of_events, order.conditions),
    measures.comparatives,
)


@pytest.mark.parametrize("kind", ORDERED, ids=lambda kind: kind.__name__)
def test_no_bag_of_words_tells_what_is_the_same(train: Lexicon, kind: Kind) -> None:
    """Overlap and both bags of words (so which frames meet) are as frequent with either answer.

    Bags that say which answer it is are those of the anchor's own words in another order, which is never what it says.
    """
    rows = Counter[tuple[str, str]]()
    told = Counter[tuple[str, str]]()
    for item in made(kind, train, 600):
        anchor = " ".join(sorted(re.findall(r"[\w']+", item.anchor.lower())))
        for text, relation in item.others:
            if relation in (Relation.SAME, Relation.OPPOSED, Relation.EXCHANGED) and len(item.others) < 6:
                bag = anchor, " ".join(sorted(re.findall(r"[\w']+", text.lower())))
                rows[bag] += 1
                told[bag] += relation is Relation.SAME
    best = sum(max(told[bag], rows[bag] - told[bag]) for bag in rows) / rows.total()
    assert best < 0.68, best  # with every bag known by heart


@pytest.mark.parametrize("kind", ORDERED, ids=lambda kind: kind.__name__)
def test_no_surface_cue_gives_the_label_away(train: Lexicon, kind: Kind) -> None:
    """The share of shared words does not tell whether two order-dependent sentences say the same."""
    by_answer = defaultdict[bool, list[float]](list)
    for item in made(kind, train, 300):
        for text, relation in item.others:
            if relation in (Relation.SAME, Relation.OPPOSED, Relation.EXCHANGED):
                words = [set(re.findall(r"\w+", each.lower())) for each in (item.anchor, text)]
                by_answer[relation is Relation.SAME].append(len(words[0] & words[1]) / len(words[0] | words[1]))
    same, other = by_answer[True], by_answer[False]
    # What says the same never shares more words than what does not: overlap alone is wrong or of no use.
    assert sum(same) / len(same) <= sum(other) / len(other) + 0.02


def test_opposites_that_only_dev_has(train: Lexicon, dev: Lexicon) -> None:
    seen, unseen = polarity.opposites_of("train"), polarity.opposites_of("dev", unseen=True)
    assert len(seen) > 200
    assert len(unseen) > 20
    assert not {word for pair in seen for word in (pair.one, pair.other)} & {
        word for pair in unseen for word in (pair.one, pair.other)
    }
    for kind in UNSEEN:
        assert not list(made(kind, train, 5))
        assert {item.kind for item in made(kind, dev, 20)} <= {"opposites unseen", "switches unseen"}


def test_held_out_kinds_are_not_for_training(train: Lexicon, dev: Lexicon) -> None:
    named = {item.kind for item in islice(items(train, 0), 3000)}
    held_out = {item.kind for kind in HELD_OUT for item in made(kind, dev, 3)}
    assert held_out == set(HELD_OUT_NAMES)
    assert not named & held_out
    assert held_out < dev_items(dev, 0, 2).keys()


def test_dev_files_are_not_read(tmp_path: Path) -> None:
    write_rows(tmp_path / "nli/snli/train.jsonl.gz", [{"sentence1": "A b.", "sentence2": "C d.", "label": "neutral"}])
    write_rows(tmp_path / "nli/snli/dev.jsonl.gz", [{"sentence1": "X y.", "sentence2": "Z z.", "label": "neutral"}])
    write_lines(tmp_path / "text/plain.txt.gz", ["Some text."])
    read = {text for split in ("train", "dev") for text in Lexicon.harvest(tmp_path, split).sentences}  # type: ignore[arg-type]
    assert read == {"A b.", "C d.", "Some text."}


def test_both_neither_and_either(train: Lexicon) -> None:
    """A sentence about one of two follows from "both" and "neither", and from "either" does not."""
    checked = Counter[str]()
    for item in made(logic.connectives, train, 400):
        anchor = item.anchor.lower()
        name = next((name for name in ("neither", "either", "both") if name in anchor.split()), None)
        for text, relation in item.others:
            if name and re.fullmatch(r"(?:\w+|The \w+) (?:did not )?\w+\.", text):
                denied = "did not" in text
                expected = {
                    "neither": Relation.IMPLIED if denied else Relation.OPPOSED,
                    "both": Relation.OPPOSED if denied else Relation.IMPLIED,
                    "either": Relation.NEUTRAL,
                }
                assert relation is expected[name] or "did not" in anchor, (item.anchor, text)
                checked[name] += 1
    assert len(checked) == 3


def test_symmetric_sentences_still_say_so_with_their_sides_exchanged(train: Lexicon) -> None:
    for item in made(order.symmetric, train, 100):
        words = sorted(re.findall(r"\w+", item.anchor.lower()))
        for text, relation in item.others:
            if sorted(re.findall(r"\w+", text.lower())) == words:
                assert relation is Relation.SAME, (item.anchor, text)


def test_a_harvest_adds_people_and_things() -> None:
    captions = [f"A welder is standing near gate {number}." for number in range(9)]
    captions += [f"The girl {number} is holding a trumpet." for number in range(60)]
    train, dev = Lexicon.of("train", captions), Lexicon.of("dev", captions)
    assert "welder" in (*train.people, *dev.people)
    assert "trumpet" in (*train.things, *dev.things)


def test_a_harvest_of_names_places_nouns_and_verbs() -> None:
    texts = [f"Xavier said that number {number} was baked by a cook in Utopia." for number in range(9)]
    texts += [f"They want to bake it in Monday, and the oven is hot at {number}." for number in range(9)]
    found = harvest(texts)
    assert (found.names, found.places, found.nouns, found.verbs) == (["Xavier"], ["Utopia"], ["oven"], ["bake"])
