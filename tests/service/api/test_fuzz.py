"""Whatever comes in at the new endpoints, the reply is an answer or a described mistake, and never a failure.

``FUZZ_EXAMPLES`` raises the number of examples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from cmow.service.model.engine import Engine
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.service.web.test_fuzz import any_json, any_text, fuzz
from tests.tiny_baseline import make_tiny_baseline

texts = any_text | st.lists(any_text, max_size=10)
flag = st.booleans() | st.none()
pair = st.lists(any_text, min_size=1, max_size=3)
joined = any_text | st.lists(any_text, min_size=1, max_size=3).map("[SEP]".join)
text_pair = st.fixed_dictionaries({"text": any_text, "text_pair": any_text})
token = st.integers(-1, 40) | st.integers()
count = st.integers(-2, 500) | st.none()
state = st.fixed_dictionaries({"model": any_text, "tokens": st.integers(), "values": any_text})

SHAPES: dict[str, dict[str, Any]] = {
    "/similarity": {
        "inputs": st.fixed_dictionaries({"source_sentence": any_text, "sentences": st.lists(any_text)}),
        "parameters": st.fixed_dictionaries({"truncate": flag}) | st.none(),
    },
    "/embed": {"inputs": texts, "truncate": flag, "normalize": flag, "dimensions": count},
    "/embed_all": {"inputs": texts, "truncate": flag},
    "/decode": {"ids": st.lists(token) | st.lists(st.lists(token)), "skip_special_tokens": flag},
    "/rerank": {
        "query": any_text,
        "texts": st.lists(any_text) | flag,
        "return_text": flag,
        "on_empty": st.sampled_from(["null", "error", "skip"]),
    },
    "/predict": {"inputs": pair | st.lists(pair | joined | text_pair) | joined | text_pair, "truncate": flag},
    "/tokenize": {"inputs": texts, "add_special_tokens": flag},
    "/v1/embeddings": {
        "input": texts | st.lists(st.integers()),
        "model": st.just("tiny") | any_text,
        "encoding_format": st.sampled_from(["float", "base64", "int8", None]),
        "dimensions": count,
    },
    "/v1/rerank": {
        "query": any_text,
        "documents": st.lists(any_text | st.fixed_dictionaries({"text": any_text})),
        "top_n": count,
        "truncate_prompt_tokens": count,
        "return_documents": flag,
    },
    "/score": {"text_1": texts, "text_2": texts, "truncate_prompt_tokens": count},
    "/zero-shot": {
        "text": any_text,
        "labels": st.lists(any_text),
        "hypothesis_template": any_text | any_text.map("{}".join) | st.just("{}"),
        "multi_label": flag,
    },
    "/embed/compose": {"parts": st.lists(any_text | state), "return_state": flag, "truncate": flag},
    "/compare": {"sentence1": texts, "sentence2": texts, "runs": st.integers(0, 2), "baseline": st.none() | any_text},
}


@pytest.fixture(scope="module")
def client(settings: Settings, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("baselines")
    make_tiny_baseline(folder, "tiny", None)
    app = create_app(settings.model_copy(update={"baselines": folder}), engine)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def check(client: TestClient, path: str, content: bytes) -> None:
    reply = client.post(path, content=content, headers={"content-type": "application/json"})
    if reply.status_code != 200:
        assert reply.status_code in {400, 404, 413, 422}, reply.text
        assert reply.json()["error"].keys() == {"type", "message", "param"}
        assert len(reply.content) < 2000


@pytest.mark.parametrize("path", SHAPES)
@fuzz
@given(data=st.data())
def test_shapes(client: TestClient, path: str, data: st.DataObject) -> None:
    fields = SHAPES[path]
    check(client, path, json.dumps(data.draw(st.fixed_dictionaries({}, optional=fields))).encode())
    check(client, path, json.dumps(data.draw(st.fixed_dictionaries(fields))).encode())


@pytest.mark.parametrize("path", SHAPES)
@fuzz
@given(data=st.data())
def test_one_field_of_any_kind(client: TestClient, path: str, data: st.DataObject) -> None:
    fields = SHAPES[path]
    name = data.draw(st.sampled_from(sorted(fields)))
    body = data.draw(st.fixed_dictionaries(fields | {name: any_json}))
    check(client, path, json.dumps(body).encode())


@pytest.mark.parametrize("path", SHAPES)
@fuzz
@given(value=any_json, content=st.binary(max_size=100))
def test_any_body(client: TestClient, path: str, value: Any, content: bytes) -> None:
    check(client, path, json.dumps(value).encode())
    check(client, path, content)
