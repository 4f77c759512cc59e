from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cmow.service.bulk import cli
from cmow.service.options.settings import Settings
from tests.tiny_bundle import TinyBundle

Score = Callable[..., int]


@pytest.fixture
def score(tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch) -> Score:
    """Runs ``cmow-score`` in this process, on the tiny bundle; gives the exit status."""
    for name in ("HOST", "PORT", *(f"CMOW_{name.upper()}" for name in Settings.model_fields)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CMOW_BUNDLE", str(tiny_bundle.path))
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))  # the thread pool's size is set there

    def run(*arguments: str | Path) -> int:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run
