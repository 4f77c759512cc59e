"""What a folder was made of: what differs is named, and nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from cmow.service.errors import BundleError
from training.data.identity import MOST_NAMED, Identity, recorded
from training.errors import StaleError


@dataclass(frozen=True)
class Options:
    data: Path = Path("data")
    runs: tuple[Path, ...] = (Path("a"), Path("b"))
    seed: int = 0
    out: Path = Path("runs")
    device: str = "auto"
    threads: int = 2


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "train.gz").write_bytes(b"one")
    return tmp_path / "train.gz"


def test_options_are_recorded_but_for_where_a_run_computes() -> None:
    assert recorded(Options()) == {"data": "data", "runs": ["a", "b"], "seed": 0}


def test_it_comes_back_from_its_file(file: Path, tmp_path: Path) -> None:
    identity = Identity.of(recorded(Options()), [file, file])
    assert Identity.read(tmp_path / "run.json") is None
    identity.write(tmp_path / "run.json")
    assert Identity.read(tmp_path / "run.json") == identity == Identity.parsed(identity.record(), file)
    (tmp_path / "run.json").write_text('{"options": {}}')
    with pytest.raises(BundleError, match="files: expected a value, found none"):
        Identity.read(tmp_path / "run.json")
    with pytest.raises(StaleError, match=r"expected options and files as this version keeps them"):
        Identity.parsed({"teacher": "old"}, file)


def test_what_differs_is_named_alone(file: Path, tmp_path: Path) -> None:
    (gone := tmp_path / "gone.gz").touch()
    then = Identity.of({"seed": 0, "max_tokens": 64, "lr": 0.1}, [file, gone])
    file.write_bytes(b"two")
    (new := tmp_path / "new.gz").touch()
    now = Identity.of({"seed": 1, "max_tokens": 64, "depth": 2}, [file, new])
    with pytest.raises(StaleError) as raised:
        now.check(then, tmp_path)
    changes = str(raised.value).removeprefix(f"{tmp_path}: made with others: ").split(". Take another --out")[0]
    assert changes.split("; ") == [
        "--seed was 0, is 1",
        "--lr was 0.1, is not there",
        "--depth was not there, is 2",
        f"{gone} was read, is gone",
        f"{new} is new",
        "and 1 more",
    ]
    assert len(changes.split("; ")) == MOST_NAMED + 1


def test_the_content_decides_and_is_read_once(file: Path, tmp_path: Path) -> None:
    then = Identity.of({}, [file])
    os.utime(file, ns=(1, 1))
    Identity.of({}, [file], then).check(then, tmp_path)
    touched = Identity.of({}, [file])
    file.write_bytes(b"two")  # as many bytes
    os.utime(file, ns=(1, 1))
    assert Identity.of({}, [file], touched) == touched  # of a known size and time: not read again
    with pytest.raises(StaleError, match=r"train\.gz has changed"):
        Identity.of({}, [file], then).check(then, tmp_path)
