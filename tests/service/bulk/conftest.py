from __future__ import annotations

import pytest

from cmow.service.bulk import cli
from tests.command import Command, on_tiny_bundle
from tests.tiny_bundle import TinyBundle

Score = Command


@pytest.fixture
def score(tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch) -> Score:
    """Runs ``cmow-score``."""
    return on_tiny_bundle(cli.main, tiny_bundle, monkeypatch)
