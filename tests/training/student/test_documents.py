"""Documents: as long as asked for, made of known sentences, with the mean of their targets."""

import numpy as np

from cmow.service.text.tokenizer import PackedTokens
from training.student.documents import draw, make_documents

LENGTHS = [3, 7, 5, 12]
SENTENCES = PackedTokens(np.arange(27), np.cumsum([0, *LENGTHS]), np.zeros(4, bool))
TARGETS = np.eye(4, 6).astype(np.float16)


def test_documents_have_the_length_that_was_drawn() -> None:
    lengths = [SENTENCES.lengths[draw(SENTENCES, 2000, np.random.default_rng(seed))].sum() for seed in range(200)]
    assert min(lengths) >= 50
    assert max(lengths) <= 4000
    assert np.median(lengths) < 1000  # as many short ones as long ones on a logarithmic scale


def test_a_target_is_the_mean_of_what_the_document_holds() -> None:
    (token_ids, cu_seqlens), targets = make_documents(SENTENCES, TARGETS, 5, 300, np.random.default_rng(1))
    assert targets.shape == (5, 6)
    assert cu_seqlens[-1] == len(token_ids)
    first_tokens = {int(start): row for row, start in enumerate(SENTENCES.cu_seqlens[:-1])}
    for document, target in enumerate(targets.numpy()):
        tokens = token_ids[cu_seqlens[document] : cu_seqlens[document + 1]].tolist()
        rows = [first_tokens[token] for token in tokens if token in first_tokens]
        assert sum(LENGTHS[row] for row in rows) == len(tokens)
        mean = TARGETS[rows].astype(np.float32).mean(axis=0)
        np.testing.assert_allclose(target, mean / np.linalg.norm(mean), rtol=1e-6)
