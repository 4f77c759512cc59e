"""Hugging Face datasets, offline: small ones that lie on disk, with the columns and label numbers of the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

datasets = pytest.importorskip("datasets", reason="the train extra is not installed")

from tests.training.tiny_project import write_data  # noqa: E402
from training.data.files import DataError  # noqa: E402
from training.data.hub import is_data_folder, running_text  # noqa: E402
from training.paper.tasks import Examples, read_split  # noqa: E402


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def write_dataset(folder: Path, subsets: dict[str, dict[str, list[dict[str, object]]]]) -> Path:
    """A dataset as the hub keeps it: files, and in README.md which of them make a configuration's splits."""
    lines = ["---", "configs:"]
    for subset, splits in subsets.items():
        lines += [f"- config_name: {subset}", "  data_files:"]
        for split, rows in splits.items():
            path = folder / subset / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            lines += [f"  - split: {split}", f"    path: {subset}/{split}.jsonl"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))
    return folder


def read(task: str, data: Path, split: str = "train") -> Examples:
    found = read_split(task, data, split)
    assert found is not None
    return found


def test_tasks_are_read_with_their_columns_and_labels(tmp_path: Path) -> None:
    data = write_dataset(
        tmp_path / "glue",
        {
            "cola": {
                "train": [{"sentence": "they go", "label": 1, "idx": 0}],
                "validation": [{"sentence": "go they", "label": 0, "idx": 0}],
            },
            "stsb": {"train": [{"sentence1": "a", "sentence2": "b", "label": 2.5, "idx": 0}]},
            "mnli": {"validation_matched": [{"premise": "p", "hypothesis": "h", "label": 2, "idx": 0}]},
        },
    )
    assert not is_data_folder(data)
    assert read("cola", data) == Examples([("they go",)], pytest.approx([1]))
    assert read("cola", data, "dev") == Examples([("go they",)], pytest.approx([0]))
    assert read("stsb", data) == Examples([("a", "b")], pytest.approx([0.5]))
    assert read("mnli", data, "dev") == Examples([("p", "h")], pytest.approx([2]))
    with pytest.raises(DataError, match=r"rte train: expected a folder with one of nli, .* or a dataset's name"):
        read("rte", data)


def test_rows_without_a_gold_label_are_left_out_and_wrong_ones_refused(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"premise": "p", "hypothesis": "h", "label": -1},
        {"premise": "q", "hypothesis": "g", "label": 1},
    ]
    snli = write_dataset(tmp_path / "snli", {"plain_text": {"train": rows}})
    assert read("snli", snli).texts == [("q", "g")]
    wrong = write_dataset(tmp_path / "wrong", {"plain_text": {"train": [*rows, {**rows[0], "label": 3}]}})
    with pytest.raises(DataError, match="expected label from 0 to 2, found 3"):
        read("snli", wrong)
    with pytest.raises(DataError, match=r"expected columns \['relatedness_score', 'sentence_A', 'sentence_B'\], found"):
        read("sick-r", snli)


def test_running_text_comes_from_a_folder_or_a_dataset(tmp_path: Path) -> None:
    wiki = write_dataset(tmp_path / "wiki", {"small": {"train": [{"text": "one"}, {"text": "two"}]}})
    assert list(running_text(wiki, "small")) == ["one", "two"]
    assert len(list(running_text(write_data(tmp_path / "data"), ""))) == 40


def test_a_name_that_is_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent.*: expected a folder with one of nli, paraphrase"):
        list(running_text(tmp_path / "absent", ""))
