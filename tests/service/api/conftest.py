from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from cmow.service.model.engine import Engine, EngineOptions
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.tiny_bundle import TinyBundle


@pytest.fixture(scope="package")
def engine(tiny_bundle: TinyBundle) -> Engine:
    """On the kernel that the install has: what is tried here lies before it."""
    return Engine(tiny_bundle.load(), EngineOptions(threads=2))


@pytest.fixture(scope="package")
def client(settings: Settings, engine: Engine) -> Iterator[TestClient]:
    """The application; an error inside it comes back as the reply that a client would get."""
    with TestClient(create_app(settings, engine), raise_server_exceptions=False) as client:
        yield client
