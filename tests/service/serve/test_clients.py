"""The frameworks that ask several services, against the service as it is started: ``cmow-serve`` on the tiny bundle.

They come with the extra ``clients``; clients of one service alone are tested in ``tests/service/api/test_clients.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cmow.service.model.engine import Engine, EngineOptions
from loadtest.harness.processes import serving
from tests.tiny_bundle import TinyBundle

MISSING = "the extra `clients` is not installed"
NAME = "text-embedding-3-small"
QUERY, DOCUMENTS = "A man is playing guitar.", ["it rains!", "Somebody makes music", "dog 42"]


@pytest.fixture(scope="module")
def url(tiny_bundle: TinyBundle) -> Iterator[str]:
    flags = ["--bundle", str(tiny_bundle.path), "--served-model-name", NAME]
    with serving("cmow.service.serve.cli", flags) as server:
        yield f"http://{server.host}:{server.port}"


@pytest.fixture(scope="module")
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine(tiny_bundle.load(), EngineOptions(threads=1))


@pytest.fixture(scope="module")
def scores(engine: Engine) -> Any:
    return engine.answer("similarity", [(QUERY, document) for document in DOCUMENTS])


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or it asks another host for it
    return pytest.importorskip("litellm", reason=MISSING)


@pytest.mark.filterwarnings("ignore")  # its own, of other packages
@pytest.mark.parametrize(
    ("provider", "path", "shown"),
    [
        ("hosted_vllm", "", True),
        ("infinity", "", False),  # with documents it takes a bare string for each, which no other client does
        ("cohere", "/v1/rerank", True),
        ("jina_ai", "", True),
        ("huggingface", "", True),
    ],
)
@pytest.mark.parametrize("top_n", [1, 3])
def test_litellm_rerank(url: str, litellm: Any, scores: Any, provider: str, path: str, shown: bool, top_n: int) -> None:
    reply = litellm.rerank(
        model=f"{provider}/{NAME}",
        query=QUERY,
        documents=DOCUMENTS,
        top_n=top_n,
        return_documents=shown,
        api_base=url + path,
        api_key="none",
    )
    best = np.argsort(-scores).tolist()[:top_n]
    assert [result["index"] for result in reply.results] == best
    np.testing.assert_allclose([result["relevance_score"] for result in reply.results], scores[best], atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # its own, of other packages
@pytest.mark.parametrize(("provider", "path"), [("openai", "/v1"), ("hosted_vllm", "/v1"), ("infinity", "")])
def test_litellm_embedding(url: str, litellm: Any, engine: Engine, provider: str, path: str) -> None:
    reply = litellm.embedding(model=f"{provider}/{NAME}", input=DOCUMENTS, api_base=url + path, api_key="none")
    np.testing.assert_allclose([item["embedding"] for item in reply.data], engine.embed(DOCUMENTS), atol=1e-6)


def test_langchain(url: str, engine: Engine) -> None:
    module = pytest.importorskip("langchain_openai", reason=MISSING)
    client = module.OpenAIEmbeddings(
        model=NAME, base_url=f"{url}/v1", api_key="none", check_embedding_ctx_length=False
    )  # with it, the client sends ids of its own tokens
    np.testing.assert_allclose(client.embed_documents(DOCUMENTS), engine.embed(DOCUMENTS), atol=1e-6)
    np.testing.assert_allclose([client.embed_query(QUERY)], engine.embed([QUERY]), atol=1e-6)


def test_llama_index_embeddings(url: str, engine: Engine) -> None:
    module = pytest.importorskip("llama_index.embeddings.text_embeddings_inference", reason=MISSING)
    client = module.TextEmbeddingsInference(model_name=NAME, base_url=url)
    np.testing.assert_allclose(client.get_text_embedding_batch(DOCUMENTS), engine.embed(DOCUMENTS), atol=1e-6)


def test_llama_index_rerank(url: str, scores: Any) -> None:
    module = pytest.importorskip("llama_index.postprocessor.tei_rerank", reason=MISSING)
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    nodes = [NodeWithScore(node=TextNode(text=text)) for text in DOCUMENTS]
    client = module.TextEmbeddingInference(base_url=url, top_n=2)
    ranked = client.postprocess_nodes(nodes, query_bundle=QueryBundle(QUERY))
    best = np.argsort(-scores)[:2]
    assert [node.text for node in ranked] == [DOCUMENTS[row] for row in best]
    np.testing.assert_allclose([node.score for node in ranked], scores[best], atol=1e-6)
