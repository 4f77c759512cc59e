"""A data folder and a teacher cache small enough to train on in a second."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedTokenizerFast

from cmow.service.model.bundle import Source
from tests.tiny_bundle import WORDS, make_tokenizer
from training.data.files import NLI_LABELS, NOT_ENTAILMENT, PARAPHRASE_LABELS
from training.data.recipe import Recipe
from training.loop.run import Run

T = TypeVar("T")

TARGET_DIM = 16


def sentences(count: int, seed: int) -> list[str]:
    """Sequences of 1 to 9 known words."""
    choose = random.Random(seed)
    return [" ".join(choose.choices(WORDS, k=choose.randint(1, 9))) for _ in range(count)]


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """Write one data file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def write_lines(path: Path, lines: list[str]) -> None:
    """Write one file of running text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)


def labelled(labels: tuple[str, ...], count: int, seed: int) -> list[dict[str, object]]:
    """Pairs with every label in turn."""
    texts = sentences(2 * count, seed)
    return [
        {"sentence1": texts[row], "sentence2": texts[row + count], "label": labels[row % len(labels)]}
        for row in range(count)
    ]


def scored(count: int, seed: int) -> list[dict[str, object]]:
    """Pairs with a score."""
    return [{**row, "score": number % 6} for number, row in enumerate(labelled(("",), count, seed))]


def write_data(folder: Path) -> Path:
    """One data set of each kind, two-way NLI included."""
    write_rows(folder / "nli/snli/train.jsonl.gz", labelled(NLI_LABELS, 30, 1))
    write_rows(folder / "nli/snli/dev.jsonl.gz", labelled(NLI_LABELS, 12, 2))
    write_rows(folder / "nli/rte/train.jsonl.gz", labelled((NLI_LABELS[0], NOT_ENTAILMENT), 8, 3))
    write_rows(folder / "nli/rte/dev.jsonl.gz", labelled((NLI_LABELS[0], NOT_ENTAILMENT), 8, 4))
    write_rows(folder / "nli/counterfactual/train.jsonl.gz", labelled(NLI_LABELS, 12, 10))
    write_rows(folder / "similarity/stsb/train.jsonl.gz", scored(12, 11))
    write_rows(folder / "similarity/stsb/dev.jsonl.gz", scored(12, 5))
    write_rows(folder / "paraphrase/qqp/train.jsonl.gz", labelled(PARAPHRASE_LABELS, 16, 12))
    write_rows(folder / "paraphrase/qqp/dev.jsonl.gz", labelled(PARAPHRASE_LABELS, 8, 13))
    write_rows(folder / "paraphrase/mrpc/train.jsonl.gz", labelled(PARAPHRASE_LABELS, 10, 6))
    write_rows(folder / "paraphrase/mrpc/dev.jsonl.gz", labelled(PARAPHRASE_LABELS, 10, 7))
    write_rows(folder / "single/cola/dev.jsonl.gz", [{"sentence1": "alone", "label": "acceptable"}])
    captions = sentences(60, 14)
    write_lines(folder / "text/captions.tsv.gz", ["\t".join(captions[row : row + 5]) for row in range(0, 60, 5)])
    write_lines(folder / "text/plain.txt.gz", sentences(40, 15))
    return folder


def write_teacher_cache(folder: Path, texts: list[str] | None = None) -> Path:
    """What training.teacher leaves, with random unit targets of ``texts``."""
    folder.mkdir(parents=True)
    texts = texts or sentences(64, 8)
    rows = len(texts)
    targets = np.random.default_rng(9).standard_normal((rows, TARGET_DIM))
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    (folder / "sentences.txt").write_text("".join(text + "\n" for text in texts))
    np.save(folder / "targets.npy", targets.astype(np.float16))
    (folder / "state.json").write_text(json.dumps({"identity": {}, "done": rows}))
    make_tokenizer().save(str(folder / "tokenizer.json"))
    Recipe().then("teach", [Source(name="text", licence="none", reference="made up")]).write(folder)
    return folder


def write_bert(folder: Path) -> Path:
    """A BERT with two small layers and random weights, with its tokeniser."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=make_tokenizer().get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=make_tokenizer(), pad_token="[PAD]").save_pretrained(folder)
    return folder


def write_masked_lm(folder: Path) -> Path:
    """A BERT with a masked-language-model head and random weights; its tokeniser knows [CLS], [SEP] and [MASK]."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens(["[CLS]", "[SEP]", "[MASK]"])
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    marks = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
    return folder


def metrics(folder: Path) -> list[dict[str, float]]:
    """What a run has logged."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def killed_and_resumed(run: Callable[[], T], saves: int) -> T:
    """What ``run`` gives when it goes on after it was killed at its checkpoint number ``saves``, from 1."""
    with pytest.MonkeyPatch.context() as patch:
        kill_at_save(saves, patch)
        with pytest.raises(KeyboardInterrupt):
            run()
    return run()


def kill_at_save(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the run die right after its checkpoint ``number``."""
    whole, saves = Run.save, iter(range(1, 100))

    def save(*arguments: object) -> None:
        whole(*arguments)  # type: ignore[arg-type]
        if next(saves) == number:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", save)


def run_in_two_processes(module: str, config: Any) -> None:
    """``python -m module`` by torchrun, a thread each, with the options of ``config``."""
    given = {field.name: getattr(config, field.name) for field in fields(config)}
    words = [word for name, value in given.items() if value not in (None, "") for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", module]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *words], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def assert_close(expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """The same weights but for sums in another order, whose rounding Adam scales up where a gradient is near zero."""
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=0, atol=2e-4, msg=name)
