"""The work of ``export.baseline``.

``--source`` is a DistilBERT for sequence classification: with the three NLI classes it is compared on entailment, with
one output on similarity. Where the checkpoint has no trained head, the baseline has no scores and says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import tokenizers
import torch
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers import AutoTokenizer, DistilBertConfig, DistilBertForSequenceClassification

from cmow.service.model.baseline import FILES, MODELS, TOKENIZER, BaselineManifest, Task, write_manifest
from cmow.service.model.bundle import LABELS, file_entry
from export.baseline import BaselineConfig
from export.distilbert import quantised_products, save_int8, save_model
from training.errors import TrainingError

UNTRAINED = "distilbert-untrained"


@dataclass(frozen=True)
class Checkpoint:
    """A model with its tokenizer; ``task`` is ``None`` where the head is not trained."""

    model: DistilBertForSequenceClassification
    tokenizer: tokenizers.Tokenizer
    source: str
    task: Task | None
    labels: list[str]


class Logits(nn.Module):
    """A classifier from token ids to logits alone."""

    def __init__(self, model: DistilBertForSequenceClassification) -> None:
        super().__init__()
        self.model = model.eval()

    def forward(self, token_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """``token_ids`` and ``attention_mask`` int64 [B, L] to logits float32 [B, C]."""
        logits: Tensor = self.model(token_ids, attention_mask).logits
        return logits


def untrained(tokenizer_path: Path) -> Checkpoint:
    """DistilBERT's own sizes with random weights, reading what the student reads."""
    torch.manual_seed(0)
    config = DistilBertConfig(id2label=dict(enumerate(sorted(LABELS))))
    tokenizer = pair_tokenizer(tokenizer_path)
    if tokenizer.get_vocab_size() > config.vocab_size:
        raise TrainingError(f"{tokenizer_path}: expected at most {config.vocab_size} tokens")
    return Checkpoint(DistilBertForSequenceClassification(config), tokenizer, "random weights", None, [])


def pair_tokenizer(path: Path) -> tokenizers.Tokenizer:
    """The WordPiece in ``path``, joining pairs as BERT does; its vocabulary must have ``[CLS]`` and ``[SEP]``."""
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    marks = [(mark, tokenizer.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
    if any(row is None for _, row in marks):
        raise TrainingError(f"{path}: expected [CLS] and [SEP] in the vocabulary")
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks
    )
    return tokenizer


def pretrained(source: str) -> Checkpoint:
    """The checkpoint ``source``, a local folder or a hub name."""
    loaded = DistilBertForSequenceClassification.from_pretrained(source, output_loading_info=True)
    model, info = cast(tuple[DistilBertForSequenceClassification, dict[str, Any]], loaded)
    tokenizer = AutoTokenizer.from_pretrained(source).backend_tokenizer
    if info["missing_keys"]:
        return Checkpoint(model, tokenizer, source, None, [])
    labels = [label.lower() for _, label in sorted(cast(dict[int, str], model.config.id2label).items())]
    if len(labels) == 1:
        return Checkpoint(model, tokenizer, source, "similarity", labels)
    if sorted(labels) != sorted(LABELS):
        raise TrainingError(f"{source}: expected one output or the labels {sorted(LABELS)}, found {labels}")
    return Checkpoint(model, tokenizer, source, "entailment", labels)


def save_baseline(checkpoint: Checkpoint, name: str, folder: Path) -> None:
    """Write the baseline ``name`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    token_ids = torch.ones(2, 8, dtype=torch.int64)
    sample = (token_ids, torch.ones_like(token_ids))
    float32, int8 = (folder / file for file in MODELS.values())
    save_model(Logits(checkpoint.model), float32, sample, ["logits"], dynamic=True)
    save_int8(float32, int8)
    if quantised_products(int8) == 0:
        raise RuntimeError(f"{int8}: expected int8 matrix products, found none")
    checkpoint.tokenizer.save(str(folder / TOKENIZER))
    manifest = BaselineManifest(
        name=name,
        source=checkpoint.source,
        trained=checkpoint.task is not None,
        task=checkpoint.task,
        labels=checkpoint.labels,
        parameters=sum(parameter.numel() for parameter in checkpoint.model.parameters()),
        max_tokens=checkpoint.model.config.max_position_embeddings,
        files={file: file_entry(folder / file) for file in FILES},
    )
    write_manifest(folder, manifest)


def main(config: BaselineConfig) -> None:
    """Export one baseline."""
    checkpoint = untrained(config.tokenizer) if config.source is None else pretrained(config.source)
    name = config.name or (UNTRAINED if config.source is None else config.source.strip("/"))
    folder = config.out / re.sub(r"[^A-Za-z0-9.-]+", "-", name)
    save_baseline(checkpoint, name, folder)
    print(f"{folder}: {name}, {checkpoint.task or 'no trained head: speed only'}")
