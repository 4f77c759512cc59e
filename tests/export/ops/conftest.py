"""What the tests of the ops share."""

from __future__ import annotations

import os

import pytest

from cmow.service.machine.native import kernel_isa, library_path


def supported_isas() -> list[str]:
    """The instruction sets that the library and this machine share."""
    previous = os.environ.get("CMOW_ISA")
    found: list[str] = []
    library = library_path()
    for name in ("avx512", "avx2", "portable"):
        os.environ["CMOW_ISA"] = name
        if library is not None and kernel_isa(library) == name:
            found.append(name)
    os.environ.pop("CMOW_ISA")
    if previous is not None:
        os.environ["CMOW_ISA"] = previous
    return found or ["portable"]


@pytest.fixture(params=supported_isas())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Sessions made in the test use this instruction set."""
    monkeypatch.setenv("CMOW_ISA", request.param)
    return str(request.param)
