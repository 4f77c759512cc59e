"""Where the native libraries lie, and what the kernel library says of itself."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "cmow_native"  # a folder in site-packages without Python files
LIBRARY = "libhybrid_encode.so"
WORDPIECE_LIBRARY = "libcmow_wordpiece.so"


def library_path() -> Path | None:
    """The installed kernel library, or ``None`` where the install had no C++ compiler."""
    return _installed(LIBRARY)


def wordpiece_path() -> Path | None:
    """The installed tokeniser library, or ``None`` likewise."""
    return _installed(WORDPIECE_LIBRARY)


def kernel_isa(library: Path) -> str:
    """Instruction set that the kernels of ``library`` use here: ``avx512``, ``avx2`` or ``portable``.

    Raises ``OSError`` where the library cannot be loaded, ``AttributeError`` where it lacks the function.
    """
    function = ctypes.CDLL(str(library)).cmow_kernel_isa
    function.restype = ctypes.c_char_p
    name: bytes | None = function()
    return name.decode() if name else "unknown"


def _installed(library: str) -> Path | None:
    spec = find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    candidates = (Path(folder) / library for folder in folders or ())
    return next((path for path in candidates if path.is_file()), None)
