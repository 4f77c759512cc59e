"""Options of the training commands: numbers out of range end the command before any work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from export.bench.__main__ import BenchConfig
from training.data.reading import Reading
from training.evaluate import EvaluateConfig
from training.finetune import FinetuneConfig
from training.options import AtLeastTwo, Count, Share, parse_options, ranges
from training.pair_teacher import PairTeacherConfig
from training.paper.glue import GlueConfig
from training.paper.pretrain import PretrainConfig


@dataclass(frozen=True)
class Options:
    """One field of each sort."""

    out: Path = Path("runs")
    whole: int = 5
    switched_off: int = 0
    rate: float = 0.1
    share: Share = 0.5
    folds: AtLeastTwo = 5
    count: Count = None
    flag: bool = False


def test_numbers_in_range_are_taken() -> None:
    arguments = ["--whole", "1", "--switched-off", "0", "--rate", "0", "--share", "1", "--folds", "2", "--flag"]
    assert parse_options(Options, ["--count", "0"]) == Options(count=0)
    assert parse_options(Options, arguments) == Options(whole=1, rate=0.0, share=1.0, folds=2, flag=True)


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("whole", "0", "at least 1, got 0"),
        ("switched-off", "-1", "at least 0, got -1"),
        ("rate", "-0.1", "at least 0, got -0.1"),
        ("rate", "nan", "at least 0, got nan"),
        ("rate", "inf", "at least 0, got inf"),
        ("share", "1.5", "from 0 to 1, got 1.5"),
        ("count", "-1", "at least 0, got -1"),
        ("folds", "1", "at least 2, got 1"),
        ("whole", "two", "invalid int value: 'two'"),
    ],
)
def test_a_number_out_of_range_is_named(
    argument: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_options(Options, [f"--{argument}={value}"])
    message = capsys.readouterr().err
    assert f"--{argument}" in message
    assert expected in message


def test_an_unknown_option_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_options(Options, ["--wohle", "3"])
    assert "unrecognized arguments: --wohle" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["a.csv b.csv --threads 7", "--threads 7 a.csv b.csv", "a.csv --threads 7 b.csv"])
def test_files_stand_anywhere_between_options(line: str) -> None:
    options = parse_options(EvaluateConfig, line.split())
    assert options == EvaluateConfig(files=[Path("a.csv"), Path("b.csv")], threads=7)


def test_a_list_takes_as_many_values_as_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    options = parse_options(EvaluateConfig, ["--fields", "a", "b", "c", "x.csv"])
    assert (options.fields, options.files) == (["a", "b", "c"], [Path("x.csv")])
    with pytest.raises(SystemExit, match="2"):
        parse_options(Reading, ["--scale", "1"])
    assert "--scale: expected 2 arguments" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [BenchConfig, FinetuneConfig, GlueConfig, PairTeacherConfig, PretrainConfig])
def test_defaults_are_in_range(kind: Any) -> None:
    allowed = ranges(kind)
    assert len(allowed) > 5
    assert all(allowed[name].least <= getattr(kind, name) <= allowed[name].most for name in allowed)
