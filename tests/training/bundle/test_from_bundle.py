"""The way back from a bundle: the encoder made of its tables says what the bundle says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine, with_itself
from cmow.service.options.defaults import BUNDLE
from tests.served import open_engine
from tests.tiny_bundle import TinyBundle, make_tiny_bundle
from training.bundle.from_bundle import encoder_from, read_projection, read_tables
from training.bundle.projection import RoundedStates

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


@pytest.mark.bundle
def test_the_trained_similarity() -> None:
    """Its cosines, from the tables and the projection read back; with states rounded as the head does, to the digit."""
    engine = Engine(load_bundle(BUNDLE))
    encoder, projection = encoder_from(engine.bundle), read_projection(engine.bundle)
    pairs = [("A dog bites a man.", "A man bites a dog."), (TEXTS[0], TEXTS[1]), (TEXTS[2], "there is rain")]
    packed = engine.tokenizer.encode([text for pair in pairs for text in pair])
    head = projection.head()
    with torch.no_grad():
        encoded = encoder(torch.from_numpy(packed.token_ids), torch.from_numpy(packed.cu_seqlens))
        states = projection.standardise(encoded)
        cosines, rounded = (
            vectors.view(-1, 2, vectors.shape[1]).prod(dim=1).sum(dim=1)
            for vectors in (head(states), head(RoundedStates.of(states).take(torch.arange(len(states)))))
        )
    expected = engine.answer("similarity", pairs)
    np.testing.assert_allclose(cosines, expected, rtol=0, atol=1.4e-3)
    np.testing.assert_allclose(rounded, expected, rtol=0, atol=1e-4)
