"""Packed batches hold exactly the rows asked for."""

import numpy as np
import torch

from cmow.service.text.tokenizer import PackedTokens
from training.student.packing import batch, drop_tokens, join


def ragged(lengths: list[int]) -> PackedTokens:
    return PackedTokens(np.arange(sum(lengths)), np.cumsum([0, *lengths]), np.zeros(len(lengths), np.bool_))


def test_batch_equals_a_loop_over_rows() -> None:
    store = ragged([3, 0, 1, 129, 2])
    rows = np.array([4, 1, 3, 3, 0])
    token_ids, cu_seqlens = batch(store, rows)
    slices = [store.token_ids[store.cu_seqlens[row] : store.cu_seqlens[row + 1]] for row in rows]
    assert token_ids.tolist() == np.concatenate(slices).tolist()
    assert np.diff(cu_seqlens.numpy()).tolist() == [len(part) for part in slices]
    assert token_ids.dtype == cu_seqlens.dtype == torch.int64


def test_a_batch_of_nothing_is_empty() -> None:
    token_ids, cu_seqlens = batch(ragged([3]), np.array([], dtype=np.int64))
    assert token_ids.tolist() == []
    assert cu_seqlens.tolist() == [0]


def test_dropped_tokens_leave_order_and_sentences_intact() -> None:
    torch.manual_seed(0)
    token_ids, cu_seqlens = torch.arange(1000), torch.tensor([0, 0, 400, 401, 1000])
    kept, bounds = drop_tokens(token_ids, cu_seqlens, 0.3)
    assert 600 < len(kept) < 800
    for sentence in range(4):
        part = kept[bounds[sentence] : bounds[sentence + 1]]
        assert ((part >= cu_seqlens[sentence]) & (part < cu_seqlens[sentence + 1])).all()
        assert (part.diff() > 0).all()
    assert drop_tokens(token_ids, cu_seqlens, 0.0)[1].tolist() == cu_seqlens.tolist()


def test_joined_batches_keep_their_sentences() -> None:
    first, second = ragged([2, 0]), ragged([1, 3])
    token_ids, cu_seqlens = join(*(batch(packed, np.arange(2)) for packed in (first, second)))
    assert token_ids.tolist() == [0, 1, 0, 1, 2, 3]
    assert cu_seqlens.tolist() == [0, 2, 2, 3, 6]
