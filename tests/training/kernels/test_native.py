"""What the native training library says where it does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cmow.service.machine.native import ABI
from tests.stale_library import compile_stale
from training.errors import TrainingError
from training.kernels import native
from training.kernels.native import Tables


@pytest.fixture
def stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A library of another version in the place of the installed one."""
    library = compile_stale(tmp_path / native.LIBRARY_NAME, ABI + 1)
    monkeypatch.setattr(native, "installed", lambda _: library)
    native._library.cache_clear()
    yield library
    native._library.cache_clear()


def test_a_library_of_another_version_is_not_called(stale: Path) -> None:
    tables = Tables(torch.zeros(2, 3), torch.zeros(2, 2, 2), torch.zeros(2, 2, 2))
    with pytest.raises(TrainingError, match=f"{stale} was compiled .*: expected ABI {ABI}, found {ABI + 1}"):
        native.forward(torch.tensor([0]), torch.tensor([0, 1]), tables, per_token=False, threads=1)
