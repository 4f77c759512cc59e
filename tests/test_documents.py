"""README and docs: their requests are sent, their Python is run, and whatever they name is there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from starlette.testclient import TestClient

import cmow
from cmow.service.bulk import cli
from cmow.service.dedupe import cli as dedupe_cli
from cmow.service.options.settings import Settings, setting_options
from cmow.service.serve.app import create_app
from export.ops import pairs_reference
from export.ops.hybrid_reference import hybrid_encode, unit

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [ROOT / name for name in ("MODEL_CARD.md", "CONTRIBUTING.md", "CHANGELOG.md")]
EXAMPLE = re.compile(r"^\$ (curl .*?)\n(\{.*?\})\n(?=\n|```|\$)", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"-m ((?:training|export|loadtest|cmow)(?:\.\w+)*)")
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)\)")
PATH = re.compile(r"(?<![\w/.:-])((?:service|training|export|loadtest|tests|deploy|docs|src)/[\w./-]*\w)")
FLAG = re.compile(r"(?<!\S)(--[a-z][\w-]*)")
OF_TRAINING_AND_COMPARISON = ("adapt.md", "training.md", "performance.md")  # whose flags belong to other commands
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
@pytest.mark.parametrize(
    "document", [README, ROOT / "docs/api.md", ROOT / "docs/dedupe.md"], ids=lambda path: str(path.name)
)
def test_its_python_runs(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = PYTHON.findall(document.read_text(encoding="utf-8"))
    exec(compile(code, str(document), "exec"), {})
    if document == README:
        assert len([line for line in code.splitlines() if line]) <= 5
        assert capsys.readouterr().out.startswith("[ 0.788")


def test_the_readme_is_one_page() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_every_python_is_run() -> None:
    blocks = {document.name: len(PYTHON.findall(document.read_text(encoding="utf-8"))) for document in DOCUMENTS}
    assert {name: count for name, count in blocks.items() if count} == {
        "README.md": 1,
        "api.md": 1,
        "dedupe.md": 1,
        "ops.md": 2,
    }


def test_the_lines_of_the_ops_are_the_references() -> None:
    embedding, block = PYTHON.findall((ROOT / "docs/ops.md").read_text(encoding="utf-8"))
    draw = np.random.default_rng(0).standard_normal
    n, m, e, d, w, q = 7, 5, 6, 3, 8, 4

    F, R, c = draw((n, d, d)), draw((n, d, d)), draw((n, e))
    names: dict[str, Any] = {
        "torch": torch,
        "multi_dot": torch.linalg.multi_dot,
        "unit": lambda product: torch.from_numpy(unit(product.numpy())),
    } | {name: torch.from_numpy(array) for name, array in {"F": F, "R": R, "c": c}.items()}
    exec(embedding, names)
    (expected,) = hybrid_encode(np.arange(n), np.array([0, n]), c, F - np.eye(d), R - np.eye(d))
    np.testing.assert_allclose(names["embedding"], expected, atol=1e-9)

    def weights(*shape: int) -> tuple[Any, Any]:
        return (20 * draw(shape)).clip(-63, 63).astype(np.int8), np.abs(draw(shape[-1])) / 60

    own, other = draw((n, w)), draw((m, w))
    layers = {"mix": weights(w, 3 * w), "key": weights(w, q), "fuse": [weights(w, w) for _ in range(4)]}
    biases = {"mix_bias": draw(w), "key_bias": draw(q), "fuse_bias": draw(w)}
    mixed = [pairs_reference.mix(side, *layers["mix"], biases["mix_bias"]) for side in (own, other)]
    keys = [pairs_reference.product(side, *layers["key"]) + biases["key_bias"] for side in mixed]
    found = pairs_reference.attend(*keys, mixed[1])
    fused = pairs_reference.fuse(mixed[0], found, *zip(*layers["fuse"], strict=True), biases["fuse_bias"])

    names = layers | {name: torch.from_numpy(bias) for name, bias in biases.items()}
    names |= {
        "X": torch.from_numpy(own),
        "Y": torch.from_numpy(mixed[1]),
        "Q": lambda side, layer: torch.from_numpy(pairs_reference.product(side.numpy(), *layer)),
        "shift": lambda side, by: torch.from_numpy(shifted(side.numpy(), by)),
        "hardswish": torch.nn.functional.hardswish,
        "sqrt": np.sqrt,
        "q": q,
    }
    exec(block, names)
    np.testing.assert_allclose(names["X"], fused, atol=1e-9)


def shifted(rows: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    """``rows`` moved down ``by`` places, with zeros in their stead."""
    moved = np.roll(rows, by, axis=0)
    moved[:by] = 0 if by > 0 else moved[:by]
    moved[by:] = 0 if by < 0 else moved[by:]
    return moved


@pytest.mark.parametrize("document", [*DOCUMENTS, *OTHERS], ids=lambda path: str(path.name))
def test_the_modules_that_it_runs_exist(document: Path) -> None:
    for name in set(MODULE.findall(document.read_text(encoding="utf-8"))):
        spec = find_spec(name)
        assert spec is not None, name
        source = find_spec(f"{name}.__main__") if spec.submodule_search_locations else spec
        assert source is not None, name
        assert source.origin is not None
        assert '__name__ == "__main__"' in Path(source.origin).read_text(encoding="utf-8"), name


@pytest.mark.parametrize(
    ("module", "flags"),
    [
        ("loadtest.cost.overhead", set()),
        ("loadtest.endurance.conformance", {"--examples"}),
        ("loadtest.endurance.soak", set()),
        ("training.minimal_pairs", {"--data"}),
        ("training.evaluate", {"--task", "--fields", "--labels", "--scale", "--plot", "--json"}),
    ],
)
def test_a_sample_of_them_says_how_it_is_called(module: str, flags: set[str]) -> None:
    found_here = os.environ | {"PYTHONPATH": str(Path(cmow.__file__).parents[1])}
    ran = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, env=found_here, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("usage: ")
    assert flags <= set(re.findall(r"--[a-z][\w-]*", ran.stdout))


# The changelog names what is no longer there.
@pytest.mark.parametrize("document", [*DOCUMENTS, *OTHERS[:2]], ids=lambda path: str(path.name))
def test_the_paths_that_it_names_exist(document: Path) -> None:
    for path in set(PATH.findall(document.read_text(encoding="utf-8"))):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("document", [*DOCUMENTS, *OTHERS], ids=lambda path: str(path.name))
def test_its_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


@by_document
def test_its_flags_exist(document: Path) -> None:
    known = {f"--{option.name.replace('_', '-')}" for option in setting_options()} | {"--help"}
    parsers = cli._parser(), dedupe_cli._parser()
    known |= {flag for parser in parsers for action in parser._actions for flag in action.option_strings}
    text = document.read_text(encoding="utf-8")
    commands = re.findall(
        r"^ {4}.*?\b(cmow-(?:dedupe|serve|score)\b[^#\n|]*)|`(cmow-(?:dedupe|serve|score)\b[^`]*)`", text, re.MULTILINE
    )
    if document.name not in OF_TRAINING_AND_COMPARISON:
        commands += [(flag, "") for flag in re.findall(r"`(--[^`]*)`", text)]
    for command in map("".join, commands):
        assert set(FLAG.findall(command)) <= known, command


def test_the_tree_is_complete() -> None:
    """Every module is named in its folder, and nothing else is."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    listed, folders = set(), [""]
    for line in text[text.index("```\nsrc/cmow/") :].split("```")[1].strip().splitlines():
        assert len(line.split()) > 1, line
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folders[depth:] = [folders[depth - 1] + name] if depth else [name]
        if not name.endswith("/"):
            listed.add(folders[depth - 1] + name)
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    } | {path.relative_to(ROOT).as_posix() for path in (ROOT / "src/cmow").glob("*.py")}
    assert listed == there


def test_no_folder_is_crowded() -> None:
    """Two levels of folders, each of one job that a glance at its modules shows."""
    modules = [path for name in FOLDERS for path in (ROOT / name).rglob("*.py") if path.name != "__init__.py"]
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in modules)
    assert {folder: count for folder, count in counts.items() if count > 12} == {}
