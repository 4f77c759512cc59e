"""Whatever comes in, the reply is a score or a described mistake, and never a failure of the service.

``FUZZ_EXAMPLES`` raises the number of examples.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.served import MAX_CHARS

fuzz = hypothesis_settings(
    deadline=None,
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

any_text = st.text(st.characters(), max_size=80)  # lone surrogates too
side = any_text | st.lists(any_text, max_size=10)
scalar = st.none() | st.booleans() | st.integers() | st.floats() | any_text
any_json = st.recursive(scalar, lambda inner: st.lists(inner) | st.dictionaries(any_text, inner), max_leaves=20)


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    """On the kernel that the install has: what is tried here lies before it."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, path: str, content: bytes) -> Any:
    reply = client.post(path, content=content, headers={"content-type": "application/json"})
    body = reply.json()
    if reply.status_code == 200:
        return body
    assert reply.status_code in {400, 413, 422}
    assert body["error"].keys() == {"type", "message", "param"}
    assert len(reply.content) < 2000
    return None


@fuzz
@given(left=side, right=side)
def test_texts(client: TestClient, left: Any, right: Any) -> None:
    size = max(len(text) if isinstance(text, list) else 1 for text in (left, right))
    content = json.dumps({"sentence1": left, "sentence2": right}).encode()
    if body := post(client, "/similarity", content):
        assert len(body["scores"]) == size
        assert all(-1 <= score <= 1 for score in body["scores"])
    content = json.dumps({"premise": left, "hypothesis": right}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if body := post(client, "/entailment", content):
        assert len(body["results"]) == size
        assert all(abs(sum(result["scores"].values()) - 1) < 1e-6 for result in body["results"])


@fuzz
@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=MAX_CHARS // 4))
def test_a_text_scores_1_with_itself(client: TestClient, text: str) -> None:
    if body := post(client, "/similarity", json.dumps({"sentence1": text, "sentence2": text}).encode()):
        assert abs(body["scores"][0] - 1) < 1e-5


@fuzz
@given(value=any_json)
def test_json(client: TestClient, value: Any) -> None:
    assert post(client, "/similarity", json.dumps(value).encode()) is None


@fuzz
@given(left=any_json, right=any_json)
def test_fields(client: TestClient, left: Any, right: Any) -> None:
    post(client, "/similarity", json.dumps({"sentence1": left, "sentence2": right}).encode())


@fuzz
@given(content=st.binary(max_size=200))
def test_bytes(client: TestClient, content: bytes) -> None:
    assert post(client, "/entailment", content) is None


@fuzz
@given(content_type=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_content_types(client: TestClient, content_type: str) -> None:
    reply = client.post("/similarity", content=b"[]", headers={"content-type": content_type})
    assert reply.status_code in {415, 422}
