"""The other sides' models on disk, each made once and kept below one folder.

DistilBERT comes untrained unless a checkpoint is named: its speed does not depend on its weights. all-MiniLM-L6-v2 is
the packaged one that taught the student; model2vec's static model is distilled from it.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, DistilBertForSequenceClassification

from export.distilbert import quantised_products, save_int8, save_model
from export.work.baseline import Checkpoint, pretrained, untrained
from loadtest.compare.models import (
    DISTILBERT,
    FILES,
    HEAD,
    MINILM,
    MODEL2VEC,
    TOKENIZER,
    TORCH,
    UNTRAINED,
    VECTOR,
    read_head,
)
from training.teachers.encoder import resolve_teacher
from training.teachers.sentence import save_tokenizer

TEACHER = "all-MiniLM-L6-v2"
ALL = (DISTILBERT, MINILM, MODEL2VEC)


class StateAndLogits(nn.Module):
    """A classifier that gives its embedding too: one model for both, as memory is measured."""

    def __init__(self, model: DistilBertForSequenceClassification) -> None:
        super().__init__()
        self.model = model.eval()

    def forward(self, token_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """int64 [B, L] each to states of the first token [B, m] and logits [B, C], both float32."""
        output = self.model(token_ids, attention_mask, output_hidden_states=True)
        return output.hidden_states[-1][:, 0].float(), output.logits.float()


class MeanPooled(nn.Module):
    """Unit-length means over a text's tokens, as sentence-transformers' all-MiniLM-L6-v2 has them."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder.eval()

    def forward(self, token_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """int64 [B, L] each to embeddings float32 [B, m]."""
        states = self.encoder(token_ids, attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        return nn.functional.normalize((states * weights).sum(1) / weights.sum(1), dim=1)


def make_distilbert(folder: Path, checkpoint: Checkpoint) -> None:
    """Write DistilBERT in ONNX (float32, int8, float16) and for PyTorch into ``folder``."""
    save_onnx(StateAndLogits(checkpoint.model), folder, ["state", "logits"])
    checkpoint.model.save_pretrained(folder / TORCH)
    half = StateAndLogits(checkpoint.model.half())  # in place, so it comes last
    save_model(half, folder / FILES["fp16"], _sample(), ["state", "logits"], dynamic=True)
    checkpoint.tokenizer.save(str(folder / TOKENIZER))
    head = {"source": checkpoint.source, "task": checkpoint.task, "labels": checkpoint.labels}
    (folder / HEAD).write_text(json.dumps(head))


def make_minilm(folder: Path) -> None:
    """Write all-MiniLM-L6-v2 in ONNX (float32, int8) into ``folder``."""
    source = resolve_teacher(TEACHER)
    save_onnx(MeanPooled(AutoModel.from_pretrained(source)), folder, [VECTOR])
    save_tokenizer(AutoTokenizer.from_pretrained(source), folder / TOKENIZER)


def make_model2vec(folder: Path) -> None:
    """Distil all-MiniLM-L6-v2 into ``folder`` by model2vec's own defaults; raises ``ImportError`` without it."""
    from model2vec.distill import distill

    distill(resolve_teacher(TEACHER)).save_pretrained(folder)


def save_onnx(model: nn.Module, folder: Path, outputs: list[str]) -> None:
    """Write ``model`` in float32 and int8 into ``folder``."""
    float32, int8 = folder / FILES["fp32"], folder / FILES["int8"]
    save_model(model, float32, _sample(), outputs, dynamic=True)
    save_int8(float32, int8)
    if quantised_products(int8) == 0:
        raise RuntimeError(f"{int8}: expected int8 matrix products, found none")


def make_models(
    root: Path, tokenizer: Path, distilbert: str | None, say: Callable[[str], None], names: Sequence[str] = ALL
) -> None:
    """Make what is missing of ``names`` below ``root``.

    Without ``distilbert``, a hub name or a folder, that one is untrained and reads what ``tokenizer`` makes.
    """

    def checkpoint() -> Checkpoint:
        return untrained(tokenizer) if distilbert is None else pretrained(distilbert)

    makers: dict[str, Callable[[Path], None]] = {
        DISTILBERT: lambda folder: make_distilbert(folder, checkpoint()),
        MINILM: make_minilm,
        MODEL2VEC: make_model2vec,
    }
    for name in names:
        if not _is_made(root / name, name, distilbert):
            say(f"making {name} in {root / name}, once")
            _make_whole(root / name, makers[name], say)


def _is_made(folder: Path, name: str, distilbert: str | None) -> bool:
    if name != DISTILBERT or not folder.is_dir():
        return folder.is_dir()
    return bool(read_head(folder.parent)["source"] == (distilbert or UNTRAINED))


def _make_whole(folder: Path, make: Callable[[Path], None], say: Callable[[str], None]) -> None:
    """``folder`` by ``make``, all of it or none."""
    logging.disable(logging.WARNING)  # exporters and distillers talk
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        make(partial)
    except ImportError as error:
        shutil.rmtree(partial)
        say(f"not made: {error}")
        return
    finally:
        logging.disable(logging.NOTSET)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _sample() -> tuple[Tensor, Tensor]:
    token_ids = torch.ones(2, 8, dtype=torch.int64)
    return token_ids, torch.ones_like(token_ids)
