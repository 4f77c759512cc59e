"""The shapes of text-embeddings-inference, against an independent computation in NumPy."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from cmow.service.model.engine import Engine
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.service.web.test_invalid_requests import check
from tests.tiny_bundle import LABELS, TinyBundle

TOLERANCE = 2e-5
PAIR = ["a", "b"]
TEXTS = ["A man is playing guitar.", "Somebody makes music", "it rains!", "dog 42"]


@pytest.fixture(scope="module")
def ids(engine: Engine) -> Any:
    return lambda text: engine.tokenizer.encode([text]).token_ids.tolist()


@pytest.fixture(scope="module")
def cosine(tiny_bundle: TinyBundle, ids: Any) -> Any:
    return lambda a, b: tiny_bundle.embedding(ids(a)) @ tiny_bundle.embedding(ids(b))


def post(client: TestClient, path: str, **body: Any) -> Any:
    reply = client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_embed(client: TestClient, tiny_bundle: TinyBundle, ids: Any) -> None:
    expected = [tiny_bundle.embedding(ids(text)) for text in TEXTS]
    np.testing.assert_allclose(post(client, "/embed", inputs=TEXTS), expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(post(client, "/embed", inputs=TEXTS[0]), expected[:1], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("dimensions", [1, 2, 383, 384])
def test_shorter_embeddings_have_unit_length(client: TestClient, dimensions: int) -> None:
    full = np.array(post(client, "/embed", inputs=TEXTS))[:, :dimensions]
    found = post(client, "/embed", inputs=TEXTS, dimensions=dimensions)
    np.testing.assert_allclose(found, full / np.linalg.norm(full, axis=1, keepdims=True), rtol=0, atol=1e-6)


def test_similarity(client: TestClient, cosine: Any) -> None:
    inputs = {"source_sentence": TEXTS[0], "sentences": TEXTS}
    expected = [cosine(TEXTS[0], text) for text in TEXTS]
    for parameters in ({}, {"parameters": {"truncate": True}}, {"parameters": None}):
        found = post(client, "/similarity", inputs=inputs, **parameters)
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_rerank(client: TestClient, cosine: Any) -> None:
    ranks = post(client, "/rerank", query=TEXTS[0], texts=TEXTS[1:])
    scores = [cosine(TEXTS[0], text) for text in TEXTS[1:]]
    assert [rank["index"] for rank in ranks] == sorted(range(3), key=lambda row: -scores[row])
    for rank in ranks:
        assert rank == {"index": rank["index"], "score": pytest.approx(scores[rank["index"]], abs=TOLERANCE)}
    ranks = post(client, "/rerank", query=TEXTS[0], texts=["dog", "dog"], return_text=True, raw_scores=True)
    assert [(rank["index"], rank["text"]) for rank in ranks] == [(0, "dog"), (1, "dog")]


@pytest.mark.parametrize("top_n", [-1, 0, 1, 2, None])
def test_the_best_texts_as_litellm_asks_for_them(client: TestClient, top_n: int | None) -> None:
    ranks = post(client, "/rerank", query=TEXTS[0], texts=TEXTS[1:3], return_text=True)
    mixed = [TEXTS[1], {"text": TEXTS[2]}]
    found = post(client, "/rerank", query=TEXTS[0], texts=mixed, return_text=True, top_n=top_n)
    assert found == ranks[: top_n if top_n is not None and top_n > 0 else None]


def test_predict(client: TestClient, tiny_bundle: TinyBundle, ids: Any) -> None:
    expected = dict(zip(LABELS, tiny_bundle.entailment(ids(TEXTS[0]), ids(TEXTS[1])), strict=True))
    found = post(client, "/predict", inputs=TEXTS[:2])
    assert {item["label"]: pytest.approx(item["score"], abs=TOLERANCE) for item in found} == expected
    assert [item["score"] for item in found] == sorted((item["score"] for item in found), reverse=True)
    batch = post(client, "/predict", inputs=[TEXTS[:2], TEXTS[2:]])
    assert (len(batch), batch[0]) == (2, found)
    raw = post(client, "/predict", inputs=TEXTS[:2], raw_scores=True)
    assert [item["label"] for item in raw] == [item["label"] for item in found]
    np.testing.assert_allclose([item["score"] for item in raw], np.log([item["score"] for item in found]), atol=1e-5)


def test_a_pair_in_every_form(client: TestClient) -> None:
    premise, hypothesis = TEXTS[:2]
    forms = ([premise, hypothesis], {"text": premise, "text_pair": hypothesis}, f"{premise} [SEP] {hypothesis}")
    expected = post(client, "/predict", inputs=forms[0])
    for form in forms:
        assert post(client, "/predict", inputs=form) == expected
        assert post(client, "/predict", inputs=form, parameters={"top_k": 1}) == [expected[:1]]
    assert post(client, "/predict", inputs=[forms[2], forms[2]]) == [expected, expected]
    assert post(client, "/predict", inputs=[forms[2]]) == [expected]
    mixed = [forms[1], forms[0], TEXTS[2:]]
    assert post(client, "/predict", inputs=mixed) == [expected, expected, post(client, "/predict", inputs=TEXTS[2:])]


@pytest.mark.parametrize("texts", [[" ", TEXTS[1], "\x00", TEXTS[2]], ["", " "], [TEXTS[1], ""]])
def test_empty_texts_come_last_where_that_is_asked(client: TestClient, texts: list[str]) -> None:
    ranks = post(client, "/rerank", query=TEXTS[0], texts=texts, on_empty="null")
    full = [row for row, text in enumerate(texts) if text.strip(" \x00")]
    alone = post(client, "/rerank", query=TEXTS[0], texts=[texts[row] for row in full]) if full else []
    expected = [(full[rank["index"]], pytest.approx(rank["score"], abs=TOLERANCE)) for rank in alone]
    expected += [(row, None) for row in range(len(texts)) if row not in full]
    assert [(rank["index"], rank["score"]) for rank in ranks] == expected
    results = post(client, "/rerank", query=TEXTS[0], documents=texts, on_empty="null", top_n=0)["results"]
    assert [(result["index"], result["relevance_score"]) for result in results] == expected


def test_an_empty_query_is_an_error_even_where_it_is_cut(client: TestClient) -> None:
    body = {"query": " " * 3000, "texts": ["a"], "on_empty": "null", "truncate": True}
    check(client.post("/rerank", json=body), 422, "empty_text", "query")


def test_embed_all(client: TestClient, engine: Engine, tiny_bundle: TinyBundle, ids: Any) -> None:
    found = post(client, "/embed_all", inputs=TEXTS)
    assert [len(rows) for rows in found] == [len(ids(text)) for text in TEXTS]
    for text, rows in zip(TEXTS, found, strict=True):
        np.testing.assert_allclose(
            rows, [tiny_bundle.embedding([token]) for token in ids(text)], rtol=0, atol=TOLERANCE
        )
    message = check(client.post("/embed_all", json={"inputs": ["a " * 256] * 5}), 422, "too_many_tokens", "inputs")
    assert "at most 1024 tokens in all, got 1280" in message


def test_decode(client: TestClient, ids: Any) -> None:
    assert post(client, "/decode", ids=ids("a dog")) == ["a dog"]
    assert post(client, "/decode", ids=[ids("the man is playing"), []]) == ["the man is playing", ""]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/embed", {"inputs": "a dog", "dimensions": 2.0}),
        ("/rerank", {"query": "a", "texts": ["b", "dog"], "top_n": 1.0}),
        ("/predict", {"inputs": PAIR, "parameters": {"top_k": 2.0}}),
        ("/decode", {"ids": [1.0, 2.0]}),
    ],
)
def test_whole_numbers_with_a_point(client: TestClient, path: str, body: Any) -> None:
    whole = json.loads(json.dumps(body).replace(".0", ""))
    assert post(client, path, **body) == post(client, path, **whole)
    half = json.dumps(body).replace(".0", ".5")
    assert client.post(path, content=half, headers={"content-type": "application/json"}).status_code == 422


def test_tokenize(client: TestClient, ids: Any) -> None:
    texts = ["A dog,  ünïcödé 日本", ""]
    found = post(client, "/tokenize", inputs=texts[0])[0]
    assert [token["id"] for token in found] == ids(texts[0])
    assert [token["text"] for token in found][:3] == ["A", "dog", ","]
    assert all(token["text"] == texts[0][token["start"] : token["stop"]] for token in found)
    assert post(client, "/tokenize", inputs=texts)[1] == []


def test_more_tokens_than_a_request_may_have(settings: Settings, engine: Engine) -> None:
    app = create_app(settings.model_copy(update={"max_request_tokens": 5}), engine)
    with TestClient(app) as client:
        assert len(post(client, "/tokenize", inputs=["a dog"])[0]) == 2
        check(client.post("/tokenize", json={"inputs": ["a dog"] * 3}), 422, "too_many_tokens", None)
        check(client.post("/embed/compose", json={"parts": ["a dog"] * 3}), 422, "too_many_tokens", None)
    assert app.state.scheduler.admission.tokens == 0


def test_info_has_the_fields_that_clients_read(client: TestClient, engine: Engine) -> None:
    info = client.get("/info").json()
    assert info["model_id"] == info["model"]["name"] == "tiny"
    assert info["model_sha"] == engine.bundle.manifest.files["weights.bin"].sha256
    assert info["max_input_length"] == 256
    assert info["max_client_batch_size"] == info["limits"]["max_pairs"]
    assert info["model_type"].keys() == {"embedding"}


def test_truncate(client: TestClient, engine: Engine) -> None:
    limit = engine.bundle.manifest.max_tokens
    fits, longer = ("a " * limit)[:-1], "a " * (limit + 1)
    message = check(client.post("/embed", json={"inputs": ["a", longer]}), 422, "text_too_long", "inputs[1]")
    assert f"at most {limit} tokens" in message
    assert post(client, "/embed", inputs=[longer], truncate=True) == post(client, "/embed", inputs=[fits])
    assert post(client, "/embed", inputs="a" * 3000, truncate=True) == post(
        client, "/embed", inputs="a" * 2000, truncate=True
    )
    pair = [longer, "dog"]
    check(client.post("/predict", json={"inputs": pair}), 422, "text_too_long", "inputs[0]")
    assert post(client, "/predict", inputs=pair, truncate=True) == post(client, "/predict", inputs=[fits, "dog"])
    check(client.post("/rerank", json={"query": "a", "texts": ["b", longer]}), 422, "text_too_long", "texts[1]")


@pytest.mark.parametrize(
    ("path", "body", "kind", "param", "says"),
    [
        ("/embed", {}, "invalid_schema", "inputs", "got no such field"),
        ("/embed", {"inputs": [[1, 2]]}, "invalid_schema", "inputs[0]", "expected a string, got a list of 2"),
        ("/embed", {"inputs": []}, "empty_list", "inputs", "at least one text"),
        ("/embed", {"inputs": ["a"] * 9}, "too_many_texts", "inputs", "at most 8 texts, got 9"),
        ("/embed", {"inputs": ["a", " "]}, "empty_text", "inputs[1]", "at least one token"),
        ("/embed", {"inputs": "a", "normalize": False}, "invalid_schema", "normalize", "expected true, got false"),
        ("/embed", {"inputs": "a", "prompt_name": "query"}, "invalid_schema", "prompt_name", "expected null"),
        ("/embed", {"inputs": "a", "truncation_direction": "left"}, "invalid_schema", "truncation_direction", "right"),
        ("/embed", {"inputs": "a", "dimensions": 385}, "invalid_schema", "dimensions", "at most 384, got 385"),
        ("/embed", {"inputs": "a", "dimensions": 0}, "invalid_schema", "dimensions", "greater than 0, got 0"),
        ("/embed", {"inputs": "a", "dimensions": True}, "invalid_schema", "dimensions", "number, got a boolean"),
        ("/embed", {"inputs": "a", "pooling": "cls"}, "invalid_schema", "pooling", "got a field 'pooling'"),
        ("/similarity", {"inputs": {}}, "invalid_schema", "inputs.source_sentence", "got no such field"),
        ("/similarity", {"inputs": "a"}, "invalid_schema", "inputs", "expected an object, got a string"),
        (
            "/similarity",
            {"inputs": {"source_sentence": "a", "sentences": ["b", 1]}},
            "invalid_schema",
            "inputs.sentences[1]",
            "expected a string, got a number",
        ),
        (
            "/similarity",
            {"inputs": {"source_sentence": " ", "sentences": ["b"]}},
            "empty_text",
            "inputs.source_sentence",
            "at least one token",
        ),
        (
            "/similarity",
            {"inputs": {"source_sentence": "a", "sentences": ["b"], "x": 1}},
            "invalid_schema",
            "inputs.x",
            "expected only source_sentence and sentences",
        ),
        ("/predict", {"inputs": "a"}, "invalid_schema", "inputs", "with [SEP] once in it, got a string"),
        ("/predict", {"inputs": "a[SEP]b[SEP]c"}, "invalid_schema", "inputs", "[SEP] once in it"),
        ("/predict", {"inputs": 1}, "invalid_schema", "inputs", "or a list of such pairs, got a number"),
        ("/predict", {"inputs": {"text": "a"}}, "invalid_schema", "inputs.text_pair", "got no such field"),
        ("/predict", {"inputs": {"text": "a", "text_pair": " "}}, "empty_text", "inputs.text_pair", "one token"),
        ("/predict", {"inputs": [PAIR, {"text": 1, "text_pair": "a"}]}, "invalid_schema", "inputs[1].text", "string"),
        ("/predict", {"inputs": [PAIR, 1]}, "invalid_schema", "inputs[1]", "[premise, hypothesis]"),
        ("/predict", {"inputs": ["a[SEP]b", "c"]}, "invalid_schema", "inputs[1]", "with [SEP] once in it"),
        ("/predict", {"inputs": "a[SEP] "}, "empty_text", "inputs", "one token"),
        ("/predict", {"inputs": []}, "invalid_schema", "inputs", "a list of at least 2"),
        ("/predict", {"inputs": ["a"]}, "invalid_schema", "inputs", "a list of at least 2"),
        ("/predict", {"inputs": [PAIR, ["a", "b", "c"]]}, "invalid_schema", "inputs[1]", "a list of at most 2"),
        ("/predict", {"inputs": [PAIR, ["a", " "]]}, "empty_text", "inputs[1][1]", "at least one token"),
        ("/predict", {"inputs": ["a", "\ud800"]}, "invalid_text", "inputs[1]", "lone surrogate"),
        ("/predict", {"inputs": PAIR, "parameters": {"top_k": 0}}, "invalid_schema", "parameters.top_k", "than 0"),
        ("/predict", {"inputs": [PAIR] * 9}, "too_many_pairs", "inputs", "at most 8"),
        ("/rerank", {"query": "a", "texts": "b"}, "invalid_schema", "texts", "expected a list, got a string"),
        ("/rerank", {"query": "a", "texts": []}, "empty_list", "texts", "got an empty list"),
        ("/rerank", {"query": "a"}, "invalid_schema", "texts", "got no such field"),
        ("/rerank", {"query": "a", "texts": ["b", " "]}, "empty_text", "texts[1]", "at least one token"),
        ("/rerank", {"query": " ", "texts": ["b"], "on_empty": "null"}, "empty_text", "query", "at least one token"),
        ("/rerank", {"query": "a", "texts": ["b"], "on_empty": "skip"}, "invalid_schema", "on_empty", "or 'null'"),
        ("/embed_all", {"inputs": ["a", ""]}, "empty_text", "inputs[1]", "at least one token"),
        ("/decode", {"ids": "a"}, "invalid_schema", "ids", "a list of token ids, or a list of such lists"),
        ("/decode", {"ids": [0, -1]}, "invalid_schema", "ids[1]", "greater than or equal to 0, got -1"),
        ("/decode", {"ids": [[0], [1, 10**9]]}, "invalid_schema", "ids", "numbers below"),
        ("/decode", {"ids": [[0], 1]}, "invalid_schema", "ids[1]", "expected a list, got a number"),
        ("/decode", {"ids": [[0]] * 9}, "too_many_texts", "ids", "at most 8"),
        ("/tokenize", {"inputs": "a" * 2001}, "text_too_long", "inputs", "at most 2000 characters"),
    ],
)  # fmt: skip
def test_mistakes(client: TestClient, path: str, body: Any, kind: str, param: str, says: str) -> None:
    reply = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert says in check(reply, 422, kind, param)
