"""Several processes on one global batch, as ``torchrun`` or ``accelerate launch`` starts them; one needs neither.

Every process holds the whole model and takes its share of each batch. A loss is a sum over the share divided by the
count of the global batch, so that the sum of all gradients is the gradient of one process with the whole batch. Dense
gradients are summed in place. Of the tables' sparse gradients the rows and values are gathered and added up by row:
all processes then take the same step, and lazy Adam moves the same rows in each of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch import distributed as dist


@dataclass(frozen=True)
class Processes:
    """This process among ``count``, and the device that it works on."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the one process that writes."""
        return self.rank == 0

    def share(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process's part of the global batch ``rows`` [B]; ``ValueError`` where a process would have none."""
        if len(rows) < self.count:
            raise ValueError(f"expected at least one row for each of {self.count} processes, found {len(rows)}")
        return np.array_split(rows, self.count)[self.rank]

    def sum(self, values: Tensor) -> Tensor:
        """``values`` added up over all processes, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.count > 1:
            dist.barrier()

    def sum_gradients(self, model: nn.Module) -> None:
        """Add up the gradients of ``model`` over all processes, each of which has run its backward pass."""
        if self.count == 1:
            return
        for parameter in model.parameters():
            if parameter.grad is not None:
                is_sparse = parameter.grad.layout == torch.sparse_coo
                parameter.grad = self._sum_rows(parameter.grad) if is_sparse else self.sum(parameter.grad)

    def _sum_rows(self, grad: Tensor) -> Tensor:
        grad = grad.coalesce()
        rows, values = grad.indices()[0], grad.values()
        counts = [int(count) for count in self._gather(torch.tensor([len(rows)], device=rows.device))]
        # A collective needs one length: the rest of the longest is sent as zeros and cut off again.
        padding = max(counts) - len(rows)
        all_rows = self._gather(torch.cat([rows, rows.new_zeros(padding)]))
        all_values = self._gather(torch.cat([values, values.new_zeros(padding, *values.shape[1:])]))
        rows, values = (
            torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])
            for parts in (all_rows, all_values)
        )
        return torch.sparse_coo_tensor(rows[None], values, grad.shape, check_invariants=False).coalesce()

    def _gather(self, tensor: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(tensor) for _ in range(self.count)]
        dist.all_gather(parts, tensor.contiguous())
        return parts


@contextmanager
def processes() -> Iterator[Processes]:
    """The process group that the environment describes; a single process where it describes none."""
    count, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", local) if on_gpu else torch.device("cpu")
    if count == 1:
        yield Processes(device=device)
        return
    if on_gpu:
        torch.cuda.set_device(device)
    # One process may judge all rows of a task by a slow teacher while the others wait.
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(days=1))
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()
