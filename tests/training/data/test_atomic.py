"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data.atomic import make_folder, replace_bytes, replacing
from training.errors import OutputError


def test_a_file_is_replaced_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "model"
    replace_bytes(path, b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    with pytest.raises(KeyboardInterrupt), replacing(path):
        raise KeyboardInterrupt
    assert path.read_bytes() == b"new"


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/below: expected a folder to write to: Not a directory"):
        make_folder(tmp_path / "file/below")
    with pytest.raises(OutputError, match=r"none/model: expected to write this file: No such file or directory"):
        replace_bytes(tmp_path / "none/model", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=r"folder: expected to write this file: Is a directory"):
        replace_bytes(tmp_path / "folder", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_full_disk_is_named_and_keeps_the_old_file(tmp_path: Path, file_limit: int) -> None:
    replace_bytes(tmp_path / "model", b"old")
    with pytest.raises(OutputError, match=r"model: expected to write this file: File too large"):
        replace_bytes(tmp_path / "model", bytes(file_limit + 1))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("model", b"old")]
