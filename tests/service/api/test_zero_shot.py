"""Zero-shot classification against the pipeline of transformers, given the same logits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient
from transformers import ZeroShotClassificationPipeline

from cmow.service.api.zero_shot import label_scores
from cmow.service.model.engine import Engine
from tests.served import MAX_BYTES
from tests.service.web.test_invalid_requests import check

TEXT, CHOICES = "A man is playing guitar.", ["music", "it rains", "dog", "guitar"]


def pipeline_scores(probabilities: Any, labels: list[str], multi_label: bool) -> dict[str, float]:
    """What the pipeline makes of logits log P, its columns being contradiction, neutral and entailment."""
    logits = torch.from_numpy(np.log(probabilities[:, [2, 1, 0]]))
    outputs = [
        {"candidate_label": label, "sequence": TEXT, "logits": row[None]}
        for label, row in zip(labels, logits, strict=True)
    ]
    pipeline = SimpleNamespace(entailment_id=2)
    found = ZeroShotClassificationPipeline.postprocess(pipeline, outputs, multi_label)  # type: ignore[arg-type]
    return dict(zip(found["labels"], found["scores"], strict=True))


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_scores_are_the_pipelines(client: TestClient, engine: Engine, multi_label: bool, count: int) -> None:
    labels, template = CHOICES[:count], "It is about {}."
    body = {"text": TEXT, "labels": labels, "hypothesis_template": template, "multi_label": multi_label}
    found = client.post("/zero-shot", json=body).json()
    probabilities = engine.answer("entailment", [(TEXT, template.replace("{}", label)) for label in labels])
    expected = pipeline_scores(probabilities, labels, multi_label)
    assert dict(zip(found["labels"], found["scores"], strict=True)) == pytest.approx(expected, abs=1e-5)
    assert found["scores"] == sorted(found["scores"], reverse=True)
    assert multi_label or count == 1 or sum(found["scores"]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("multi_label", [False, True, None])
def test_in_the_shape_of_hugging_face(client: TestClient, multi_label: bool | None) -> None:
    parameters = {"candidate_labels": CHOICES, "multi_label": multi_label}
    found = client.post("/zero-shot", json={"inputs": TEXT, "parameters": parameters}).json()
    own = {"text": TEXT, "labels": CHOICES, "multi_label": bool(multi_label)}
    expected = client.post("/zero-shot", json=own).json()
    assert [(entry["label"], entry["score"]) for entry in found] == list(
        zip(expected["labels"], expected["scores"], strict=True)
    )


@pytest.mark.parametrize(
    ("parameters", "kind", "param"),
    [
        (None, "invalid_schema", "parameters"),
        ({}, "invalid_schema", "parameters.candidate_labels"),
        ({"candidate_labels": []}, "empty_list", "parameters.candidate_labels"),
        ({"candidate_labels": ["a", " "]}, "empty_text", "parameters.candidate_labels[1]"),
        ({"candidate_labels": ["a"] * 9}, "too_many_pairs", "parameters.candidate_labels"),
        ({"candidate_labels": ["a"], "hypothesis_template": "b"}, "invalid_schema", "parameters.hypothesis_template"),
        ({"candidate_labels": ["a"], "top_k": 1}, "invalid_schema", "parameters.top_k"),
    ],
)
def test_mistakes_in_that_shape(client: TestClient, parameters: Any, kind: str, param: str) -> None:
    check(client.post("/zero-shot", json={"inputs": TEXT, "parameters": parameters}), 422, kind, param)


def test_the_default_template(client: TestClient) -> None:
    bare = client.post("/zero-shot", json={"text": TEXT, "labels": CHOICES}).json()
    template = {"hypothesis_template": "This example is {}."}
    assert client.post("/zero-shot", json={"text": TEXT, "labels": CHOICES} | template).json() == bare


@pytest.mark.parametrize("multi_label", [False, True])
def test_impossible_labels_have_finite_scores(multi_label: bool) -> None:
    scores = label_scores(np.zeros((3, 3), np.float32), ["neutral", "entailment", "contradiction"], multi_label)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("body", "kind", "param"),
    [
        ({"text": TEXT, "labels": []}, "empty_list", "labels"),
        ({"text": TEXT, "labels": ["a", " "]}, "empty_text", "labels[1]"),
        ({"text": TEXT, "labels": ["a", "\x19"]}, "empty_text", "labels[1]"),
        ({"text": TEXT, "labels": ["\N{COMBINING ACUTE ACCENT}"]}, "empty_text", "labels[0]"),
        ({"text": TEXT, "labels": ["a", "\ufffd"]}, "empty_text", "labels[1]"),
        ({"text": TEXT, "labels": ["a"] * 9}, "too_many_pairs", "labels"),
        ({"text": " ", "labels": ["a"]}, "empty_text", "text"),
        ({"text": TEXT, "labels": "a"}, "invalid_schema", "labels"),
        ({"text": TEXT, "labels": ["a"], "hypothesis_template": "none"}, "invalid_schema", "hypothesis_template"),
        ({"text": TEXT, "labels": ["a"], "hypothesis_template": "{} {}"}, "invalid_schema", "hypothesis_template"),
        (
            {"text": TEXT, "labels": ["a"], "hypothesis_template": "{0.__class__}"},
            "invalid_schema",
            "hypothesis_template",
        ),
        (
            {"text": TEXT, "labels": ["a"] * 8, "hypothesis_template": "{}" + MAX_BYTES // 8 * "a"},
            "text_too_long",
            "hypothesis_template",
        ),
        (
            {"text": TEXT, "labels": ["a"] * 7, "hypothesis_template": "{}" + MAX_BYTES // 8 * "a"},
            "text_too_long",
            "labels[0]",
        ),
    ],
)
def test_mistakes(client: TestClient, body: Any, kind: str, param: str) -> None:
    check(client.post("/zero-shot", json=body), 422, kind, param)
