"""Small DistilBERT baselines with random weights: the real files, graph and tokenizer, in seconds."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from cmow.service.model.baseline import Task
from export.work.baseline import Checkpoint, pair_tokenizer, save_baseline
from tests.tiny_bundle import make_tokenizer

LABELS = {"entailment": ["contradiction", "entailment", "neutral"], "similarity": ["similarity"], None: ["a", "b", "c"]}


def tiny_tokenizer(folder: Path) -> Tokenizer:
    """The tiny bundle's words, in pairs as BERT has them."""
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens(["[CLS]", "[SEP]"])
    tokenizer.no_padding()
    tokenizer.no_truncation()
    path = folder / "words.json"
    tokenizer.save(str(path))
    return pair_tokenizer(path)


def tiny_model(labels: list[str]) -> DistilBertForSequenceClassification:
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=200, dim=32, hidden_dim=64, n_layers=1, n_heads=2, id2label=dict(enumerate(labels))
    )
    return DistilBertForSequenceClassification(config).eval()


def make_tiny_baseline(folder: Path, name: str, task: Task | None) -> DistilBertForSequenceClassification:
    """Write the baseline ``name`` below the new folder ``folder``; the model in it, for a test to run itself."""
    folder.mkdir(parents=True, exist_ok=True)
    model = tiny_model(LABELS[task])
    checkpoint = Checkpoint(model, tiny_tokenizer(folder), "random weights", task, LABELS[task] if task else [])
    save_baseline(checkpoint, name, folder / name)
    return model
