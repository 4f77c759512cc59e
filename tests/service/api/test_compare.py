"""The comparison with a baseline: who takes part, who has scores, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from cmow.service.model.baseline import Baseline, read_manifest
from cmow.service.model.engine import Engine
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.service.web.test_invalid_requests import check
from tests.tiny_baseline import make_tiny_baseline

ONE, MANY = "a man is playing guitar", ["somebody makes music", "it rains"]
PAIRS = [(ONE, text) for text in MANY]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baselines")
    for name, task in {"nli": "entailment", "sts": "similarity", "untrained": None}.items():
        make_tiny_baseline(folder, name, task)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def app(settings: Settings, engine: Engine, folder: Path) -> Any:
    return create_app(settings.model_copy(update={"baselines": folder}), engine)


@pytest.fixture(scope="module")
def client(app: Any) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def compare(client: TestClient, **options: Any) -> Any:
    reply = client.post("/compare", json={"sentence1": ONE, "sentence2": MANY, "runs": 2, **options})
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("task", ["similarity", "entailment"])
def test_untrained(client: TestClient, engine: Engine, task: str) -> None:
    body = compare(client, baseline="untrained", task=task)
    assert (body["pairs"], body["threads"], body["baseline"]) == (2, 2, "untrained")
    assert [side["name"] for side in body["sides"]] == ["tiny", "DistilBERT fp32", "DistilBERT int8"]
    for side in body["sides"]:
        assert side["runs"] == 2
        assert side["pairs_per_second"] == pytest.approx(2000 / side["latency_ms"])
    assert [side["trained"] for side in body["sides"]] == [True, False, False]
    assert [side["scores"] is None for side in body["sides"]] == [False, True, True]
    assert "no trained head" in body["note"]
    scores = body["sides"][0]["scores"]
    if task == "similarity":
        np.testing.assert_allclose(scores, engine.answer("similarity", PAIRS), rtol=0, atol=1e-6)
    else:
        labels = engine.bundle.manifest.labels
        found = [[score[label] for label in labels] for score in scores]
        np.testing.assert_allclose(found, engine.answer("entailment", PAIRS), rtol=0, atol=1e-6)


def test_entailment_by_trained_weights(client: TestClient, folder: Path) -> None:
    body = compare(client, baseline="nli", task="entailment")
    baseline = Baseline(folder / "nli", read_manifest(folder / "nli"), threads=1)
    expected = baseline.scores(baseline.logits(baseline.encode(PAIRS), "fp32"))
    found = [[row[label] for label in baseline.manifest.labels] for row in body["sides"][1]["scores"]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert body["note"] is None


def test_similarity_by_trained_weights(client: TestClient) -> None:
    body = compare(client, baseline="sts")
    assert all(0 <= score <= 1 for side in body["sides"][1:] for score in side["scores"])
    other = compare(client, baseline="sts", task="entailment")
    assert [side["scores"] is None for side in other["sides"]] == [False, True, True]
    assert "trained for similarity" in other["note"]


@pytest.mark.parametrize("name", ["nowhere", "../nli", "/etc", "", None])
def test_baselines_are_chosen_by_name_alone(client: TestClient, name: str | None) -> None:
    reply = client.post("/compare", json={"sentence1": ONE, "sentence2": MANY, "baseline": name})
    assert "nli, sts, untrained" in check(reply, 404, "baseline_not_found", "baseline")


def test_one_at_a_time(client: TestClient, app: Any) -> None:
    turn = app.state.comparisons.turn
    with turn:
        reply = client.post("/compare", json={"sentence1": ONE, "sentence2": MANY, "baseline": "untrained"})
    check(reply, 429, "overloaded")
    assert reply.headers["retry-after"]
    compare(client, baseline="untrained")


@pytest.mark.parametrize(
    ("body", "kind", "param"),
    [
        ({"sentence1": ONE, "sentence2": [ONE] * 9}, "too_many_pairs", "sentence2"),
        ({"sentence1": "a " * 600, "sentence2": ["b"] * 8}, "too_many_tokens", None),
        ({"sentence1": ONE, "sentence2": MANY, "runs": 21}, "invalid_schema", "runs"),
        ({"sentence1": ONE, "sentence2": MANY, "runs": 0}, "invalid_schema", "runs"),
        ({"sentence1": ONE, "sentence2": MANY, "task": "x"}, "invalid_schema", "task"),
        ({"sentence1": ONE}, "invalid_schema", "sentence2"),
        ({"sentence1": ONE, "sentence2": " "}, "empty_text", "sentence2"),
    ],
)
def test_mistakes(client: TestClient, body: Any, kind: str, param: str | None) -> None:
    check(client.post("/compare", json={"baseline": "untrained", **body}), 422, kind, param)


def test_without_baselines(settings: Settings, engine: Engine) -> None:
    with TestClient(create_app(settings, engine)) as client:
        reply = client.post("/compare", json={"sentence1": ONE, "sentence2": MANY})
    assert "python -m export.baseline" in check(reply, 404, "baseline_not_found")
