from __future__ import annotations

import importlib.machinery
import shutil
from pathlib import Path

import pytest

from service import native


def test_the_library_is_installed() -> None:
    """An install on a machine with a compiler has the library; without this test its absence would only skip others."""
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("no C++ compiler")
    library = native.library_path()
    assert library is not None
    assert native.kernel_isa(library) in {"avx512", "avx2", "portable"}
    assert native.wordpiece_path() is not None


def test_the_first_folder_with_the_library_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / name for name in ("empty", "first", "second")]
    for folder in folders:
        folder.mkdir()
    for folder in folders[1:]:
        (folder / native.LIBRARY).touch()
    spec = importlib.machinery.ModuleSpec(native.PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(folder) for folder in folders]
    monkeypatch.setattr(native, "find_spec", lambda _: spec)
    assert native.library_path() == folders[1] / native.LIBRARY


def test_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "find_spec", lambda _: None)
    assert native.library_path() is None


def test_not_a_library(tmp_path: Path) -> None:
    (tmp_path / native.LIBRARY).write_bytes(b"text")
    with pytest.raises(OSError, match=native.LIBRARY):
        native.kernel_isa(tmp_path / native.LIBRARY)
