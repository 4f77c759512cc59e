"""A key twice is found however many keys an object has: its cost grows with them, not with their square."""

from __future__ import annotations

import json

import pytest

from cmow.service.errors import MalformedBodyError
from cmow.service.text.strict_json import parse_json


def test_a_key_twice_behind_many_others() -> None:
    members = [f'"key{row}": 0' for row in range(200_000)]
    body = "{" + ", ".join([*members, members[-1]]) + "}"
    with pytest.raises(MalformedBodyError, match="got 'key199999' twice"):
        parse_json(body.encode())


def test_keys_of_other_objects_may_be_the_same() -> None:
    body = json.dumps({"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]})
    assert parse_json(body.encode()) == json.loads(body)
