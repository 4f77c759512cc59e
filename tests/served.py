"""How the tests open an engine, and the limits that they serve under: small enough to be reached."""

from __future__ import annotations

from typing import Any

import pytest

from service import native
from service.engine import Engine, EngineOptions
from tests.tiny_bundle import TinyBundle

MAX_PAIRS, MAX_CHARS, MAX_BYTES = 8, 2000, 30_000


def open_engine(tiny_bundle: TinyBundle, kernel: str, **options: Any) -> Engine:
    """An engine that surely runs on ``kernel``; skips the test where the install has no native library."""
    if kernel == "fused" and native.library_path() is None:
        pytest.skip("the native library is not installed")
    with pytest.MonkeyPatch.context() as patch:
        if kernel == "portable":
            patch.setattr(native, "library_path", lambda: None)
        engine = Engine(tiny_bundle.load(), EngineOptions(threads=2, **options))
    assert engine.kernel.name.startswith(kernel)
    return engine
