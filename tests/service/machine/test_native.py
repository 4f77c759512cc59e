from __future__ import annotations

import importlib.machinery
import re
import shutil
from pathlib import Path

import pytest

from cmow.service.machine import native
from tests.stale_library import compile_stale

SOURCES = Path(native.__file__).parent


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


def test_the_number_is_the_same_on_both_sides() -> None:
    (number,) = re.findall(r"cmow_abi\(\) { return (\d+); }", (SOURCES / "native_abi.cpp").read_text())
    assert int(number) == native.ABI


@pytest.mark.parametrize("name", [native.LIBRARY, native.CUDA_LIBRARY, native.WORDPIECE_LIBRARY, "libcmow_training.so"])
def test_what_is_installed_fits(name: str) -> None:
    library = native.installed(name)
    if library is None:
        pytest.skip(f"no {name} is installed")
    native.load(library)


@pytest.mark.parametrize("abi", [native.ABI + 1, native.ABI - 1, None])
def test_another_version(tmp_path: Path, abi: int | None) -> None:
    found = "none" if abi is None else abi
    library = compile_stale(tmp_path / "old.so", abi)
    says = rf"old\.so was compiled .*: expected ABI {native.ABI}, found {found}; .*: pip install --force-reinstall"
    with pytest.raises(OSError, match=says):
        native.load(library)


def test_another_version_of_the_cuda_library(tmp_path: Path) -> None:
    kernels = compile_stale(tmp_path / native.LIBRARY, native.ABI)
    native.check_kernels(kernels)
    compile_stale(tmp_path / native.CUDA_LIBRARY, native.ABI + 1)
    with pytest.raises(OSError, match=rf"{native.CUDA_LIBRARY} was compiled for another version"):
        native.check_kernels(kernels)
