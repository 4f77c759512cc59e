"""What a teacher says of a task's rows: a sequence classifier, or the pair teacher of training.pair_teacher.

Letters: P rows, C outputs of the task (classes, or one score).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from training.data.atomic import replacing
from training.data.files import NLI_LABELS, PARAPHRASE_LABELS
from training.data.identity import Identity
from training.errors import TeacherError
from training.paper.tasks import TWO_WAY, Examples, Task
from training.teachers.blocks import length_batches
from training.teachers.cross_encoder import NOTE, PairTeacher
from training.teachers.encoder import resolve_teacher

Array = NDArray[np.float32]


def teacher_outputs(name: str, task: Task, examples: Examples, device: torch.device, max_tokens: int) -> Array:
    """Logits, or scores from 0 to 1, float32 [P, C] of the teacher ``name``, a folder or a hub name."""
    if (Path(name) / NOTE).is_file():
        return _pair_teacher_outputs(name, task, examples, device)
    return SequenceTeacher(name, task, device, max_tokens).outputs(examples)


def _pair_teacher_outputs(name: str, task: Task, examples: Examples, device: torch.device) -> Array:
    if not task.is_pair:
        raise TeacherError(f"{name}: a teacher of pairs, expected one of single sentences for {task.folder}")
    teacher = PairTeacher.load(Path(name), device)
    judged = teacher.judge([(left, right) for left, right in examples.texts])
    if task.is_regression:
        return np.asarray(1 / (1 + np.exp(-judged.similarity[:, None])), np.float32)
    if task.labels == PARAPHRASE_LABELS:
        return np.column_stack([np.zeros_like(judged.paraphrase), judged.paraphrase])
    if task.labels == NLI_LABELS:
        return judged.entailment.astype(np.float32)
    otherwise = np.logaddexp(judged.entailment[:, 1], judged.entailment[:, 2])
    two_way = np.column_stack([judged.entailment[:, 0], otherwise])
    return two_way[:, [TWO_WAY.index(label) for label in task.labels]]


def save_outputs(path: Path, identity: Identity, outputs: Array) -> None:
    """Keep the ``outputs`` [P, C] that a teacher gave for what ``identity`` names in ``path``."""
    with replacing(path) as file:
        np.savez(file, outputs=outputs, identity=np.array(json.dumps(identity.record())))


def load_outputs(path: Path, identity: Identity, shape: tuple[int, int]) -> Array:
    """The outputs in ``path``; ``StaleError`` where they are of others, ``TeacherError`` where of another ``shape``."""
    try:
        with np.load(path) as kept:
            outputs, found = kept["outputs"], json.loads(str(kept["identity"]))
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise TeacherError(f"{path}: expected a teacher's outputs and what they are of: {error}") from error
    identity.check(Identity.parsed(found, path), path)
    if outputs.shape != shape:
        raise TeacherError(f"{path}: expected outputs {shape}, found {outputs.shape}")
    return np.asarray(outputs, np.float32)


class SequenceTeacher:
    """A transformers sequence classifier; its labels go by name where it names the task's, else by number."""

    def __init__(self, name: str, task: Task, device: torch.device, max_tokens: int) -> None:
        source = resolve_teacher(name)
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(source)
            model, found = AutoModelForSequenceClassification.from_pretrained(
                source, dtype=torch.float32, output_loading_info=True
            )
        except (OSError, ValueError, SafetensorError) as error:
            raise TeacherError(f"{name}: expected a sequence classifier's folder or hub name: {error}") from error
        if missing := sorted(found["missing_keys"]):
            raise TeacherError(f"{name}: expected all weights of a sequence classifier, found none for {missing}")
        if model.config.num_labels != task.outputs:
            raise TeacherError(
                f"{name}: expected {task.outputs} outputs for {task.folder}, found {model.config.num_labels}"
            )
        self.model, self.task, self.device, self.max_tokens = model.train(False).to(device), task, device, max_tokens
        names = [str(model.config.id2label[row]).lower() for row in range(task.outputs)]
        by_name = sorted(names) == sorted(task.labels)
        self.columns = [names.index(label) for label in task.labels] if by_name else list(range(task.outputs))

    @torch.inference_mode()
    def outputs(self, examples: Examples, batch_tokens: int = 4096) -> Array:
        """Logits, or scores from 0 to 1, float32 [P, C]."""
        columns = [list(column) for column in zip(*examples.texts, strict=True)]
        encoded = self.tokenizer(*columns, truncation="longest_first", max_length=self.max_tokens)
        ids = encoded["input_ids"]
        result = np.empty((len(examples), self.task.outputs), np.float32)
        for rows in length_batches([len(row) for row in ids], batch_tokens):
            inputs = {
                name: torch.tensor([values[row] for row in rows], device=self.device)
                for name, values in encoded.items()
            }
            result[rows] = self.model(**inputs).logits.float().cpu().numpy()
        if self.task.is_regression:
            return (result - self.task.low) / (self.task.high - self.task.low)
        return result[:, self.columns]
