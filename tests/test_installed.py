"""What the installed distribution brings, and that it works away from the checkout."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import pytest

pytestmark = pytest.mark.bundle

SCRIPT = """
import sys
import cmow

with cmow.load() as model:
    assert model.similarity("A man eats.", ["A man is eating.", "It rains."]).argmax() == 0
    assert model.entailment("Two men play football.", "Some men do sport.").labels == ["entailment"]
heavy = {"fastapi", "starlette", "uvicorn", "torch", "transformers", "onnx", "service", "training", "export"}
print(sorted(heavy & sys.modules.keys()))
"""


def top_level_names() -> set[str]:
    """The first folder of everything that was installed into site-packages."""
    installed = [path.parts[0] for path in files("cmow") or [] if path.parts[0] != ".."]
    return {name for name in installed if not name.endswith(".dist-info")}


def test_only_the_package_and_its_libraries_are_installed() -> None:
    names = top_level_names()
    if any(name.endswith((".pth", ".py")) for name in names):
        pytest.skip("an editable install leads to the checkout and holds nothing")
    assert {"cmow"} <= names <= {"cmow", "cmow_native"}


def test_the_commands_and_the_model_are_installed() -> None:
    installed = {path.as_posix() for path in files("cmow") or []}
    if not any(name.startswith("cmow/") for name in installed):
        pytest.skip("an editable install leads to the checkout and holds nothing")
    assert {"cmow/py.typed", "cmow/service/bundle/manifest.json", "cmow/service/page/assets/index.html"} <= installed
    assert {Path(name).name for name in installed if name.startswith("../")} >= {
        "cmow-dedupe",
        "cmow-serve",
        "cmow-score",
    }
    assert not [name for name in installed if name.endswith((".cpp", ".h", ".cu", "CMakeLists.txt"))]


def test_it_works_anywhere(tmp_path: Path) -> None:
    """In isolated mode neither the working directory nor the environment leads to the checkout."""
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
