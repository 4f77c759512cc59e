"""Every endpoint in all its shapes, against an independent computation in NumPy."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tokenizers import Tokenizer

from cmow.service.errors import InferenceError
from cmow.service.model.engine import Engine
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.served import MAX_BYTES, MAX_CHARS, MAX_PAIRS, open_engine
from tests.tiny_bundle import LABELS, TinyBundle

TOLERANCE = 2e-5
TEXTS = ["A man is playing guitar.", "Somebody makes music", "it rains!", "dog 42", "Ünïcödé — 日本"]


@pytest.fixture(scope="module")
def token_ids(tiny_bundle: TinyBundle) -> Any:
    """Tokenises with the library itself."""
    tokenizer = Tokenizer.from_file(str(tiny_bundle.path / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


SHAPES = [
    pytest.param(TEXTS[0], TEXTS[1], id="1-1"),
    pytest.param(TEXTS[0], TEXTS[1:], id="1-N"),
    pytest.param(TEXTS[1:], TEXTS[0], id="N-1"),
    pytest.param(TEXTS, TEXTS[::-1], id="N-N"),
    pytest.param([TEXTS[0]], [TEXTS[1]], id="lists of one"),
    pytest.param(TEXTS[0], [TEXTS[1]], id="1-list of one"),
    pytest.param(TEXTS[0], TEXTS[0], id="the same"),
]


def as_pairs(left: str | list[str], right: str | list[str]) -> list[tuple[str, str]]:
    if isinstance(left, str) and isinstance(right, str):
        return [(left, right)]
    sides = (itertools.repeat(side) if isinstance(side, str) else side for side in (left, right))
    return list(zip(*sides, strict=False))


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_similarity(client: TestClient, tiny_bundle: TinyBundle, token_ids: Any, left: Any, right: Any) -> None:
    reply = client.post("/similarity", json={"sentence1": left, "sentence2": right})
    assert reply.status_code == 200
    pairs = as_pairs(left, right)
    expected = [tiny_bundle.embedding(token_ids(a)) @ tiny_bundle.embedding(token_ids(b)) for a, b in pairs]
    body = reply.json()
    np.testing.assert_allclose(body["scores"], expected, rtol=0, atol=TOLERANCE)
    assert body["model"] == "tiny"
    distinct, (unknown,) = {text for pair in pairs for text in pair}, token_ids("\N{DOG}")
    assert body["usage"] == {
        "tokens": sum(len(token_ids(text)) for text in distinct),
        "truncated": [False] * len(pairs),
        "unread": [False] * len(pairs),
        "unknown": sum(token_ids(text).count(unknown) for text in distinct),
    }


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_entailment(client: TestClient, tiny_bundle: TinyBundle, token_ids: Any, left: Any, right: Any) -> None:
    reply = client.post("/entailment", json={"premise": left, "hypothesis": right})
    assert reply.status_code == 200
    pairs = as_pairs(left, right)
    body = reply.json()
    assert len(body["results"]) == len(pairs) == len(body["usage"]["truncated"])
    for result, (premise, hypothesis) in zip(body["results"], pairs, strict=True):
        expected = tiny_bundle.entailment(token_ids(premise), token_ids(hypothesis))
        scores = [result["scores"][label] for label in LABELS]
        np.testing.assert_allclose(scores, expected, rtol=0, atol=TOLERANCE)
        assert result["label"] == LABELS[expected.argmax()]
        assert sum(scores) == pytest.approx(1, abs=1e-6)
        assert all(0 <= score <= 1 for score in scores)


def test_similarity_is_symmetric_and_entailment_is_not(client: TestClient) -> None:
    a, b = TEXTS[:2]
    one, other = (client.post("/similarity", json={"sentence1": x, "sentence2": y}).json() for x, y in ((a, b), (b, a)))
    assert one["scores"] == other["scores"]
    one, other = (client.post("/entailment", json={"premise": x, "hypothesis": y}).json() for x, y in ((a, b), (b, a)))
    assert one["results"] != other["results"]


def test_truncation_is_flagged_and_counted(client: TestClient, engine: Engine) -> None:
    limit = engine.bundle.manifest.max_tokens
    fits, cut = " ".join(["a"] * limit), " ".join(["a"] * (limit + 1))
    body = client.post("/similarity", json={"sentence1": "dog", "sentence2": [fits, cut, "man"]}).json()
    assert body["usage"] == {
        "tokens": 1 + limit + limit + 1,
        "unknown": 0,
        "truncated": [False, True, False],
        "unread": [False] * 3,
    }
    assert body["scores"][0] == body["scores"][1]


def test_limits_are_inclusive(client: TestClient) -> None:
    text = "a" * MAX_CHARS
    reply = client.post("/similarity", json={"sentence1": text, "sentence2": ["dog"] * MAX_PAIRS})
    assert reply.status_code == 200
    assert len(reply.json()["scores"]) == MAX_PAIRS


def test_body_of_exactly_the_limit(client: TestClient) -> None:
    body = b'{"sentence1": "a", "sentence2": "b"}'
    body += b" " * (MAX_BYTES - len(body))
    headers = {"content-type": "application/json; charset=UTF-8"}
    assert client.post("/similarity", content=body, headers=headers).status_code == 200
    assert client.post("/similarity", content=body + b" ", headers=headers).status_code == 413


def test_health(client: TestClient) -> None:
    for path in ("/health/live", "/health/ready", "/health", "/v1/health"):
        reply = client.get(path)
        assert (reply.status_code, reply.json()) == (200, {"status": "ok"})
        head = client.head(path)
        assert (head.status_code, head.headers["content-type"]) == (200, reply.headers["content-type"])


def test_info(client: TestClient, engine: Engine, settings: Settings) -> None:
    info = client.get("/info").json()
    assert info["model"]["name"] == "tiny"
    assert info["model"]["labels"] == LABELS
    assert info["model"]["similarity_dim"] == 384
    assert info["model"]["sha256"]["weights.bin"] == engine.bundle.manifest.files["weights.bin"].sha256
    assert info["execution_provider"] == "CPUExecutionProvider"
    assert info["execution_provider_reason"] == engine.placement.reason
    assert info["tokenizer"] == "native"
    assert info["threads"] == 2
    assert info["limits"] == {
        "max_pairs": MAX_PAIRS,
        "max_text_chars": MAX_CHARS,
        "max_body_bytes": MAX_BYTES,
        "max_request_tokens": settings.max_request_tokens,
    }
    assert {"service", "python", "onnxruntime", "tokenizers", "fastapi"} <= info["versions"].keys()
    if engine.kernel.name == "portable":
        assert info["kernel"] == "portable"
        assert info["degraded"] == ["no libhybrid_encode.so is installed"]
    else:
        assert info["kernel"] in {"fused (avx512)", "fused (avx2)", "fused (portable)"}
        assert info["degraded"] == []


class BrokenEngine:
    """Stands for an engine whose model gives no numbers any more."""

    def __init__(self, engine: Engine, error: Exception) -> None:
        self.bundle, self.tokenizer, self.kernel, self.provider = engine.bundle, engine.tokenizer, engine.kernel, "none"
        self.options, self.threads = engine.options, 1
        self.degraded = []
        self.error = error

    def score(self, *_: Any) -> Any:
        raise self.error

    check = score


def broken_client(settings: Settings, engine: Engine, error: Exception) -> TestClient:
    return TestClient(create_app(settings, BrokenEngine(engine, error)), raise_server_exceptions=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [InferenceError("expected finite numbers, got nan"), RuntimeError("secret")])
def test_internal_errors_say_nothing_and_are_logged(
    settings: Settings, engine: Engine, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with broken_client(settings, engine, error) as client:
        reply = client.post("/similarity", json={"sentence1": "a", "sentence2": "b"})
    assert reply.status_code == 500
    assert reply.json()["error"] == {
        "type": "internal_error",
        "message": "the service failed; its log says why",
        "param": None,
    }
    if isinstance(error, InferenceError):  # what is unexpected is logged by the server that runs the application
        assert "expected finite numbers" in caplog.text


def test_not_ready(settings: Settings, engine: Engine) -> None:
    with broken_client(settings, engine, InferenceError("expected finite numbers, got nan")) as client:
        reply = client.get("/health/ready")
        assert client.get("/health/live").status_code == 200
    assert reply.status_code == 503
    assert reply.json()["error"]["type"] == "not_ready"
    assert "got nan" in reply.json()["error"]["message"]


def test_engine_is_loaded_from_settings(tiny_bundle: TinyBundle) -> None:
    with TestClient(create_app(Settings(bundle=tiny_bundle.path, threads=1))) as client:
        assert client.get("/info").json()["threads"] == 1


NAMES_A_MODEL = (
    "/embeddings",
    "/v1/embeddings",
    "/rerank",
    "/v1/rerank",
    "/v2/rerank",
    "/score",
    "/v1/score",
    "/compare",
)
OTHER_STATUSES = {path: {"404"} for path in NAMES_A_MODEL}


def test_openapi_documents_every_status(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/similarity",
        "/entailment",
        "/health",
        "/health/live",
        "/health/ready",
        "/v1/health",
        "/info",
        "/metrics",
        "/embed",
        "/embed_all",
        "/embeddings",
        "/decode",
        "/rerank",
        "/predict",
        "/tokenize",
        "/v1/embeddings",
        "/v1/models",
        "/v1/models/{name}",
        "/v1/rerank",
        "/v2/rerank",
        "/score",
        "/v1/score",
        "/zero-shot",
        "/embed/compose",
        "/compare",
    }
    for path, operations in document["paths"].items():
        if (operation := operations.get("post")) is None:
            continue
        expected = {"200", "400", "401", "408", "413", "415", "422", "429", "431", "500", "504"}
        assert set(operation["responses"]) == expected | OTHER_STATUSES.get(path, set()), path
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        for schema in body.get("anyOf", [body]):
            assert schema["additionalProperties"] is False
            assert "$ref" not in json.dumps(schema)
            for example in schema["examples"]:
                assert client.post(path, json=example).status_code == (404 if path == "/compare" else 200), path
    assert set(document["paths"]["/health/ready"]["get"]["responses"]) == {"200", "401", "500", "503"}
    errors = document["paths"]["/similarity"]["post"]["responses"]["422"]
    assert errors["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorResponse")
    assert "`too_many_pairs`" in errors["description"]


def test_docs(client: TestClient) -> None:
    assert client.get("/docs").status_code == 200


@pytest.mark.parametrize("table_dtype", ["float16", "int8"])
@pytest.mark.parametrize("kernel", ["fused", "portable"])
def test_compressed_tables(tmp_path: Path, table_dtype: Any, kernel: str, token_ids: Any) -> None:
    from tests.tiny_bundle import make_tiny_bundle

    bundle = make_tiny_bundle(tmp_path / "bundle", table_dtype)
    engine = open_engine(bundle, kernel)
    a, b = map(token_ids, TEXTS[:2])
    pair = [(TEXTS[0], TEXTS[1])]
    np.testing.assert_allclose(
        engine.answer("similarity", pair), [bundle.embedding(a) @ bundle.embedding(b)], rtol=0, atol=TOLERANCE
    )
    np.testing.assert_allclose(engine.answer("entailment", pair), [bundle.entailment(a, b)], rtol=0, atol=TOLERANCE)


def test_the_mode_chooses_what_is_scored(client: TestClient, tiny_bundle: TinyBundle, token_ids: Any) -> None:
    first, others = "the man is playing guitar", ["somebody makes music", "it rains"]
    pair = {"sentence1": first, "sentence2": others}
    modes = ("cosine", "paraphrase", "relatedness")
    replies = {mode: client.post("/similarity", json={**pair, "mode": mode}) for mode in modes}
    assert replies["cosine"].json() == client.post("/similarity", json=pair).json()
    expected = [tiny_bundle.paraphrase(token_ids(first), token_ids(other)) for other in others]
    assert replies["paraphrase"].json()["scores"] == pytest.approx(expected, abs=1e-5)
    expected = [tiny_bundle.relatedness(token_ids(first), token_ids(other)) for other in others]
    assert replies["relatedness"].json()["scores"] == pytest.approx(expected, abs=1e-5)
    wrong = client.post("/similarity", json={**pair, "mode": "angle"})
    assert wrong.status_code == 422
    assert wrong.json()["error"]["param"] == "mode"


def test_a_threshold_says_which_scores_reach_it(client: TestClient) -> None:
    pair = {"sentence1": "the man is playing guitar", "sentence2": ["somebody makes music", "it rains", "a dog"]}
    for mode in ("cosine", "paraphrase", "relatedness"):
        plain = client.post("/similarity", json={**pair, "mode": mode}).json()
        assert "same" not in plain
        cut = sorted(plain["scores"])[1]
        answer = client.post("/similarity", json={**pair, "mode": mode, "threshold": cut}).json()
        assert answer == plain | {"same": [score >= cut for score in plain["scores"]]}
        assert sorted(answer["same"]) == [False, True, True]
    for wrong in (1.5, -2, "high", True):
        reply = client.post("/similarity", json={**pair, "threshold": wrong})
        assert (reply.status_code, reply.json()["error"]["param"]) == (422, "threshold")


def test_texts_of_which_nothing_is_known(client: TestClient) -> None:
    """They are flagged, and different ones are not the same; a request may refuse them."""
    body = {
        "sentence1": "\N{GRINNING FACE}",
        "sentence2": ["\N{CRYING FACE}", "\N{GRINNING FACE}", "dog", "dog \N{DOG}"],
    }
    for mode in ("cosine", "paraphrase", "relatedness"):
        answer = client.post("/similarity", json=body | {"mode": mode}).json()
        assert answer["scores"][0] == 0
        assert answer["usage"]["unread"] == [True, True, True, True]
        assert answer["usage"]["unknown"] == 3  # each distinct text counts once
    assert client.post("/similarity", json=body).json()["scores"][1] == pytest.approx(1, abs=TOLERANCE)
    known = client.post("/similarity", json={"sentence1": "dog \N{DOG}", "sentence2": "dog"}).json()["usage"]
    assert (known["unknown"], known["unread"]) == (1, [False])
    nli = {"premise": ["a man", "\N{DOG}"], "hypothesis": "a dog"}
    assert client.post("/entailment", json=nli).json()["usage"]["unread"] == [False, True]
    for path, asked, where in (("/similarity", body, "sentence1"), ("/entailment", nli, "premise[1]")):
        reply = client.post(path, json=asked | {"on_unknown": "refuse"})
        assert reply.status_code == 422
        assert reply.json()["error"] == {
            "type": "unknown_text",
            "message": f"{where}: expected text with a token that the model knows, got none",
            "param": where,
        }
    assert client.post("/similarity", json=body | {"on_unknown": "ignore"}).status_code == 422
