from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from cmow.service.model.engine import Engine
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.served import MAX_BYTES, MAX_CHARS, MAX_PAIRS, open_engine
from tests.tiny_bundle import TinyBundle


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
