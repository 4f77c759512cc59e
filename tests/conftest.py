"""What all tests share."""

from __future__ import annotations

import pytest

from tests.tiny_bundle import TinyBundle, make_tiny_bundle


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> TinyBundle:
    """A bundle with random weights and float32 tables; read it, never write to it."""
    return make_tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")
