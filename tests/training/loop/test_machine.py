"""What benchmarks print of the machine."""

from importlib.metadata import version
from pathlib import Path

import pytest

from training.loop.machine import machine, processor

TWO_CORES = """\
processor\t: 0
cpu family\t: 26
model\t\t: 2
model name\t: AMD EPYC

processor\t: 1
cpu family\t: 6
model name\t: another
"""


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (TWO_CORES, "AMD EPYC, cpu family 26, model 2"),
        ("processor\t: 0\nmodel name\t: Virtual: x2\n", "Virtual: x2"),
    ],
)
def test_the_first_processor_names_the_machine(tmp_path: Path, content: str, name: str) -> None:
    (tmp_path / "cpuinfo").write_text(content)
    assert processor(tmp_path / "cpuinfo") == name


def test_a_machine_that_tells_nothing_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("CPU part\t: 0xd4f\n")
    assert processor(tmp_path / "cpuinfo") == processor(tmp_path / "absent") != ""


def test_only_what_is_installed_has_a_version() -> None:
    about = machine(["numpy", "no-such-package"])
    assert about["versions"].keys() == {"numpy", "python"}
    assert about["versions"]["numpy"] == version("numpy")
