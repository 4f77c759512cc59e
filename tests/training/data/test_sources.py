"""Where training text comes from: known sets with their licences, others by their folder."""

from pathlib import Path

from tests.training.data.written import write_labelled
from training.data.sources import SOURCES, sources_below


def test_data_of_ones_own_are_named_too(tmp_path: Path) -> None:
    row = {"text1": "a", "text2": "b", "label": "yes"}
    for folder in ("paraphrase/mine", "paraphrase/qqp"):
        path = write_labelled(tmp_path / folder, ".csv", [row])
        path.rename(path.with_name("train.csv"))
    write_labelled(tmp_path / "paraphrase/unused", ".csv", [row])
    known, mine = sources_below(tmp_path)
    assert known == SOURCES["paraphrase/qqp"]
    assert (mine.name, mine.licence) == ("paraphrase/mine", "not recorded")
