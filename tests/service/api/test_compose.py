"""Composing: the parts' states give what the joined text gives."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from starlette.testclient import TestClient

from cmow.service.errors import BundleError
from cmow.service.model.bundle import (
    ENCODER,
    PROJECTION,
    SIMILARITY,
    Bundle,
    file_entry,
    load_bundle,
    read_manifest,
    write_manifest,
)
from cmow.service.model.composer import Composer
from cmow.service.model.engine import Engine, EngineOptions
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.service.web.test_invalid_requests import check
from tests.tiny_bundle import TinyBundle

TOLERANCE = 2e-6
SENTENCE = "a man is not playing the guitar , somebody makes music and it rains on dog 42 !"
WORDS = SENTENCE.split()


def compose(client: TestClient, parts: list[Any], **options: Any) -> Any:
    reply = client.post("/embed/compose", json={"parts": parts, **options})
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("cuts", [[], [1], [9], [3, 4], [2, 5, 11], [1, 2, 3, 4, 5, 6, 7]])
def test_parts_give_the_whole(client: TestClient, engine: Engine, cuts: list[int]) -> None:
    parts = [" ".join(words) for words in np.split(np.array(WORDS), cuts)]
    whole = compose(client, parts)
    np.testing.assert_allclose(whole["embedding"], engine.embed([" ".join(WORDS)])[0], rtol=0, atol=TOLERANCE)
    assert whole["tokens"] == len(engine.tokenizer.encode([" ".join(WORDS)]).token_ids)
    assert whole["state"] is None


def test_states_stand_for_their_texts(client: TestClient) -> None:
    left, right = " ".join(WORDS[:6]), " ".join(WORDS[6:])
    state = compose(client, [left], return_state=True)["state"]
    for mixed in ([state, right], [left, right]):
        found = compose(client, mixed)
        assert found["tokens"] == compose(client, [left, right])["tokens"]
        np.testing.assert_allclose(found["embedding"], compose(client, [left, right])["embedding"], atol=TOLERANCE)
    other = compose(client, [right, state])["embedding"]
    assert np.abs(np.array(other) - compose(client, [left, right])["embedding"]).max() > 1e-3


def test_a_document_longer_than_any_limit(client: TestClient, tiny_bundle: TinyBundle, engine: Engine) -> None:
    """Three times the tokens that one text may have, piece by piece; the twin multiplies all of them in float64."""
    piece, pieces = " ".join(["a man", *["is not"] * 50, "dog"]), 8
    ids = engine.tokenizer.encode([piece]).token_ids.tolist()
    assert len(ids) * pieces > 3 * engine.bundle.manifest.max_tokens
    reply = compose(client, [piece], return_state=True)
    for _ in range(pieces - 1):
        reply = compose(client, [reply["state"], piece], return_state=True)
    assert reply["tokens"] == len(ids) * pieces
    state, expected = np.frombuffer(base64.b64decode(reply["state"]["values"]), "<f4"), tiny_bundle.encode(ids * pieces)
    assert np.linalg.norm(state - expected) / np.linalg.norm(expected) < 1e-5


@pytest.fixture(scope="module")
def state(client: TestClient) -> Any:
    return compose(client, ["a dog"], return_state=True)["state"]


def encoded(values: Any) -> str:
    return base64.b64encode(np.asarray(values, "<f4").tobytes()).decode()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": "0" * 16}, "got another's"),
        ({"values": "%%%"}, "expected base64"),
        ({"values": "日本"}, "expected base64"),
        ({"values": ""}, "expected 4800 bytes in base64, got 0"),
        ({"values": encoded(np.zeros(1199))}, "got 4796"),
        ({"values": encoded(np.full(1200, np.nan))}, "expected finite numbers"),
        ({"values": encoded(np.full(1200, 1e30))}, "expected finite numbers"),
        ({"values": encoded(np.zeros(1200))}, "expected two products of norm sqrt(20)"),
    ],
)
def test_foreign_states(client: TestClient, state: Any, change: Any, says: str) -> None:
    reply = client.post("/embed/compose", json={"parts": ["a", state | change]})
    assert says in check(reply, 422, "invalid_state", "parts[1]")


@pytest.mark.parametrize(
    ("parts", "kind", "param"),
    [
        ([], "empty_list", "parts"),
        (["a"] * 9, "too_many_texts", "parts"),
        (["a", " "], "empty_text", "parts[1]"),
        (["a", 1], "invalid_schema", "parts[1]"),
        (["a", {}], "invalid_schema", "parts[1].model"),
        (["a", "a " * 257], "text_too_long", "parts[1]"),
        (["a", {"model": "a", "tokens": 0, "values": ""}], "invalid_schema", "parts[1].tokens"),
    ],
)
def test_mistakes(client: TestClient, parts: Any, kind: str, param: str) -> None:
    check(client.post("/embed/compose", json={"parts": parts}), 422, kind, param)


def test_more_tokens_than_json_can_count(client: TestClient, state: Any) -> None:
    most = state | {"tokens": 2**53}
    assert compose(client, [most])["tokens"] == 2**53
    reply = client.post("/embed/compose", json={"parts": [most, "a"]})
    assert f"expected at most {2**53} tokens in all, got {2**53 + 1}" in check(reply, 422, "invalid_state", "parts")


def replace_projection(bundle: TinyBundle, folder: Path, content: bytes) -> Bundle:
    """A copy of ``bundle`` with another projection, and the digests right."""
    shutil.copytree(bundle.path, folder)
    (folder / PROJECTION).write_bytes(content)
    manifest = read_manifest(folder)
    files = manifest.files | {PROJECTION: file_entry(folder / PROJECTION)}
    write_manifest(folder, msgspec.structs.replace(manifest, files=files))
    return load_bundle(folder)


@pytest.mark.parametrize("graph", [ENCODER, SIMILARITY])
def test_another_graph_is_no_projection(tiny_bundle: TinyBundle, tmp_path: Path, graph: str) -> None:
    bundle = replace_projection(tiny_bundle, tmp_path / "bundle", (tiny_bundle.path / graph).read_bytes())
    with pytest.raises(BundleError, match="expected inputs"):
        Composer(Engine(bundle, EngineOptions(threads=1)))


def test_a_projection_that_gives_other_embeddings_is_not_ready(
    tiny_bundle: TinyBundle, tmp_path: Path, settings: Settings
) -> None:
    graph = onnx.load(tiny_bundle.path / PROJECTION, load_external_data=False)
    for node in graph.graph.node:
        if node.op_type == "Div":
            node.op_type = "Mul"
    bundle = replace_projection(tiny_bundle, tmp_path / "bundle", graph.SerializeToString())
    with TestClient(create_app(settings, Engine(bundle, EngineOptions(threads=1)))) as client:
        assert "from its state" in check(client.get("/health/ready"), 503, "not_ready", None)


def test_products_that_vanish_stay_finite(client: TestClient, state: Any) -> None:
    """Two nilpotent matrices of the right norm, whose product is 0: no state of a text, but one that passes for it."""
    matrix = np.zeros((20, 20))
    matrix[0, 1] = np.sqrt(20)
    values = np.concatenate([np.zeros(400), matrix.ravel(), matrix.ravel()])
    part = state | {"values": encoded(values)}
    assert np.isfinite(compose(client, [part, part])["embedding"]).all()
