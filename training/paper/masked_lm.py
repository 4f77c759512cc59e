"""Masked language modelling: which tokens are hidden, what the student says of them, and what its teacher says.

Letters: B sentences, N packed tokens, M masked positions, V vocabulary, d matrix side, e vector size, L length of the
sentences of a batch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, AutoTokenizer

from cmow.service.text.tokenizer import PackedTokens
from training.errors import TeacherError
from training.loop.device import has_bfloat16
from training.student.model import HybridEncoder
from training.student.packing import padded
from training.teachers.blocks import length_batches
from training.teachers.encoder import resolve_teacher

REPLACED, CORRUPTED = 0.8, 0.1  # shares of the masked tokens: [MASK], another token; the rest stays (BERT, section 3.1)


class MaskedBatch(NamedTuple):
    """Packed sentences with hidden tokens: ``positions`` int64 [M] in the packed order, ``targets`` int64 [M]."""

    token_ids: Tensor
    cu_seqlens: Tensor
    positions: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> MaskedBatch:
        """The same on ``device``."""
        return MaskedBatch(*(tensor.to(device) for tensor in self))


class Masking(NamedTuple):
    """How tokens are hidden: ``share`` of every sentence's, at least one, with ``mask_id`` in their place."""

    share: float
    mask_id: int
    vocab_size: int

    def counts(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many tokens of sentences of ``lengths`` [B] are hidden."""
        wanted = np.rint(lengths * self.share).astype(np.int64)
        return np.asarray(np.minimum(lengths, np.maximum(1, wanted)), np.int64)

    def apply(self, sentences: PackedTokens, rows: NDArray[np.int64], seeds: tuple[int, ...]) -> MaskedBatch:
        """The sentences ``rows`` [B] with hidden tokens.

        What is hidden of a sentence depends on ``seeds`` and its row alone, not on the batch or process it is in.
        """
        taken = sentences.take(rows)
        token_ids, positions = taken.token_ids.copy(), []
        for row, start, length, count in zip(
            rows, taken.cu_seqlens[:-1], taken.lengths, self.counts(taken.lengths), strict=True
        ):
            random = np.random.default_rng([*seeds, int(row)])
            chosen = start + np.sort(random.permutation(length)[:count])
            fate, others = random.random(count), random.integers(self.vocab_size, size=count)
            kept = np.where(fate < REPLACED + CORRUPTED, others, token_ids[chosen])
            token_ids[chosen] = np.where(fate < REPLACED, self.mask_id, kept)
            positions.append(chosen)
        where = torch.from_numpy(np.concatenate(positions))
        targets = torch.from_numpy(taken.token_ids)[where]
        return MaskedBatch(torch.from_numpy(token_ids), torch.from_numpy(taken.cu_seqlens), where, targets)


def running_means(vectors: Tensor, cu_seqlens: Tensor) -> Tensor:
    """Means [N, 2 e] of a sentence's ``vectors`` [N, e] up to a token, and from a token on, that token included."""
    lengths = cu_seqlens.diff()
    own = padded(vectors, cu_seqlens, torch.arange(len(lengths), device=vectors.device))  # [B, L, e]
    place = torch.arange(own.shape[1], device=vectors.device)
    filled = place < lengths[:, None]  # [B, L]
    up_to = own.cumsum(dim=1)
    from_on = up_to[:, -1:] - up_to + own
    before, after = (place + 1).expand_as(filled), lengths[:, None] - place
    return torch.cat([up_to[filled] / before[filled][:, None], from_on[filled] / after[filled][:, None]], dim=1)


class LanguageModel(nn.Module):
    """The encoder's per-token states and one linear layer from them to the vocabulary (Galke et al., section 3.3).

    As in the code that the authors published, the layer has weights of its own, not the tables', and what it sees of
    the vectors at a token is all of them on either side; the vector of [MASK] alone would teach the others nothing.
    Where theirs adds the vectors up, ours takes the mean, as ``HybridEncoder`` does.
    """

    def __init__(self, encoder: HybridEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        V, e = encoder.vectors.shape
        d = encoder.forward_deltas.shape[-1]
        self.head = nn.Linear(2 * e + 2 * d * d, V)

    def forward(self, masked: MaskedBatch) -> Tensor:
        """Logits [M, V] of the hidden tokens."""
        e = self.encoder.vectors.shape[1]
        states = self.encoder.states(masked.token_ids, masked.cu_seqlens)  # [N, e + 2 d^2]
        vectors, products = states[:, :e], states[:, e:]
        contexts = torch.cat([running_means(vectors, masked.cu_seqlens), products], dim=1)
        logits: Tensor = self.head(contexts[masked.positions])
        return logits


class MaskedTeacher:
    """A BERT-like masked-language model by hub name or local folder; every sentence stands between [CLS] and [SEP]."""

    def __init__(self, name: str, max_tokens: int, device: torch.device) -> None:
        source = resolve_teacher(name)
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(source)
            model, found = AutoModelForMaskedLM.from_pretrained(source, dtype=torch.float32, output_loading_info=True)
        except (OSError, ValueError, SafetensorError) as error:
            raise TeacherError(f"{name}: expected a masked-language model's folder or hub name: {error}") from error
        self.model, self.name, self.device = model.train(False).to(device), name, device
        if missing := sorted(found["missing_keys"]):
            raise TeacherError(f"{name}: expected all weights of a masked-language model, found none for {missing}")
        self._check_sizes(max_tokens)

    def _check_sizes(self, max_tokens: int) -> None:
        marks = (self.tokenizer.cls_token_id, self.tokenizer.sep_token_id, self.tokenizer.mask_token_id)
        if None in marks:
            raise TeacherError(f"{self.name}: expected [CLS], [SEP] and [MASK] in the vocabulary, found ids {marks}")
        if self.model.config.vocab_size != len(self.tokenizer):
            sizes = f"{self.model.config.vocab_size} for {len(self.tokenizer)} tokens"
            raise TeacherError(f"{self.name}: expected as many logits as the tokeniser has tokens, found {sizes}")
        longest = getattr(self.model.config, "max_position_embeddings", max_tokens + 2)
        if longest < max_tokens + 2:
            raise TeacherError(f"{self.name}: reads {longest} tokens, expected {max_tokens} and two marks")

    @torch.no_grad()
    def logits(self, masked: MaskedBatch, batch_tokens: int) -> Tensor:
        """Logits [M, V] of the hidden tokens, in passes of at most ``batch_tokens`` tokens without padding."""
        starts, lengths = masked.cu_seqlens[:-1], masked.cu_seqlens.diff()
        number = masked.token_ids.new_full(masked.token_ids.shape, -1)
        number[masked.positions] = torch.arange(len(masked.positions), device=number.device)
        out = torch.empty(len(masked.positions), len(self.tokenizer), device=number.device)
        for rows in length_batches(lengths.tolist(), batch_tokens):
            if (length := int(lengths[rows[0]])) == 0:
                continue
            index = starts[rows][:, None] + torch.arange(length, device=number.device)  # [rows, L]
            found = number[index]
            out[found[found >= 0]] = self._sentences(masked.token_ids[index])[found >= 0]
        return out

    def _sentences(self, token_ids: Tensor) -> Tensor:
        """Logits [rows, L, V] of sentences of one length [rows, L]."""
        first = token_ids.new_full((len(token_ids), 1), self.tokenizer.cls_token_id)
        last = token_ids.new_full((len(token_ids), 1), self.tokenizer.sep_token_id)
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda" and has_bfloat16(self.device)):
            logits: Tensor = self.model(torch.cat([first, token_ids, last], dim=1)).logits
        return logits[:, 1:-1].float()
