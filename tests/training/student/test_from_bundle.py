"""The way back from a bundle: the encoder made of its tables says what the bundle says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import with_itself
from cmow.service.options.defaults import BUNDLE
from tests.served import open_engine
from tests.tiny_bundle import TinyBundle, make_tiny_bundle
from training.student.from_bundle import encoder_from, read_tables

TEXTS = ["a dog", "the man is playing guitar", "it rains"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_states_are_the_bundles(tmp_path: Path, dtype: str) -> None:
    tiny = make_tiny_bundle(tmp_path / "bundle", table_dtype=dtype)  # type: ignore[arg-type]
    engine = open_engine(tiny, "portable")
    packed = engine.tokenizer.encode(TEXTS)
    expected = engine.score("states", packed, with_itself(len(TEXTS)))
    found = encoder_from(tiny.load())(torch.from_numpy(packed.token_ids), torch.from_numpy(packed.cu_seqlens))
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=2e-5)


def test_shapes(tiny_bundle: TinyBundle) -> None:
    dims, tables = tiny_bundle.load().manifest.dims, read_tables(tiny_bundle.load())
    assert tables.vectors.shape == (dims.vocab_size, dims.vector_dim)
    assert tables.forward_deltas.shape == tables.backward_deltas.shape
    assert tables.forward_deltas.shape == (dims.vocab_size, dims.matrix_dim, dims.matrix_dim)


@pytest.mark.bundle
def test_the_trained_model() -> None:
    """Its products of int8 tables too."""
    bundle = load_bundle(BUNDLE)
    encoder = encoder_from(bundle)
    assert encoder.vectors.shape == (30_522, 400)
    assert 0 < float(encoder.forward_deltas.detach().abs().mean()) < 1
