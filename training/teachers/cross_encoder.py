"""The pair teacher: a BERT-like encoder that reads both sentences together and judges the pair in three ways.

One pass over ``[CLS] sentence1 [SEP] sentence2 [SEP]`` gives the logits of entailment, neutral and contradiction, the
logit of the similarity (scaled to 0..1) and the logit of "is a paraphrase". One encoder for all three tasks labels a
pair at the cost of one.

Letters: P pairs, L tokens of a pair, H hidden size.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

from training.data.atomic import make_folder, replace_bytes
from training.data.files import NLI_LABELS
from training.data.labelled import TextPair
from training.errors import TeacherError
from training.loop.device import mixed_precision, sent
from training.teachers.blocks import (
    CPU_TOKENS,
    Block,
    Floats,
    Rows,
    batch_tokens_on,
    length_batches,
    results,
    sorted_block,
)
from training.teachers.cache import LOGITS
from training.teachers.encoder import attention, inference_dtype, load_encoder
from training.teachers.pair_tokens import PairTokenizer, PairTokens

WEIGHTS, NOTE = "cross_encoder.safetensors", "cross_encoder.json"


class PairLogits(NamedTuple):
    """Logits of P pairs: entailment [P, 3] in the order of ``NLI_LABELS``, similarity [P], paraphrase [P]."""

    entailment: Tensor
    similarity: Tensor
    paraphrase: Tensor


class Judgements(NamedTuple):
    """``PairLogits`` as float32 arrays."""

    entailment: NDArray[Any]
    similarity: NDArray[Any]
    paraphrase: NDArray[Any]


class CrossEncoder(nn.Module):
    """A pretrained encoder, pooled as its first state beside the mean of all, one hidden layer and three heads."""

    def __init__(self, encoder: nn.Module, hidden_size: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.pool = nn.Linear(2 * hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_size, len(NLI_LABELS) + 2)

    def forward(self, ids: Tensor, segments: Tensor) -> PairLogits:
        """Logits of pairs of one length, int64 ``ids`` and ``segments`` [P, L]."""
        inputs = {"input_ids": ids}
        if getattr(self.encoder.config, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = segments
        states = self.encoder(**inputs).last_hidden_state  # [P, L, H]
        pooled = torch.cat([states[:, 0], states.mean(dim=1)], dim=1)  # [P, 2 H]
        logits = self.output(self.dropout(torch.tanh(self.pool(pooled)))).float()
        return PairLogits(logits[:, : len(NLI_LABELS)], logits[:, -2], logits[:, -1])


class PairTeacher:
    """A cross-encoder with its tokeniser; pairs run in batches of exactly one length, so that nothing is padded."""

    def __init__(self, model: CrossEncoder, tokenizer: Any, max_tokens: int) -> None:
        self.model, self.tokenizer, self.max_tokens = model, tokenizer, max_tokens
        self.pair_tokenizer = PairTokenizer(tokenizer, max_tokens)

    @staticmethod
    def pretrained(name: str, max_tokens: int, device: torch.device | str = "cpu") -> PairTeacher:
        """An encoder by packaged name, local folder or hub name, with fresh heads, to train on ``device``."""
        encoder, tokenizer = load_encoder(
            name, max_tokens, torch.float32, attention(torch.device(device), training=True)
        )
        return PairTeacher(CrossEncoder(encoder, encoder.config.hidden_size).to(device), tokenizer, max_tokens)

    @staticmethod
    def load(folder: Path, device: torch.device | str = "cpu") -> PairTeacher:
        """The teacher that ``save`` wrote, on ``device`` in the precision that suits it, to judge with.

        ``TeacherError`` where the folder holds none.
        """
        try:
            note = json.loads((folder / NOTE).read_text())
            weights = load_file(folder / WEIGHTS)
            config = AutoConfig.from_pretrained(folder)
            encoder = AutoModel.from_config(config, attn_implementation=attention(torch.device(device)))
            model = CrossEncoder(encoder, encoder.config.hidden_size)
            model.load_state_dict(weights)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise TeacherError(f"{folder}: expected a pair teacher made by training.pair_teacher: {error}") from error
        model.to(torch.device(device), inference_dtype(torch.device(device))).eval()
        return PairTeacher(model, AutoTokenizer.from_pretrained(folder), note["max_tokens"])

    def save(self, folder: Path) -> None:
        """Write weights, configuration and tokeniser into ``folder``."""
        make_folder(folder)
        replace_bytes(folder / WEIGHTS, save(self.model.state_dict()))
        cast(PreTrainedModel, self.model.encoder).config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        (folder / NOTE).write_text(json.dumps({"max_tokens": self.max_tokens}) + "\n")

    def tokenize(self, pairs: Sequence[TextPair]) -> PairTokens:
        """Both texts of every pair in one sequence; the longer one is cut first."""
        return self.pair_tokenizer.pairs(pairs)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def batch_tokens(self) -> int:
        """How many tokens to judge at once: as many as fit into the device's free memory and help."""
        config = cast(PreTrainedModel, self.model.encoder).config
        # Alive at once in a layer: about 24 states of a token, and 5 weights of each head for every other token.
        values = 24 * config.hidden_size + 5 * config.num_attention_heads * self.max_tokens
        return batch_tokens_on(self.device, values * self.model.pool.weight.element_size())

    def batch(self, tokens: PairTokens, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """``ids`` and ``segments`` int64 [P, L] of the pairs ``rows``, which are of one length."""
        ids, segments = (sent(values, self.device) for values in tokens.put_together(rows))
        return ids.view(len(rows), -1).long(), segments.view(len(rows), -1).long()

    def judge(self, pairs: Sequence[TextPair], batch_tokens: int = CPU_TOKENS) -> Judgements:
        """Logits of P ``pairs``, in bfloat16 precision where the device has it."""
        tokens = self.tokenize(pairs)
        judged = [np.empty((0, LOGITS), np.float32), *self.judged(tokens, [np.arange(len(tokens))], batch_tokens)]
        logits = np.concatenate(judged)
        return Judgements(logits[:, : len(NLI_LABELS)], logits[:, -2], logits[:, -1])

    def judged(self, tokens: PairTokens, blocks: Iterable[Rows], batch_tokens: int) -> Iterator[Floats]:
        """Logits float32 [R, 5], in the order of ``Judgements``, of each of ``blocks``: rows [R] of ``tokens``."""
        self.model.eval()

        def block(rows: Rows) -> Block:
            return sorted_block(tokens.lengths_of(rows), batch_tokens, lambda order: tokens.put_together(rows[order]))

        return results(self._logits, (partial(block, rows) for rows in blocks), LOGITS, self.device)

    @torch.inference_mode()
    def _logits(self, ids: Tensor, segments: Tensor) -> Tensor:
        # Weights that are kept in bfloat16 need no conversion.
        as_kept = self.model.pool.weight.dtype != torch.float32
        with nullcontext() if as_kept else mixed_precision(self.device):
            return torch.column_stack(self.model(ids, segments))


def shuffled_length_batches(lengths: list[int], batch_tokens: int, seed: int) -> Iterator[list[int]]:
    """``length_batches`` of shuffled rows, in shuffled order; the same for the same ``seed``."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(lengths))
    batches = [
        [int(order[row]) for row in rows] for rows in length_batches([lengths[row] for row in order], batch_tokens)
    ]
    yield from (batches[index] for index in random.permutation(len(batches)))
