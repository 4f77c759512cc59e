"""Where a training stage computes, chosen in one place for all of them."""

from __future__ import annotations

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
