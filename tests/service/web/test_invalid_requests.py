"""Every mistake that a client can make: its status, its type, and the position that the message names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.served import MAX_BYTES, MAX_CHARS, MAX_PAIRS

JSON = {"content-type": "application/json"}


def check(reply: Any, status: int, kind: str, param: str | None = None) -> str:
    """The message of an error reply, which must be of this status, type and field."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"type", "message", "param"}
    assert (body["error"]["type"], body["error"]["param"]) == (kind, param)
    message = body["error"]["message"]
    assert 0 < len(message) < 300
    return str(message)


@pytest.mark.parametrize(
    ("body", "kind", "param", "says"),
    [
        ([], "invalid_schema", None, "expected an object with sentence1 and sentence2, got a list"),
        ("text", "invalid_schema", None, "got a string"),
        (None, "invalid_schema", None, "got null"),
        (True, "invalid_schema", None, "got a boolean"),
        (1.5, "invalid_schema", None, "got a number"),
        ({}, "invalid_schema", "sentence1", "got no such field"),
        ({"sentence1": "a"}, "invalid_schema", "sentence2", "got no such field"),
        ({"sentence1": "a", "sentence2": 1}, "invalid_schema", "sentence2", "or a list of strings, got a number"),
        ({"sentence1": None, "sentence2": "a"}, "invalid_schema", "sentence1", "got null"),
        ({"sentence1": {"a": 1}, "sentence2": "a"}, "invalid_schema", "sentence1", "got an object"),
        (
            {"sentence1": ["a", 1], "sentence2": "a"},
            "invalid_schema",
            "sentence1[1]",
            "expected a string, got a number",
        ),
        ({"sentence1": ["a", ["b"]], "sentence2": "a"}, "invalid_schema", "sentence1[1]", "got a list"),
        ({"sentence1": "a", "sentence2": "b", "extra": 1}, "invalid_schema", "extra", "got a field 'extra'"),
        ({"sentence1": "a", "sentence2": []}, "empty_list", "sentence2", "got an empty list"),
        ({"sentence1": [], "sentence2": []}, "empty_list", "sentence1", "got an empty list"),
        (
            {"sentence1": ["a"], "sentence2": ["b", "c"]},
            "length_mismatch",
            None,
            "got 1 in sentence1 and 2 in sentence2",
        ),
        ({"sentence1": ["a"] * 3, "sentence2": ["b"] * 2}, "length_mismatch", None, "got 3 in sentence1"),
        ({"sentence1": "", "sentence2": "a"}, "empty_text", "sentence1", "at least one token"),
        ({"sentence1": "a", "sentence2": ["b", " \t\n "]}, "empty_text", "sentence2[1]", "at least one token"),
        ({"sentence1": "\u0000\u0007", "sentence2": "a"}, "empty_text", "sentence1", "at least one token"),
        ({"sentence1": "a", "sentence2": ["b", "\ud800"]}, "invalid_text", "sentence2[1]", "U+D800 at character 0"),
        ({"sentence1": "ab\udfffc", "sentence2": "b"}, "invalid_text", "sentence1", "U+DFFF at character 2"),
        (
            {"sentence1": "a", "sentence2": ["b"] * (MAX_PAIRS + 1)},
            "too_many_pairs",
            "sentence2",
            f"at most {MAX_PAIRS} sentences, got {MAX_PAIRS + 1}",
        ),
        (
            {"sentence1": ["b"] * (MAX_PAIRS + 1), "sentence2": ["b"] * (MAX_PAIRS + 1)},
            "too_many_pairs",
            "sentence1",
            f"got {MAX_PAIRS + 1}",
        ),
        (
            {"sentence1": "a", "sentence2": ["b", "a" * (MAX_CHARS + 1)]},
            "text_too_long",
            "sentence2[1]",
            f"at most {MAX_CHARS} characters, got {MAX_CHARS + 1}",
        ),
    ],
)
def test_invalid_input(client: TestClient, body: Any, kind: str, param: str | None, says: str) -> None:
    content = json.dumps(body)  # ASCII, so that lone surrogates travel as escapes
    assert says in check(client.post("/similarity", content=content, headers=JSON), 422, kind, param)


def test_entailment_names_its_own_fields(client: TestClient) -> None:
    reply = client.post("/entailment", json={"premise": ["a", " "], "hypothesis": "b"})
    assert "premise[1]" in check(reply, 422, "empty_text", "premise[1]")
    reply = client.post("/entailment", json={"sentence1": "a", "sentence2": "b"})
    assert "premise and hypothesis" in check(reply, 422, "invalid_schema", "sentence1")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Expecting value at character 0"),
        (b'{"sentence1": ', "at character 14"),
        (b"{'sentence1': 1}", "property name"),
        (b'{"sentence1": NaN, "sentence2": "a"}', "no NaN"),
        (b'{"sentence1": -1e999, "sentence2": "a"}', "expected numbers from -1.8e308 to 1.8e308, got -1e999"),
        (b'{"sentence1": [-Infinity], "sentence2": "a"}', "no -Infinity"),
        (b"[" * 20_000, "nested too deeply"),
        (b'{"sentence1":' * 2000, "nested too deeply"),
        (b"1" * 5000, "digits"),
        (b'{"sentence1": "\xff", "sentence2": "a"}', "UTF-8, got byte 0xff at 15"),
        (b'{"sentence1": "\xed\xa0\x80", "sentence2": "a"}', "byte 0xed at 15"),
        ('{"sentence1": "a", "sentence2": "b"}'.encode("utf-16"), "expected UTF-8"),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"sentence1": "a", "sentence2": "b"}', "Expecting value at character 0"),
        (
            b'{"sentence1": "a", "sentence2": "b", "sentence1": "c"}',
            "expected each key of an object once, got 'sentence1'",
        ),
        (b'{"sentence1": {"a\xc3\xbc": 1, "a\\u00fc": 1}, "sentence2": "b"}', "'a\\xfc' twice"),
        (b'{"sentence1": "a\nb", "sentence2": "b"}', "control character"),
    ],
)
def test_malformed_body(client: TestClient, content: bytes, says: str) -> None:
    assert says in check(client.post("/similarity", content=content, headers=JSON), 400, "malformed_body")


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/json; charset=latin-1"],
)
def test_wrong_content_type(client: TestClient, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    reply = client.post("/similarity", content=b'{"sentence1": "a", "sentence2": "b"}', headers=headers)
    assert "expected application/json" in check(reply, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", 'application/json;charset="utf-8"'])
def test_right_content_type(client: TestClient, content_type: str) -> None:
    content = b'{"sentence1": "a", "sentence2": "b"}'
    assert client.post("/similarity", content=content, headers={"content-type": content_type}).status_code == 200


def test_a_byte_order_mark_is_left_out(client: TestClient) -> None:
    body = b'{"sentence1": "a", "sentence2": "b"}'
    plain, marked = (client.post("/similarity", content=mark + body, headers=JSON) for mark in (b"", b"\xef\xbb\xbf"))
    assert (marked.status_code, marked.json()) == (200, plain.json())


def test_unknown_path_and_method(client: TestClient) -> None:
    assert "/nowhere" in check(client.get("/nowhere"), 404, "not_found")
    reply = client.get("/similarity")
    check(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"


def test_declared_length_beyond_the_limit(client: TestClient) -> None:
    message = check(client.post("/similarity", content=b" " * (MAX_BYTES + 1), headers=JSON), 413, "body_too_large")
    assert f"at most {MAX_BYTES} bytes, got {MAX_BYTES + 1}" in message


def test_chunked_body_beyond_the_limit(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(MAX_BYTES):
            yield b"          "

    message = check(client.post("/similarity", content=chunks(), headers=JSON), 413, "body_too_large")
    assert "or more" in message


def test_messages_never_repeat_much_of_the_input(client: TestClient) -> None:
    secret = "s" * (MAX_CHARS + 1)
    for body in (
        {"sentence1": secret, "sentence2": "b"},
        {secret: "a"},
        {"sentence1": [{secret: 1}], "sentence2": secret},
    ):
        reply = client.post("/similarity", json=body)
        assert reply.status_code == 422
        assert len(reply.text) < 300
    reply = client.get("/" + secret)
    assert reply.status_code == 404
    assert len(reply.text) < 300


def test_many_mistakes_cost_no_more_than_one(client: TestClient) -> None:
    numbers = client.post("/similarity", json={"sentence1": [1] * 5000, "sentence2": [2] * 5000})
    check(numbers, 422, "invalid_schema", "sentence1[0]")
    fields = client.post("/similarity", json={f"f{number}": 0 for number in range(1000)})
    check(fields, 422, "invalid_schema", "f0")
