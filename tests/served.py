"""How the tests open an engine, and the limits that they serve under: small enough to be reached."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp

from cmow.service.machine import native
from cmow.service.model.engine import Engine, EngineOptions
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


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """The address of a server that really runs ``app``, on a free port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None, ws="none"))
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)
