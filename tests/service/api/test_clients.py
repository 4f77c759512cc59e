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
    with pytest.raises(openai.NotFoundError, match="expected 'tiny'.*--served-model-name") as missing:
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


def test_vllm_score(url: str, engine: Engine) -> None:
    """As its documentation's example asks for it: with a plain HTTP client."""
    body = {"model": "tiny", "text_1": TEXTS[0], "text_2": TEXTS[1:]}
    reply = httpx.post(f"{url}/score", json=body).raise_for_status().json()
    expected = engine.answer("similarity", [(TEXTS[0], text) for text in TEXTS[1:]])
    assert [item["index"] for item in reply["data"]] == [0, 1]
    np.testing.assert_allclose([item["score"] for item in reply["data"]], expected, rtol=0, atol=1e-6)
