"""What lies where the output is to go: nothing is lost that no run of ``cmow-score`` wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cmow.service.files.sinks import PartialFile, Position
from tests.service.bulk.conftest import Score

GOOD = '{"sentence1": "a dog", "sentence2": "music"}\n'
SIMILARITY = ["--task", "similarity", "--input-format", "jsonl", "--output-format", "jsonl"]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("flags", [[], ["--restart"]])
@pytest.mark.parametrize("name", ["out.jsonl.partial", "out.jsonl.partial.json"])
@pytest.mark.parametrize("linked", [False, True])
def test_the_input_is_never_what_the_run_writes(
    tmp_path: Path,
    pairs: Path,
    score: Score,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    name: str,
    linked: bool,
) -> None:
    source = tmp_path / name
    if linked:
        source.hardlink_to(pairs)
    else:
        pairs.rename(source)
    assert score(pairs if linked else source, *SIMILARITY, "-o", tmp_path / "out.jsonl", *flags) == 2
    assert "expected another input than what the run writes" in capsys.readouterr().err
    assert source.read_text() == GOOD


def test_a_partial_file_without_its_state_is_somebody_elses(
    tmp_path: Path, pairs: Path, score: Score, capsys: pytest.CaptureFixture[str]
) -> None:
    out, partial = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial"
    partial.write_text("precious")
    assert score(pairs, *SIMILARITY, "-o", out) == 2
    assert f"{partial}: expected {partial.name}.json beside it, found none; --restart" in capsys.readouterr().err
    assert partial.read_text() == "precious"
    assert score(pairs, *SIMILARITY, "-o", out, "--restart") == 0
    assert out.exists()


def test_a_run_killed_before_its_first_state_goes_on(tmp_path: Path) -> None:
    with PartialFile(tmp_path / "out", {"input": "a"}, restart=False):
        (tmp_path / "out.partial").write_bytes(b"to")  # what a kill within the first block leaves
    with PartialFile(tmp_path / "out", {"input": "b"}, restart=False) as sink:
        assert sink.position == Position()
    assert (tmp_path / "out.partial").read_bytes() == b""


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
@pytest.mark.parametrize("name", ["out", "out.partial", "out.partial.json"])
def test_only_regular_files_are_written(
    tmp_path: Path, pairs: Path, score: Score, capsys: pytest.CaptureFixture[str], kind: str, name: str
) -> None:
    path = tmp_path / name
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
    before = path.lstat()
    assert score(pairs, *SIMILARITY, "-o", tmp_path / "out", "--overwrite") == 2
    assert f"{path}: expected a regular file or none, found something else" in capsys.readouterr().err
    assert path.lstat() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "pairs.jsonl"])


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_stays_and_its_file_is_written(tmp_path: Path, pairs: Path, score: Score, dangling: bool) -> None:
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "out.jsonl", tmp_path / "link.jsonl"
    if not dangling:
        real.write_text("old")
    link.symlink_to(real)
    assert score(pairs, *SIMILARITY, "-o", link, "--overwrite") == 0
    assert link.is_symlink()
    assert real.read_text().startswith('{"sentence1": "a dog"')
    assert [path.name for path in real.parent.iterdir()] == ["out.jsonl"]
