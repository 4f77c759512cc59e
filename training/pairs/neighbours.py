"""Nearest sentences by the cosine of embeddings: of a sentence teacher, or of a student as it is served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cmow import Model
from training.loop.device import sent
from training.teachers.cache import TeacherCache

SCORES = 1 << 28  # cosines computed at once, at most


def normal(text: str) -> str:
    """``text`` with its white space as a list of sentences has it."""
    return " ".join(text.split())


class Neighbours:
    """The ``sentences`` that may be found; ``embed`` gives unit-length embeddings float32 [B, m] of B of them."""

    def __init__(
        self,
        sentences: Sequence[str],
        embed: Callable[[Sequence[str]], NDArray[Any]],
        device: torch.device | str = "cpu",
    ) -> None:
        self.rows = {text: row for row, text in enumerate(sentences)}
        self.embed, self.device = embed, torch.device(device)

    @staticmethod
    def of_cache(cache: TeacherCache, device: torch.device | str = "cpu") -> Neighbours:
        """By the embeddings that training.teacher has kept."""

        def embed(texts: Sequence[str]) -> NDArray[Any]:
            rows = np.array([found.rows[text] for text in texts], np.int64)
            order = rows.argsort()  # the file is read front to back
            result = np.empty((len(rows), cache.targets.shape[1]), np.float32)
            result[order] = cache.targets[rows[order]]
            return result

        found = Neighbours(cache.sentences[: cache.done], embed, device)
        return found

    @staticmethod
    def of_model(model: Model, sentences: Sequence[str], device: torch.device | str = "cpu") -> Neighbours:
        """By the similarity vectors of ``model``: what it takes for near and should not is found this way."""
        return Neighbours(sentences, lambda texts: model.embed(list(texts), truncate=True), device)

    def known(self, texts: Sequence[str]) -> list[str]:
        """Those of ``texts`` that may be found, each once."""
        return [text for text in dict.fromkeys(map(normal, texts)) if text in self.rows]

    def nearest(self, queries: Sequence[str], pool: Sequence[str], count: int, block: int = 2048) -> list[list[str]]:
        """For each query the ``count`` nearest other sentences of ``pool``, nearest first."""
        targets, table = sent(self.embed(pool), self.device), self.embed(queries)
        block = min(block, max(1, SCORES // len(pool)))
        found: list[list[str]] = []
        for start in range(0, len(queries), block):
            scores = sent(table[start : start + block], self.device) @ targets.T
            best = scores.topk(min(count + 1, len(pool)), dim=1).indices.tolist()
            for query, row in zip(queries[start : start + block], best, strict=True):
                found.append([pool[index] for index in row if pool[index] != query][:count])
        return found
