"""Commands over files, run in this process on the tiny bundle."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from cmow.service.options.settings import Settings
from tests.tiny_bundle import TinyBundle

Command = Callable[..., int]


def on_tiny_bundle(
    main: Callable[[Sequence[str]], NoReturn], tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Runs ``main`` with arguments, on the tiny bundle; gives the exit status."""
    for name in ("HOST", "PORT", *(f"CMOW_{name.upper()}" for name in Settings.model_fields)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CMOW_BUNDLE", str(tiny_bundle.path))
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))  # the thread pool's size is set there

    def run(*arguments: str | Path) -> int:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run
