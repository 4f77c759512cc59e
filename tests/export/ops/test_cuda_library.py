"""The library of CUDA kernels as far as it can be tested without a GPU: it is built, loads, and registers."""

from __future__ import annotations

import ctypes
import shutil
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_size_t, c_void_p
from pathlib import Path

import numpy as np
import pytest

from cmow.service.machine.native import CUDA_DRIVER, Faults, cuda_library_path
from export.ops.hybrid_reference import hybrid_encode
from tests.export.ops.test_hybrid_encode import assert_close, make_batch, make_tables, run_kernel

CUDA_LIBRARY = cuda_library_path()
NAME, PROVIDER, INPUT_COUNT = 2, 3, 5  # places in OrtCustomOp
needs_library = pytest.mark.skipif(CUDA_LIBRARY is None, reason="no CUDA library: cmow was installed without nvcc")


def has_driver() -> bool:
    try:
        ctypes.CDLL(CUDA_DRIVER)
    except OSError:
        return False
    return True


def test_the_library_is_installed() -> None:
    """Where nvcc is, an install has the library; without this test its absence would only skip others."""
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc")
    assert CUDA_LIBRARY is not None


@needs_library
@pytest.mark.parametrize(("index", "name", "inputs"), [(0, b"HybridEncode", 6), (1, b"EncodePairs", 15)])
def test_it_offers_the_ops_for_cuda(index: int, name: bytes, inputs: int) -> None:
    library = ctypes.CDLL(str(CUDA_LIBRARY))
    library.cmow_cuda_op.restype = POINTER(c_void_p)
    library.cmow_cuda_op.argtypes = [c_size_t]
    op = library.cmow_cuda_op(index)
    assert CFUNCTYPE(c_char_p, c_void_p)(op[NAME])(op) == name
    assert CFUNCTYPE(c_char_p, c_void_p)(op[PROVIDER])(op) == b"CUDAExecutionProvider"
    assert CFUNCTYPE(c_size_t, c_void_p)(op[INPUT_COUNT])(op) == inputs
    assert not library.cmow_cuda_op(2)


@needs_library
def test_a_cpu_session_registers_it_and_stays_right() -> None:
    inputs = {**make_batch([2, 3, 300]), **make_tables("int8", 20, 400)}
    assert_close(run_kernel(inputs), hybrid_encode(**inputs))
    assert str(CUDA_LIBRARY) in Path("/proc/self/maps").read_text()


@needs_library
@pytest.mark.skipif(has_driver(), reason="there is an NVIDIA driver")
def test_without_a_driver_it_says_so() -> None:
    assert CUDA_LIBRARY is not None
    assert Faults(CUDA_LIBRARY).take().startswith("CUDA: ")
    library = ctypes.CDLL(str(CUDA_LIBRARY))
    buffer = ctypes.create_string_buffer(b"x" * 8, 8)
    library.cmow_cuda_take_fault(buffer, c_size_t(5))
    assert buffer.raw == b"CUDA\0xxx"
    library.cmow_cuda_take_fault(buffer, c_size_t(0))
    assert buffer.raw == b"CUDA\0xxx"


@needs_library
def test_on_a_gpu_the_kernels_are_right() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    from loadtest.gpu.kernel import Kernels, check

    assert CUDA_LIBRARY is not None
    errors = check(Kernels(CUDA_LIBRARY))
    assert all(np.isfinite(error) for error in errors.values())
