"""Jobs joined into one run: their sentences and pairs stay what they are alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from cmow.service.model.engine import Engine
from cmow.service.model.work import Work
from cmow.service.schedule.admission import Admission
from cmow.service.schedule.caller import Caller
from cmow.service.schedule.job import Job, Piece, join
from cmow.service.text.tokenizer import PackedTokens, Part, Tokenizer

TEXTS = [["a man", "it rains"], ["the dog"], ["somebody makes music", "a", "the woman is not playing"]]
PAIRS = [[(0, 1), (1, 0)], [(0, 0)], [(2, 0), (0, 1), (1, 1)]]


@pytest.fixture
def tokenizer(engine: Engine) -> Tokenizer:
    return engine.tokenizer


def together(tokenizer: Tokenizer) -> list[Part]:
    """The texts of every job, as parts of one reading."""
    whole = tokenizer.encode([text for texts in TEXTS for text in texts])
    ends = np.cumsum([0, *map(len, TEXTS)]).tolist()
    return [Part(whole, start, stop) for start, stop in pairwise(ends)]


def apart(tokenizer: Tokenizer) -> list[Part]:
    """The texts of every job, each read alone."""
    return [Part(tokenizer.encode(texts), 0, len(texts)) for texts in TEXTS]


def same(found: PackedTokens, expected: PackedTokens) -> bool:
    names = ("token_ids", "cu_seqlens", "truncated")
    return all(np.array_equal(getattr(found, name), getattr(expected, name)) for name in names)


def pieces(parts: Sequence[Part]) -> list[Piece]:
    async def make() -> list[Piece]:
        future = asyncio.get_running_loop().create_future
        found = []
        for texts, part, pairs in zip(TEXTS, parts, PAIRS, strict=False):
            ticket = Admission(10**3, 10**6, 10**6).admit(len(pairs))
            job = Job(Work("similarity", texts, np.array(pairs)), Caller(), ticket, future(), future())
            job.read(part, 0.0)
            found.append(job.whole_piece())
        return found

    return asyncio.run(make())


def test_a_part_is_what_its_texts_are_alone(tokenizer: Tokenizer) -> None:
    for part, alone in zip(together(tokenizer), apart(tokenizer), strict=True):
        assert same(part.packed, alone.whole)
        assert (len(part), part.tokens) == (len(alone), len(alone.whole.token_ids))


def test_joining_is_the_same_for_texts_read_together_and_apart(tokenizer: Tokenizer) -> None:
    one, other = (join(pieces(parts(tokenizer))) for parts in (together, apart))
    assert same(one[0], other[0])
    assert one[1].tolist() == other[1].tolist() == [[0, 1], [1, 0], [2, 2], [5, 3], [3, 4], [4, 4]]


@pytest.mark.parametrize("order", [[0, 1], [1, 2], [2, 0], [1]])
def test_some_of_what_was_read_together(tokenizer: Tokenizer, engine: Engine, order: list[int]) -> None:
    """In any order: one of them may have been refused."""
    chosen = pieces(together(tokenizer))
    packed, pairs = join([chosen[number] for number in order])
    assert same(packed, tokenizer.encode([text for number in order for text in TEXTS[number]]))
    alone = [engine.score("similarity", chosen[number].part.packed, chosen[number].pairs) for number in order]
    np.testing.assert_array_equal(engine.score("similarity", packed, pairs), np.concatenate(alone))


def test_joining_leaves_the_pairs_of_a_job_alone(tokenizer: Tokenizer, engine: Engine) -> None:
    chosen = pieces(together(tokenizer))
    join(chosen)
    assert [piece.pairs.tolist() for piece in chosen] == [[list(pair) for pair in pairs] for pairs in PAIRS]


def test_plain_means_a_token_in_each_and_none_cut(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(["a man", "dog"]).plain
    assert not tokenizer.encode(["a man", " "]).plain
    assert not tokenizer.encode(["a " * (tokenizer.max_tokens + 1)]).plain
    assert tokenizer.encode([]).plain
