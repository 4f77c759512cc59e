from __future__ import annotations

import pytest

from cmow.service.dedupe import cli
from tests.command import Command, on_tiny_bundle
from tests.tiny_bundle import TinyBundle

Dedupe = Command


@pytest.fixture
def dedupe(tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch) -> Dedupe:
    """Runs ``cmow-dedupe``."""
    return on_tiny_bundle(cli.main, tiny_bundle, monkeypatch)
