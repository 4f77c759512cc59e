"""Records in files: what comes back, and what every fault is called: its place, what was expected, what was found."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from cmow.service.errors import BundleError
from cmow.service.model.record import MOST_BYTES, Record, read_record, write_record


class Leaf(Record, frozen=True):
    size: Annotated[int, Meta(ge=1)]

    def __post_init__(self) -> None:
        if self.size == 13:
            raise ValueError("expected another number, found 13")


class Tree(Record, frozen=True):
    version: Literal[1]
    mode: Literal["a", "b"] | None
    weight: float
    leaves: dict[str, Leaf]
    parts: list[Leaf]
    scores: dict[str, dict[str, float]]
    name: str = "tree"


TREE = Tree(1, "a", 0.5, {"x.y": Leaf(1)}, [Leaf(2), Leaf(3)], {"dev": {"accuracy": 0.25}})
JSON = {
    "version": 1,
    "mode": "a",
    "weight": 0.5,
    "leaves": {"x.y": {"size": 1}},
    "parts": [{"size": 2}, {"size": 3}],
    "scores": {"dev": {"accuracy": 0.25}},
    "name": "tree",
}


def fault(path: Path, content: bytes | dict[str, Any]) -> str:
    """What reading ``content`` says after the path."""
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(BundleError) as caught:
        read_record(path, Tree)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tree.json"


def test_what_is_written_is_read(path: Path) -> None:
    write_record(path, TREE)
    assert json.loads(path.read_text()) == JSON
    assert list(json.loads(path.read_text())) == list(JSON)
    assert path.read_text() == json.dumps(JSON, indent=2) + "\n"
    assert read_record(path, Tree) == TREE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        json.dumps(JSON).encode("utf-16"),
        json.dumps(JSON).encode("utf-8-sig"),
        json.dumps(JSON).encode() + b"}",
        json.dumps(JSON | {"weight": float("nan")}).encode(),
        json.dumps(JSON | {"name": "\ud800"}).encode(),
        b'{"name": "\xed\xa0\x80"}',
        b"[" * 100_000,
        b'{"version": ' * 50_000,
        b'{"name": ' + b"[" * 100_000,
        b'{"version": ' + b"1" * 5000 + b"}",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_no_json(path: Path, content: bytes) -> None:
    found = f"found {len(content)} bytes of something else: "
    assert re.fullmatch(f"content: expected JSON in UTF-8, {found}.+", fault(path, content))


def test_a_file_of_more_bytes_than_any_record(path: Path) -> None:
    content = json.dumps(JSON).encode()
    path.write_bytes(content + b" " * (MOST_BYTES - len(content)))
    assert read_record(path, Tree) == TREE
    path.write_bytes(content + b" " * (MOST_BYTES - len(content) + 1))
    with pytest.raises(BundleError, match=f"tree.json: expected at most {MOST_BYTES} bytes, found more"):
        read_record(path, Tree)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "version: expected 1, found 2"),
        ({"version": "1"}, "version: expected 1, found '1'"),
        ({"mode": "c"}, "mode: expected 'a' or 'b' or None, found 'c'"),
        ({"mode": 5}, "mode: expected 'a' or 'b' or None, found 5"),
        ({"weight": "1"}, "weight: expected float, found '1'"),
        ({"weight": True}, "weight: expected float, found True"),
        ({"weight": 10**400}, "weight: expected a finite number, found 1" + "0" * 79),
        ({"leaves": []}, "leaves: expected object, found []"),
        ({"leaves": {"x.y": {"size": 0}}}, "leaves.x.y.size: expected int >= 1, found 0"),
        ({"leaves": {"x.y": {"size": 1.0}}}, "leaves.x.y.size: expected int, found 1.0"),
        ({"leaves": {"a": {"size": 1}, "b": {}}}, "leaves.b.size: expected a value, found none"),
        ({"leaves": {"x": {"size": 13}}}, "leaves.x: expected another number, found 13"),
        ({"parts": [{"size": 1}, {"size": None}]}, "parts[1].size: expected int, found None"),
        ({"parts": {}}, "parts: expected array, found {}"),
        ({"scores": {"dev": {"accuracy": "x" * 100}}}, "scores.dev.accuracy: expected float, found '" + "x" * 79),
        ({"name": None}, "name: expected str, found None"),
        ({"more": [1]}, "more: expected no field of this name, found [1]"),
        ({"parts": [7, 8], "version": 3}, "version: expected 1, found 3 (and 2 more)"),
    ],
)
def test_faults(path: Path, change: dict[str, Any], says: str) -> None:
    assert fault(path, JSON | change) == says


@pytest.mark.parametrize(("content", "found"), [(b"[]", "[]"), (b"null", "None"), (b'"x"', "'x'"), (b"1", "1")])
def test_no_object(path: Path, content: bytes, found: str) -> None:
    assert fault(path, content) == f"content: expected object, found {found}"


def test_numbers_beyond_float64(path: Path) -> None:
    content = json.dumps(JSON).replace("0.25", "-1e999").encode()
    assert fault(path, content) == "scores.dev.accuracy: expected a finite number, found -inf"


def test_a_field_that_comes_twice(path: Path) -> None:
    content = json.dumps(JSON).replace('"weight"', '"weight": "heavy", "weight"').encode()
    assert re.match(r"content: expected each field once, found one again: .*weight", fault(path, content))


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to ``value`` and to everything in it."""
    yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*at, key))


@pytest.mark.parametrize("at", list(places(JSON))[1:], ids=lambda at: ".".join(map(str, at)))
def test_any_other_type_at_any_place(path: Path, at: tuple[Any, ...]) -> None:
    named = re.sub(r"\.\[", "[", ".".join(f"[{key}]" if isinstance(key, int) else key for key in at))
    for value in (None, True, -1, 10**30, 1e300, "other", [], [[None]], {}, {"size": {}}):
        content = copy.deepcopy(JSON)
        *way, last = at
        holder: Any = content
        for key in way:
            holder = holder[key]
        holder[last] = value
        try:
            path.write_text(json.dumps(content))
            read_record(path, Tree)
        except BundleError:
            says = fault(path, content)
            assert re.match(re.escape(named) + r"[\w.\[\]]*: expected .+, found .+", says)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (Tree(1, None, float("nan"), {}, [], {}), "weight: expected float, found None"),
        (Tree(1, "c", 1, {}, [Leaf(0)], {}), r"mode: expected 'a' or 'b' or None, found 'c' \(and 1 more\)"),
    ],
)
def test_nothing_is_written_that_cannot_be_read(path: Path, record: Tree, says: str) -> None:
    path.write_text("before")
    with pytest.raises(BundleError, match=says):
        write_record(path, record)
    assert path.read_text() == "before"
