from __future__ import annotations

from collections.abc import Iterator

import pytest

from loadtest.processes import Running, serving
from tests.tiny_bundle import TinyBundle


@pytest.fixture(scope="session")
def server(tiny_bundle: TinyBundle) -> Iterator[Running]:
    """The service on the tiny bundle, as a process of its own."""
    with serving("service.cli", ["--bundle", str(tiny_bundle.path), "--max-queue-pairs", "16"]) as running:
        yield running
