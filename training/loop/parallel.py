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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch import distributed as dist

from training.loop.device import DeviceError, choose_device
from training.options import Device


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

    def agree(self, number: int) -> int:
        """The largest ``number`` of any process, the same in all of them."""
        if self.count == 1:
            return number
        numbers = torch.tensor([number], device=self.device)
        dist.all_reduce(numbers, dist.ReduceOp.MAX)
        return int(numbers)

    def join(self, own: Tensor) -> Tensor:
        """The rows [B, ...] of all processes from the ``own`` [R, ...] of each, in the order of ``share``.

        A gradient comes back from every process: it is that of the sum of their losses.
        """
        if self.count == 1:
            return own
        joined: Tensor = _Join.apply(self, own)  # type: ignore[no-untyped-call]
        return joined

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
        rows, values = (torch.cat(self._parts(tensor)) for tensor in (rows, values))
        return torch.sparse_coo_tensor(rows[None], values, grad.shape, check_invariants=False).coalesce()

    def _parts(self, own: Tensor) -> list[Tensor]:
        """``own`` [R, ...] of every process, each of its own length."""
        counts = [int(count) for count in self._gather(torch.tensor([len(own)], device=own.device))]
        # A collective needs one length: the rest of the longest is sent as zeros and cut off again.
        padding = own.new_zeros(max(counts) - len(own), *own.shape[1:])
        return [part[:count] for part, count in zip(self._gather(torch.cat([own, padding])), counts, strict=True)]

    def _gather(self, tensor: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(tensor) for _ in range(self.count)]
        dist.all_gather(parts, tensor.contiguous())
        return parts


class _Join(torch.autograd.Function):
    """See ``Processes.join``."""

    @staticmethod
    def forward(ctx: Any, world: Processes, own: Tensor) -> Tensor:
        parts = world._parts(own)
        ctx.world, ctx.lengths = world, [len(part) for part in parts]
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        return None, ctx.world.sum(grad.contiguous()).split(ctx.lengths)[ctx.world.rank]


def one_process(device: Device) -> Processes:
    """This process alone, for a stage that knows no others; ``DeviceError`` where ``torchrun`` started several."""
    if (count := _count()) > 1:
        raise DeviceError(f"expected one process, found {count}: this stage does not share its batches")
    return Processes(device=choose_device(device))


@contextmanager
def processes(asked: Device) -> Iterator[Processes]:
    """The process group that the environment describes; a single process where it describes none.

    Raises ``DeviceError`` where the device ``asked`` for is not there.
    """
    device = choose_device(asked, int(os.environ.get("LOCAL_RANK", "0")))
    if _count() == 1:
        yield Processes(device=device)
        return
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    # One process may judge all rows of a task by a slow teacher while the others wait.
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(days=1))
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()


def _count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))
