"""Rows of tokens through a model in blocks: sorted by length, sent at once, answered in one piece.

A block's rows go in batches of exactly one length, so that nothing is padded and no row's result depends on another.
While a device computes one block, a thread prepares the next, and nothing waits for a copy. What is special about a
GPU is in ``training.loop.device``.

Letters: P rows, N tokens, L tokens of a row.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.errors import TeacherError
from training.loop.device import Fetched, free_memory, sent

Out = TypeVar("Out")
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

CPU_TOKENS = 4096  # in one forward pass: more leave the caches of a CPU
GPU_TOKENS = 1 << 17  # keeps a large GPU busy with few launches; more bring nothing
FIRST_BLOCK = 512  # rows


def batch_tokens_on(device: torch.device, token_bytes: int) -> int:
    """How many tokens a forward pass should have on ``device`` where each takes ``token_bytes`` of its memory."""
    if device.type == "cpu":
        return CPU_TOKENS
    return max(CPU_TOKENS, min(GPU_TOKENS, free_memory(device) // 2 // token_bytes))


class Block(NamedTuple):
    """P rows by length: ``order`` int64 [P] says which, ``columns`` [N] hold their tokens one after another.

    ``shapes`` are (rows, L) of every batch.
    """

    order: Rows
    columns: tuple[NDArray[Any], ...]
    shapes: list[tuple[int, int]]


def blocks_of(rows: int, block: int) -> Iterator[Rows]:
    """``rows`` in order, ``block`` at a time, after a short one that tells how fast it goes."""
    cuts = [0, *range(min(block, FIRST_BLOCK), rows, block), rows]
    return (np.arange(start, stop) for start, stop in itertools.pairwise(cuts) if start < stop)


def length_batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Row numbers in groups of one length and at most ``batch_tokens`` tokens (but at least one row)."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for length, group in itertools.groupby(order, key=lengths.__getitem__):
        rows, size = list(group), max(1, batch_tokens // max(1, length))
        yield from (rows[start : start + size] for start in range(0, len(rows), size))


def sorted_block(lengths: Rows, batch_tokens: int, put_together: Callable[[Rows], tuple[NDArray[Any], ...]]) -> Block:
    """The block of rows with ``lengths`` [P]; ``put_together`` gives the columns of rows in the order asked for."""
    batches = list(length_batches(lengths.tolist(), batch_tokens))
    order = np.array([row for batch in batches for row in batch], np.int64)
    return Block(order, put_together(order), [(len(batch), int(lengths[batch[0]])) for batch in batches])


def started(model: Callable[..., Tensor], block: Block, width: int, device: torch.device) -> Fetched:
    """What ``model`` gives, float32 [P, width] in the order of ``block``, on its way back from ``device``."""
    columns = [sent(column, device) for column in block.columns]
    answers = torch.empty(len(block.order), width, device=device)
    row, token = len(block.order), len(block.columns[0])
    # The longest first: what does not fit into memory shows at once.
    for rows, length in reversed(block.shapes):
        row, token = row - rows, token - rows * length
        batch = [column[token : token + rows * length].view(rows, length).long() for column in columns]
        try:
            answers[row : row + rows] = model(*batch)
        except torch.OutOfMemoryError as error:
            message = f"{device}: expected memory for {rows * length} tokens at once: take a smaller --batch-tokens"
            raise TeacherError(message) from error
    return Fetched(answers)


def results(
    model: Callable[..., Tensor], blocks: Iterable[Callable[[], Block]], width: int, device: torch.device
) -> Iterator[Floats]:
    """What ``model`` gives, float32 [P, width], of each of ``blocks`` in turn, whose rows are in their own order.

    ``blocks`` are made in a thread. On a GPU the next one is on its way before the last one is waited for.
    """
    running: deque[tuple[Rows, Fetched]] = deque()
    most = 0 if device.type == "cpu" else 1
    for block in ahead(blocks):
        running.append((block.order, started(model, block, width, device)))
        while len(running) > most:
            yield in_own_order(*running.popleft())
    while running:
        yield in_own_order(*running.popleft())


def in_own_order(order: Rows, fetched: Fetched) -> Floats:
    """The rows of ``fetched`` [P, ...], of which row p belongs to ``order[p]``."""
    values = fetched.wait()
    result = np.empty_like(values)
    result[order] = values
    return result


def ahead(calls: Iterable[Callable[[], Out]], count: int = 2) -> Iterator[Out]:
    """What each of ``calls`` gives, in order; a thread runs up to ``count`` of them before they are asked for."""
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[Future[Out]] = deque()
        for call in calls:
            waiting.append(thread.submit(call))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
