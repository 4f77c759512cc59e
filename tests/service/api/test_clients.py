"""Real clients of the APIs that the service speaks, against a server that really runs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import cohere
import httpx
import numpy as np
import openai
import pytest
from huggingface_hub import InferenceClient, close_session
from huggingface_hub.errors import HfHubHTTPError

from cmow.service.model.engine import Engine
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.served import MAX_CHARS, running

TEXTS = ["A man is playing guitar.", "Somebody makes music", "it rains!"]


@pytest.fixture(scope="module")
def url(settings: Settings, engine: Engine) -> Iterator[str]:
    with running(create_app(settings, engine)) as url:
        yield url


@pytest.fixture
def openai_client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def _huggingface_session() -> Iterator[None]:
    """Its clients share one session, which stays open until it is closed."""
    yield
    close_session()


@pytest.fixture
def connection() -> Iterator[httpx.Client]:
    """For Cohere's clients, which close none of their own."""
    with httpx.Client() as connection:
        yield connection


def unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_openai_embeddings(openai_client: openai.OpenAI, engine: Engine, encoding: Any) -> None:
    chosen = {"encoding_format": encoding} if encoding else {}  # by default the client asks for base64 and decodes it
    reply = openai_client.embeddings.create(model="tiny", input=TEXTS, **chosen)
    vectors = [item.embedding for item in reply.data]
    if encoding == "base64":
        vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
    np.testing.assert_allclose(np.array(vectors, np.float32), engine.embed(TEXTS), rtol=0, atol=1e-6)
    assert [item.index for item in reply.data] == [0, 1, 2]
    assert reply.model == "tiny"
    assert reply.usage.prompt_tokens == reply.usage.total_tokens == len(engine.tokenizer.encode(TEXTS).token_ids)


def test_openai_shortened_embeddings(openai_client: openai.OpenAI, engine: Engine) -> None:
    reply = openai_client.embeddings.create(model="tiny", input=TEXTS[0], dimensions=16)
    expected = unit(engine.embed(TEXTS[:1])[:, :16])
    np.testing.assert_allclose([reply.data[0].embedding], expected, rtol=0, atol=1e-6)


def test_openai_models(openai_client: openai.OpenAI) -> None:
    assert [model.id for model in openai_client.models.list()] == ["tiny"]
    assert openai_client.models.retrieve("tiny").owned_by == "local"


def test_openai_with_a_model_name_of_its_own(settings: Settings, engine: Engine) -> None:
    names = "text-embedding-3-small, tiny,other"
    app = create_app(Settings(**settings.model_dump() | {"served_model_name": names}), engine)
    with running(app) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        reply = client.embeddings.create(model="text-embedding-3-small", input=TEXTS)
        assert reply.model == "tiny"
        np.testing.assert_allclose([item.embedding for item in reply.data], engine.embed(TEXTS), rtol=0, atol=1e-6)
        assert [model.id for model in client.models.list()] == ["tiny", "text-embedding-3-small", "other"]
        assert client.models.retrieve("other").id == "other"
        with pytest.raises(openai.NotFoundError, match="'tiny' or 'text-embedding-3-small' or 'other'"):
            client.embeddings.create(model="text-embedding-3-large", input="a")


def test_openai_errors(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"expected 'tiny'.*--served-model-name") as missing:
        openai_client.embeddings.create(model="text-embedding-3-small", input="a")
    assert (missing.value.type, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.UnprocessableEntityError, match="no token ids"):
        openai_client.embeddings.create(model="tiny", input=[[1, 2]])
    with pytest.raises(openai.UnprocessableEntityError, match=r"input\[1\]: expected at most"):
        openai_client.embeddings.create(model="tiny", input=["a", "b" * (MAX_CHARS + 1)])


def test_huggingface_feature_extraction(url: str, engine: Engine) -> None:
    client = InferenceClient(model=f"{url}/embed")
    found = client.feature_extraction(TEXTS, normalize=True, truncate=True, truncation_direction="right")
    np.testing.assert_allclose(found, engine.embed(TEXTS), rtol=0, atol=1e-6)
    assert client.feature_extraction(TEXTS[0], dimensions=8).shape == (1, 8)


def test_huggingface_sentence_similarity(url: str, engine: Engine) -> None:
    found = InferenceClient(model=f"{url}/similarity").sentence_similarity(TEXTS[0], other_sentences=TEXTS[1:])
    expected = engine.answer("similarity", [(TEXTS[0], text) for text in TEXTS[1:]])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_huggingface_text_classification(url: str, engine: Engine) -> None:
    client = InferenceClient(model=f"{url}/predict")
    pair: Any = [TEXTS[:2]]  # the client passes on whatever it is given
    found = client.text_classification(pair)
    probabilities = dict(
        zip(engine.bundle.manifest.labels, engine.answer("entailment", [(TEXTS[0], TEXTS[1])])[0], strict=True)
    )
    assert {element.label: pytest.approx(element.score, abs=1e-6) for element in found} == probabilities
    assert [element.score for element in found] == sorted(probabilities.values(), reverse=True)
    assert len(client.text_classification(pair, top_k=1)) == 1
    raw = client.text_classification(pair, function_to_apply="none")
    np.testing.assert_allclose(np.exp([element.score for element in raw]), [element.score for element in found], 1e-5)


def test_huggingface_text_classification_of_one_text(url: str) -> None:
    """Both sentences in one string: the client has no field for the second."""
    client = InferenceClient(model=f"{url}/predict")
    pair: Any = [TEXTS[:2]]
    assert client.text_classification(f"{TEXTS[0]} [SEP] {TEXTS[1]}") == client.text_classification(pair)
    with pytest.raises(HfHubHTTPError, match="422"):
        client.text_classification(TEXTS[0])


def test_huggingface_zero_shot_classification(url: str) -> None:
    client = InferenceClient(model=f"{url}/zero-shot")
    labels = ["music", "it rains", "dog"]
    for options in ({}, {"multi_label": True}, {"hypothesis_template": "the man {}"}):
        found = client.zero_shot_classification(TEXTS[0], labels, **options)
        expected = httpx.post(f"{url}/zero-shot", json={"text": TEXTS[0], "labels": labels} | options).json()
        assert [element.label for element in found] == expected["labels"]
        assert [element.score for element in found] == expected["scores"]


def test_huggingface_errors(url: str) -> None:
    with pytest.raises(HfHubHTTPError, match="422"):
        InferenceClient(model=f"{url}/embed").feature_extraction("a", normalize=False)


@pytest.mark.parametrize(
    ("version", "options"),
    [(cohere.Client, {"max_chunks_per_doc": 3}), (cohere.ClientV2, {"max_tokens_per_doc": 4096})],
)
def test_cohere_rerank(url: str, engine: Engine, version: Any, options: Any, connection: httpx.Client) -> None:
    client = version(api_key="none", base_url=url, httpx_client=connection)
    reply = client.rerank(model="tiny", query=TEXTS[0], documents=TEXTS[1:], top_n=1, **options)
    scores = engine.answer("similarity", [(TEXTS[0], text) for text in TEXTS[1:]])
    assert [result.index for result in reply.results] == [scores.argmax()]
    assert reply.results[0].relevance_score == pytest.approx(scores.max(), abs=1e-6)
    assert reply.meta.tokens.input_tokens == len(engine.tokenizer.encode(TEXTS).token_ids)


def test_cohere_documents_and_errors(url: str, connection: httpx.Client) -> None:
    client = cohere.Client(api_key="none", base_url=url, httpx_client=connection)
    reply = client.rerank(query="a", documents=[{"text": TEXTS[0]}, TEXTS[1]], return_documents=True)
    assert {result.document.text for result in reply.results if result.document} == set(TEXTS[:2])
    with pytest.raises(cohere.UnprocessableEntityError) as refused:
        client.rerank(query="a", documents=["b"], rank_fields=["title"])
    assert "rank_fields[0]" in str(refused.value.body)


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
@pytest.mark.parametrize(
    "extra", [{}, {"truncate_prompt_tokens": -1, "user": "a", "priority": 0}, {"raw_scores": True}]
)
@pytest.mark.parametrize("shown", [{}, {"return_documents": True, "return_text": True}, {"texts": True}])
@pytest.mark.parametrize("top_n", [None, -1, 0, 1, 2, 3])
def test_documents_at_every_route(url: str, engine: Engine, path: str, extra: Any, shown: Any, top_n: Any) -> None:
    """As vLLM, infinity and Jina are asked: -1 and 0 are all, strings and objects may be mixed."""
    body = {"query": TEXTS[0], "documents": [TEXTS[1], {"text": TEXTS[2]}], "top_n": top_n} | extra | shown
    reply = httpx.post(url + path, json=body).raise_for_status().json()
    scores = engine.answer("similarity", [(TEXTS[0], text) for text in TEXTS[1:]])
    best = np.argsort(-scores).tolist()[: top_n if top_n is not None and top_n > 0 else None]
    assert [result["index"] for result in reply["results"]] == best
    for result in reply["results"]:
        assert result["relevance_score"] == pytest.approx(scores[result["index"]], abs=1e-6)
        assert result.get("document") == ({"text": TEXTS[1:][result["index"]]} if shown else None)


def test_texts_cut_to_some_tokens(url: str, engine: Engine) -> None:
    def answer(path: str, **body: Any) -> Any:
        return httpx.post(url + path, json=body).raise_for_status().json()

    tokenizer = engine.tokenizer
    cut = [tokenizer.cut(text, 2) for text in TEXTS]
    assert cut[0] != TEXTS[0]
    pairs = {"text_1": TEXTS[0], "text_2": TEXTS[1:]}
    scores = [item["score"] for item in answer("/score", **pairs, truncate_prompt_tokens=2)["data"]]
    expected = engine.answer("similarity", [(cut[0], text) for text in cut[1:]])
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)
    asked = {"query": TEXTS[0], "documents": TEXTS[1:]}
    for most, query in (({"truncate_prompt_tokens": 2}, cut[0]), ({"max_tokens_per_doc": 2}, TEXTS[0])):
        ranked = answer("/v1/rerank", **asked, **most)["results"]
        expected = engine.answer("similarity", [(query, text) for text in cut[1:]])
        found = {result["index"]: result["relevance_score"] for result in ranked}
        np.testing.assert_allclose([found[0], found[1]], expected, rtol=0, atol=1e-6)
    (embedded,) = answer("/v1/embeddings", input=TEXTS[0], truncate_prompt_tokens=2)["data"]
    np.testing.assert_allclose([embedded["embedding"]], engine.embed(cut[:1]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("value", "says"),
    [("2", "expected a whole number, got a string"), (-2, "greater than or equal to -1, got -2"), (True, "a boolean")],
)
@pytest.mark.parametrize("path", ["/score", "/rerank", "/v1/embeddings"])
def test_what_no_number_of_tokens_is(url: str, path: str, value: Any, says: str) -> None:
    texts = {"/score": {"text_1": "a", "text_2": "b"}, "/rerank": {"query": "a", "documents": ["b"]}}
    body = texts.get(path, {"input": "a"}) | {"truncate_prompt_tokens": value}
    error = httpx.post(url + path, json=body).json()["error"]
    assert (error["type"], error["param"]) == ("invalid_schema", "truncate_prompt_tokens")
    assert says in error["message"]


def test_half_a_surrogate_pair_among_texts_to_be_cut(url: str) -> None:
    body = '{"text_1": "a", "text_2": ["b", "\\ud800"], "truncate_prompt_tokens": 2}'
    reply = httpx.post(f"{url}/score", content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "text_2[1]")


def test_vllm_score(url: str, engine: Engine) -> None:
    """As its documentation's example asks for it: with a plain HTTP client."""
    body = {"model": "tiny", "text_1": TEXTS[0], "text_2": TEXTS[1:]}
    reply = httpx.post(f"{url}/score", json=body).raise_for_status().json()
    expected = engine.answer("similarity", [(TEXTS[0], text) for text in TEXTS[1:]])
    assert [item["index"] for item in reply["data"]] == [0, 1]
    np.testing.assert_allclose([item["score"] for item in reply["data"]], expected, rtol=0, atol=1e-6)
