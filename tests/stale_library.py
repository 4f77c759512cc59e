"""Native libraries of another version, really compiled."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def compile_stale(path: Path, abi: int | None) -> Path:
    """A library at ``path`` of that ABI number, or of the time before there was one; skips where nothing compiles."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        pytest.skip("no C compiler")
    function = "int cmow_kernel_isa(void) { return 0; }" if abi is None else f"int cmow_abi(void) {{ return {abi}; }}"
    command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(path)]
    subprocess.run(command, input=function, text=True, check=True)
    return path
