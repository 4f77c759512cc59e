from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers

from cmow.service.machine import native
from cmow.service.model.bundle import TOKENIZER
from cmow.service.options.defaults import BUNDLE
from cmow.service.wordpiece.native import NativeWordPiece
from cmow.service.wordpiece.recipe import read_recipe


@pytest.fixture(scope="session")
def library() -> Path:
    """The installed native library."""
    path = native.wordpiece_path()
    if path is None:
        pytest.skip("the native library is not installed")
    return path


@pytest.fixture(scope="session")
def authority() -> tokenizers.Tokenizer:
    """bert-base-uncased's tokenizer, as bundled."""
    return tokenizers.Tokenizer.from_file(str(BUNDLE / TOKENIZER))


@pytest.fixture(scope="session")
def wordpiece(library: Path, authority: tokenizers.Tokenizer) -> NativeWordPiece:
    """The native form of the authority."""
    return NativeWordPiece(library, read_recipe(authority))
