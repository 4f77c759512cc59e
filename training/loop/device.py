"""Where a training stage computes, chosen in one place for all of them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.errors import TrainingError
from training.options import Device


class DeviceError(TrainingError, RuntimeError):
    """The device that was asked for is not there."""


def choose_device(asked: Device, index: int = 0) -> torch.device:
    """The device ``asked`` for, of several GPUs number ``index``; ``DeviceError`` where there is none such."""
    found = torch.cuda.device_count() if asked != "cpu" and torch.cuda.is_available() else 0
    if asked == "cpu" or (asked == "auto" and found == 0):
        return torch.device("cpu")
    if index >= found:
        raise DeviceError(f"--device {asked}: expected GPU {index}, PyTorch {torch.__version__} finds {found} GPUs")
    return torch.device("cuda", index)


def mixed_precision(device: torch.device) -> AbstractContextManager[None]:
    """Products in bfloat16 where ``device`` has instructions for them, and as they are where it would imitate them."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


def has_bfloat16(device: torch.device) -> bool:
    """Whether products of bfloat16 are faster on ``device`` than those of float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # PyTorch has no public question for it.
    return bool(torch.cpu._is_avx512_bf16_supported())


def free_memory(device: torch.device) -> int:
    """Bytes that the GPU ``device`` has left."""
    return int(torch.cuda.mem_get_info(device)[0])


def sent(values: NDArray[Any], device: torch.device) -> Tensor:
    """``values`` on ``device``; nothing waits for the copy to a GPU but what uses it there."""
    tensor = torch.from_numpy(values)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


class Fetched:
    """``values`` on their way back from their device; nothing waits before ``wait`` is called."""

    def __init__(self, values: Tensor) -> None:
        self._values, self._arrived = values, None
        if values.device.type == "cuda":
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record(torch.cuda.current_stream(values.device))

    def wait(self) -> NDArray[Any]:
        """The values, as soon as they are here."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return np.asarray(self._values.numpy())
