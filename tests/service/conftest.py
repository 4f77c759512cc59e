from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from service import native
from service.app import create_app
from service.engine import Engine, EngineOptions
from service.settings import Settings
from tests.tiny_bundle import TinyBundle

MAX_PAIRS, MAX_CHARS, MAX_BYTES = 8, 2000, 30_000


def open_engine(tiny_bundle: TinyBundle, kernel: str, **options: int) -> Engine:
    """An engine that surely runs on ``kernel``; skips the test where the install has no native library."""
    if kernel == "fused" and native.library_path() is None:
        pytest.skip("the native library is not installed")
    with pytest.MonkeyPatch.context() as patch:
        if kernel == "portable":
            patch.setattr(native, "library_path", lambda: None)
        engine = Engine(tiny_bundle.load(), EngineOptions(threads=2, **options))
    assert engine.kernel.name.startswith(kernel)
    return engine


@pytest.fixture(scope="session", params=["fused", "portable"])
def engine(request: pytest.FixtureRequest, tiny_bundle: TinyBundle) -> Engine:
    """The tiny bundle on each kernel."""
    return open_engine(tiny_bundle, request.param)


@pytest.fixture(scope="session")
def settings(tiny_bundle: TinyBundle) -> Settings:
    """Limits small enough to be reached."""
    return Settings(
        bundle=tiny_bundle.path, max_pairs=MAX_PAIRS, max_text_chars=MAX_CHARS, max_body_bytes=MAX_BYTES, threads=2
    )


@pytest.fixture(scope="session")
def client(settings: Settings, engine: Engine) -> Iterator[TestClient]:
    """The application on each kernel; an error inside it comes back as the reply that a client would get."""
    with TestClient(create_app(settings, engine), raise_server_exceptions=False) as client:
        yield client
