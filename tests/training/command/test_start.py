"""Every command knows its options before it imports what its work needs, and ends in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from training.command.start import start
from training.data.files import DataError
from training.options import Threaded

ROOT = Path(__file__).parents[3]
HEAVY = ("torch", "transformers", "onnx")
STARTED = re.compile(r'\bstart(?:_with)?\(.*"([\w.]+):(\w+)"\)$', re.MULTILINE)
COMMANDS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__"): STARTED.findall(path.read_text())
    for folder in ("training", "export")
    for path in (ROOT / folder).rglob("*.py")
    if '__name__ == "__main__"' in path.read_text()
}
SHOW = """
import contextlib, runpy, sys
with contextlib.suppress(SystemExit):
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
print(*sys.modules, file=sys.stderr)
"""


@dataclass(frozen=True)
class Options(Threaded):
    """Only what every command takes."""


def work(config: Options) -> None:
    raise {1: DataError("x.gz: damaged"), 2: KeyboardInterrupt(), 3: OSError(28, "No space left on device", "y")}[
        config.threads
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command: str) -> None:
    done = subprocess.run([sys.executable, "-c", SHOW, command, "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.startswith("usage: ")
    assert "--threads" in done.stdout
    assert set(HEAVY) & set(done.stderr.split()) == set()


@pytest.mark.parametrize("command", [command for command, found in COMMANDS.items() if found])
def test_the_work_of_a_command_is_there(command: str) -> None:
    ((module, function),) = COMMANDS[command]
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize(
    ("threads", "status", "line"),
    [
        (1, 2, "error: x.gz: damaged\n"),
        (2, 130, "interrupted: the same command begins again, or goes on from its last checkpoint\n"),
        (3, 2, "error: expected to read or write a file: [Errno 28] No space left on device: 'y'\n"),
    ],
)
def test_a_command_ends_in_one_line(
    threads: int, status: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["command", "--threads", str(threads)])
    monkeypatch.setattr("training.command.start.limit_threads", lambda count: None)
    with pytest.raises(SystemExit) as ended:
        start(Options, f"{__name__}:work")
    assert ended.value.code == status
    assert capsys.readouterr().err == line


def test_threads_reach_the_libraries() -> None:
    show = "from training.command.threads import limit_threads as l; l(1); import torch; print(torch.get_num_threads())"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "1\n"
