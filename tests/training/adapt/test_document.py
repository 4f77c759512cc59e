"""The worked example of docs/adapt.md, from its CSV to its curl."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from training.adapt.options import AdaptConfig
from training.command.start import start

DOCUMENT = Path(__file__).parents[3] / "docs/adapt.md"

pytestmark = pytest.mark.bundle


def test_the_worked_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = DOCUMENT.read_text(encoding="utf-8").split("## A worked example")[1]
    (made,) = re.findall(r"<<'PY'\n(.*?)\n    PY\n", example, re.DOTALL)
    exec("\n".join(line[4:] for line in made.splitlines()), {})
    (command,) = re.findall(r"^    python -m training\.adapt (.*)$", example, re.MULTILINE)
    monkeypatch.setattr("sys.argv", ["adapt", *shlex.split(command), "--steps", "50", "--general", "300"])
    start(AdaptConfig, "training.adapt.command:adapt")
    (serve,) = re.findall(r"^    (cmow-serve .*)$", example, re.MULTILINE)
    assert serve in capsys.readouterr().out
    (curl,) = re.findall(r"^    (curl .*)", example, re.MULTILINE | re.DOTALL)
    words = shlex.split(curl)
    with TestClient(create_app(Settings(bundle=Path("mybundle")))) as client:
        reply = client.post(re.sub(r"^.*?(?=/)", "", words[2]), json=json.loads(words[words.index("-d") + 1]))
    same, other = reply.json()["scores"]
    assert same > 0.5 > other
