"""The README's requests, sent as they stand there: the answers must be the ones printed beneath them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app

pytestmark = pytest.mark.bundle

README = Path(__file__).parent.parent / "README.md"
EXAMPLE = re.compile(r"^\$ (curl .*?)\n(\{.*?\})\n(?=\n|```|\$)", re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, str]]:
    """(command, answer) of every curl call that shows its answer."""
    return EXAMPLE.findall(README.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Settings())) as client:
        yield client


def assert_close(found: Any, printed: Any) -> None:
    """Equal but for the last digits that another instruction set may change."""
    if isinstance(printed, dict):
        assert found.keys() == printed.keys()
        for key, value in printed.items():
            assert_close(found[key], value)
    elif isinstance(printed, list):
        assert len(found) == len(printed)
        for one, other in zip(found, printed, strict=True):
            assert_close(one, other)
    else:
        assert found == (pytest.approx(printed, abs=2e-3) if isinstance(printed, float) else printed)


def test_there_are_examples_of_both_endpoints() -> None:
    commands = " ".join(command for command, _ in examples())
    assert "/similarity" in commands
    assert "/entailment" in commands


@pytest.mark.parametrize(("command", "answer"), examples())
def test_the_answer_is_the_one_printed(client: TestClient, command: str, answer: str) -> None:
    words = shlex.split(command.replace("\\\n", " "))
    path = next(word for word in words if "://" in word or word.startswith("localhost"))
    body = words[words.index("--json") + 1]
    reply = client.post("/" + path.rsplit("/", 1)[1], json=json.loads(body))
    assert reply.status_code == 200
    assert_close(reply.json(), json.loads(answer))
