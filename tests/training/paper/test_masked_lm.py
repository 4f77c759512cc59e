"""Hidden tokens, the student's contexts and the teacher's logits, each against an obvious twin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from cmow.service.text.tokenizer import PackedTokens
from tests.training.tiny_project import write_bert, write_masked_lm
from training.errors import TeacherError
from training.paper.masked_lm import LanguageModel, MaskedBatch, MaskedTeacher, Masking, running_means
from training.student.model import HybridEncoder, StudentConfig

LENGTHS = (5, 0, 1, 2, 20, 7)
MASK, V = 9, 500
CPU = torch.device("cpu")


def packed(lengths: tuple[int, ...], seed: int = 0) -> PackedTokens:
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    token_ids = np.random.default_rng(seed).integers(10, 100, size=cu_seqlens[-1])
    return PackedTokens(token_ids, cu_seqlens, np.zeros(len(lengths), bool))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_masked_lm(tmp_path_factory.mktemp("bert"))


def test_every_sentence_hides_its_share_and_at_least_one_token() -> None:
    masking, sentences = Masking(0.15, MASK, V), packed(LENGTHS)
    masked = masking.apply(sentences, np.arange(len(LENGTHS)), (0, 0))
    owners = np.searchsorted(sentences.cu_seqlens, masked.positions.numpy(), side="right") - 1
    assert np.bincount(owners, minlength=len(LENGTHS)).tolist() == [1, 0, 1, 1, 3, 1]
    assert masking.counts(sentences.lengths).tolist() == [1, 0, 1, 1, 3, 1]
    assert masked.targets.tolist() == sentences.token_ids[masked.positions].tolist()
    shown = np.delete(masked.token_ids.numpy(), masked.positions)
    assert shown.tolist() == np.delete(sentences.token_ids, masked.positions).tolist()


def test_a_mask_depends_on_the_sentence_and_not_on_its_batch() -> None:
    masking, sentences = Masking(0.5, MASK, V), packed(LENGTHS)
    whole = masking.apply(sentences, np.array([4, 0, 5]), (0, 3))
    parts = [masking.apply(sentences, np.array(rows), (0, 3)) for rows in ([4], [0, 5])]
    assert whole.token_ids.tolist() == [*parts[0].token_ids.tolist(), *parts[1].token_ids.tolist()]
    other = masking.apply(sentences, np.array([4, 0, 5]), (0, 4))  # another epoch
    assert other.token_ids.tolist() != whole.token_ids.tolist()


def test_hidden_tokens_are_replaced_corrupted_or_left_as_in_bert() -> None:
    masked = Masking(1.0, MASK, V).apply(packed((20_000,)), np.array([0]), (0,))
    found = masked.token_ids[masked.positions]
    assert float((found == MASK).float().mean()) == pytest.approx(0.8, abs=0.02)
    assert float((found == masked.targets).float().mean()) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("lengths", [LENGTHS, (1,), (0, 0), (64, 65, 3)])
def test_running_means_equal_a_loop(lengths: tuple[int, ...]) -> None:
    cu_seqlens = torch.from_numpy(packed(lengths).cu_seqlens)
    vectors = torch.randn(int(cu_seqlens[-1]), 3, generator=torch.Generator().manual_seed(0))
    expected = [torch.zeros(0, 6)]
    for begin, end in zip(cu_seqlens.tolist(), cu_seqlens.tolist()[1:], strict=False):
        for token in range(begin, end):
            both = vectors[begin : token + 1].mean(0), vectors[token:end].mean(0)
            expected.append(torch.cat(both)[None])
    torch.testing.assert_close(running_means(vectors, cu_seqlens), torch.cat(expected), atol=1e-5, rtol=1e-4)


def nodes(tensor: torch.Tensor) -> int:
    """Of the graph that the gradient of ``tensor`` is computed by."""
    seen, left = set(), [tensor.grad_fn]
    while left:
        if (node := left.pop()) is not None and node not in seen:
            seen.add(node)
            left += [before for before, _ in node.next_functions]
    return len(seen)


def test_the_gradient_takes_as_many_steps_for_many_sentences_as_for_two() -> None:
    """A step for each sentence, over the whole batch, would take the square of their number."""
    graphs = []
    for count in (2, 100):
        vectors = torch.randn(3 * count, 4, requires_grad=True)
        graphs.append(nodes(running_means(vectors, 3 * torch.arange(count + 1))))
    assert graphs[0] == graphs[1]


def test_all_tables_learn_from_the_tokens_around_a_hidden_one() -> None:
    torch.manual_seed(0)
    model = LanguageModel(HybridEncoder(StudentConfig(vocab_size=V, matrix_dim=3, vector_dim=4, init_noise=0.1)))
    masked = MaskedBatch(torch.tensor([5, MASK, 6]), torch.tensor([0, 3]), torch.tensor([1]), torch.tensor([7]))
    logits = model(masked)
    assert logits.shape == (1, V)
    logits[0, 7].backward()
    touched = {}
    for name, table in model.encoder.named_parameters():
        assert table.grad is not None
        touched[name] = set(table.grad.to_dense().flatten(1).any(1).nonzero().flatten().tolist())
    assert touched == {"vectors": {5, MASK, 6}, "forward_deltas": {5, MASK}, "backward_deltas": {MASK, 6}}


def test_the_teachers_logits_are_those_of_a_padded_batch(folder: Path) -> None:
    teacher = MaskedTeacher(str(folder), max_tokens=30, device=CPU)
    masking = Masking(0.3, teacher.tokenizer.mask_token_id, len(teacher.tokenizer))
    sentences = packed((5, 1, 0, 12, 5, 7))
    sentences = PackedTokens(sentences.token_ids % len(teacher.tokenizer), sentences.cu_seqlens, sentences.truncated)
    masked = masking.apply(sentences, np.arange(6), (0,))
    rows = masked.token_ids.split(masked.cu_seqlens.diff().tolist())
    ids = torch.zeros(6, 14, dtype=torch.long)
    seen = torch.zeros(6, 14, dtype=torch.bool)
    for number, row in enumerate(rows):
        marked = [teacher.tokenizer.cls_token_id, *row.tolist(), teacher.tokenizer.sep_token_id]
        ids[number, : len(marked)], seen[number, : len(marked)] = torch.tensor(marked), True
    with torch.no_grad():
        logits = teacher.model(ids, attention_mask=seen.long()).logits
    expected = torch.cat([logits[number, 1 : 1 + len(row)] for number, row in enumerate(rows)])[masked.positions]
    torch.testing.assert_close(teacher.logits(masked, batch_tokens=10), expected, atol=1e-4, rtol=1e-3)


def test_teachers_that_cannot_teach_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="reads 64 tokens, expected 63 and two marks"):
        MaskedTeacher(str(folder), max_tokens=63, device=CPU)
    headless = tmp_path / "headless"
    write_bert(headless)
    with pytest.raises(TeacherError, match=r"expected all weights of a masked-language model, found none for \['cls"):
        MaskedTeacher(str(headless), max_tokens=10, device=CPU)
    BertConfig(vocab_size=30).save_pretrained(tmp_path / "empty")
    with pytest.raises(TeacherError, match=r"expected weights \(\*.safetensors or \*.bin\)"):
        MaskedTeacher(str(tmp_path / "empty"), max_tokens=10, device=CPU)
    write_masked_lm(tmp_path / "wide")
    config = BertConfig.from_pretrained(tmp_path / "wide")
    config.vocab_size += 8
    BertForMaskedLM(config).save_pretrained(tmp_path / "wide")
    with pytest.raises(TeacherError, match="expected as many logits as the tokeniser has tokens"):
        MaskedTeacher(str(tmp_path / "wide"), max_tokens=10, device=CPU)
    (tmp_path / "wide/model.safetensors").write_bytes(b"damaged")
    with pytest.raises(TeacherError, match="expected a masked-language model's folder"):
        MaskedTeacher(str(tmp_path / "wide"), max_tokens=10, device=CPU)
