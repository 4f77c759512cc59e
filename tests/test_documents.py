"""README and docs: their requests are sent, their Python is run, and whatever they name is there."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cmow.service.bulk import cli
from cmow.service.options.settings import Settings, setting_options
from cmow.service.serve.app import create_app

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [ROOT / name for name in ("MODEL_CARD.md", "CONTRIBUTING.md", "CHANGELOG.md")]
EXAMPLE = re.compile(r"^\$ (curl .*?)\n(\{.*?\})\n(?=\n|```|\$)", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(import cmow\n.*?)^```$", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"-m ((?:training|export|loadtest|cmow)(?:\.\w+)*)")
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)\)")
FLAG = re.compile(r"(?<!\S)(--[a-z][\w-]*)")
FOLDERS = ("service", "training", "export", "loadtest")

by_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.name))


def examples() -> list[tuple[str, str]]:
    """(command, answer) of every curl call that shows its answer."""
    return [example for document in DOCUMENTS for example in EXAMPLE.findall(document.read_text(encoding="utf-8"))]


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


@pytest.mark.bundle
@pytest.mark.parametrize(("command", "answer"), sorted(set(examples())))
def test_the_answer_is_the_one_printed(client: TestClient, command: str, answer: str) -> None:
    words = shlex.split(command.replace("\\\n", " "))
    path = next(word for word in words if "://" in word or word.startswith("localhost"))
    body = words[words.index("--json") + 1]
    reply = client.post("/" + path.rsplit("/", 1)[1], json=json.loads(body))
    assert reply.status_code == 200
    assert_close(reply.json(), json.loads(answer))


@pytest.mark.bundle
@pytest.mark.parametrize("document", [README, ROOT / "docs/api.md"], ids=lambda path: str(path.name))
def test_its_python_runs(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = PYTHON.findall(document.read_text(encoding="utf-8"))
    exec(compile(code, str(document), "exec"), {})
    if document == README:
        assert len([line for line in code.splitlines() if line]) <= 5
        assert capsys.readouterr().out.startswith("[ 0.785")


def test_the_readme_is_one_page() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


@by_document
def test_the_modules_that_it_runs_exist(document: Path) -> None:
    for name in set(MODULE.findall(document.read_text(encoding="utf-8"))):
        spec = find_spec(name)
        assert spec is not None, name
        source = find_spec(f"{name}.__main__") if spec.submodule_search_locations else spec
        assert source is not None, name
        assert source.origin is not None
        assert '__name__ == "__main__"' in Path(source.origin).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("document", [*DOCUMENTS, *OTHERS], ids=lambda path: str(path.name))
def test_its_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


@by_document
def test_its_flags_exist(document: Path) -> None:
    known = {f"--{option.name.replace('_', '-')}" for option in setting_options()} | {"--help"}
    known |= {flag for action in cli._parser()._actions for flag in action.option_strings}
    commands = re.findall(
        r"^ {4}.*?\b(cmow-(?:serve|score)\b[^#\n|]*)", document.read_text(encoding="utf-8"), re.MULTILINE
    )
    for command in commands:
        assert set(FLAG.findall(command)) <= known, command


def test_the_tree_is_complete() -> None:
    """Every module is named in its folder, and nothing else is."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    listed, folders = set(), [""]
    for line in text[text.index("```\nservice/") :].split("```")[1].strip().splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folders[depth:] = [folders[depth - 1] + name] if depth else [name]
        if not name.endswith("/"):
            listed.add(folders[depth - 1] + name)
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert listed == there
