"""Where the native libraries are, their loading, and what the kernel library says of itself."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "cmow_native"  # a folder in site-packages without Python files
LIBRARY = "libhybrid_encode.so"
CUDA_LIBRARY = "libhybrid_encode_cuda.so"
CUDA_DRIVER = "libcuda.so.1"
WORDPIECE_LIBRARY = "libcmow_wordpiece.so"
ABI = 1  # the number in native_abi.cpp


def library_path() -> Path | None:
    """The installed kernel library, or ``None`` where the install had no C++ compiler."""
    return installed(LIBRARY)


def cuda_library_path() -> Path | None:
    """The installed library of CUDA kernels, or ``None`` where the install had no nvcc."""
    return installed(CUDA_LIBRARY)


def wordpiece_path() -> Path | None:
    """The installed tokeniser library, or ``None`` likewise."""
    return installed(WORDPIECE_LIBRARY)


def installed(library: str) -> Path | None:
    """Where the library of that file name is, or ``None``."""
    spec = find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    candidates = (Path(folder) / library for folder in folders or ())
    return next((path for path in candidates if path.is_file()), None)


def load(library: Path) -> ctypes.CDLL:
    """``library``, whose functions are those that this code calls.

    Raises ``OSError`` where it cannot be loaded, or was compiled for other code.
    """
    loaded = ctypes.CDLL(str(library))
    abi = getattr(loaded, "cmow_abi", None)  # libraries older than the number have none
    found = "none" if abi is None else abi()
    if found != ABI:
        raise OSError(
            f"{library} was compiled for another version of cmow: expected ABI {ABI}, found {found}; "
            "install cmow again: pip install --force-reinstall --no-deps ."
        )
    return loaded


def check_kernels(library: Path) -> None:
    """Raise ``OSError`` unless the kernel library, and the CUDA library that it opens beside itself, fit this code."""
    load(library)
    if (cuda := library.with_name(CUDA_LIBRARY)).is_file():
        load(cuda)


def kernel_isa(library: Path) -> str:
    """Instruction set that the kernels of ``library`` use here: ``avx512``, ``avx2`` or ``portable``.

    Raises what `load` raises.
    """
    function = load(library).cmow_kernel_isa
    function.restype = ctypes.c_char_p
    name: bytes | None = function()
    return name.decode() if name else "unknown"


class Faults:
    """What the CUDA kernels in ``library`` found wrong in their input."""

    def __init__(self, library: Path) -> None:
        self._take = load(library).cmow_cuda_take_fault
        self._take.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self._take.restype = None

    def take(self) -> str:
        """The last fault in the runs that are done, in words, or an empty string; asking again gives none."""
        text = ctypes.create_string_buffer(256)
        self._take(text, len(text))
        return text.value.decode()
