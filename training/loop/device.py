"""Where a training stage computes, chosen in one place for all of them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch

from training.errors import TrainingError

Device = Literal["auto", "cpu", "cuda"]
DEVICE = {"help": "where to compute; auto takes a GPU where PyTorch finds one"}


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
