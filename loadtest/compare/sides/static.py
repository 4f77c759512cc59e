"""Static token embeddings: one vector a token, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from loadtest.compare.models import MODEL2VEC
from loadtest.compare.side import Context, Embed, Floats, Side, cosines


def open_model2vec(context: Context) -> Side:
    """model2vec's model, distilled from all-MiniLM-L6-v2."""
    from model2vec import StaticModel

    folder = context.models / MODEL2VEC
    model = StaticModel.from_pretrained(folder)

    def embed(texts: Sequence[str]) -> Floats:
        return np.asarray(model.encode(list(texts)), np.float32)

    return _static(sorted(folder.glob("*.safetensors")), embed)


def open_wordllama(context: Context) -> Side:
    """WordLlama with the weights in its wheel, 256 numbers."""
    import wordllama

    folder = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)

    def embed(texts: Sequence[str]) -> Floats:
        return np.asarray(model.embed(list(texts), norm=True), np.float32)

    return _static(sorted((folder / "weights").glob("*_256.safetensors")), embed)


def _static(files: Sequence[Path], embed: Embed) -> Side:
    return Side(files=files, embed=embed, similarity=partial(cosines, embed), trained=frozenset({"similarity"}))
