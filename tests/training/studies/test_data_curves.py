"""Curves over the number of labelled pairs: what is drawn is what was asked for, and more pairs are learned from."""

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_bundle import make_tiny_bundle
from tests.training.tiny_project import labelled, write_data, write_rows
from training.data.files import NLI_LABELS, PARAPHRASE_LABELS, DataError
from training.studies.data_curves import DataCurvesConfig
from training.work.studies.data_curves import SHARES, Examples, at_share, curve, draw, folded_curve, main, one_file


def examples(count: int, seed: int) -> Examples:
    """Two classes that a plane separates."""
    features = np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)
    return Examples(features, (features.sum(axis=1) > 0).astype(np.int64))


@pytest.mark.parametrize(("positives", "negatives", "share"), [(90, 10, 0.25), (10, 90, 0.25), (20, 20, 0.5)])
def test_rows_are_drawn_at_the_share_that_is_asked_for(positives: int, negatives: int, share: float) -> None:
    labels = np.repeat([1, 0], [positives, negatives])
    rows = at_share(labels, share, np.random.default_rng(0))
    assert len(set(rows.tolist())) == len(rows) == min(positives / share, negatives / (1 - share)) // 1
    assert labels[rows].mean() == pytest.approx(share, abs=1 / len(rows))


def test_a_curve_learns_from_more_and_more_pairs() -> None:
    points = list(curve(examples(1600, 1), examples(400, 2), draws=2))
    assert [point.pairs for point in points] == [round(1600 * share) for share in SHARES]
    assert {len(point.accuracy) for point in points} == {2}
    assert np.mean(points[-1].accuracy) > max(0.9, np.mean(points[0].accuracy))


def test_folds_are_scored_by_heads_that_have_not_seen_them() -> None:
    """With labels by chance, a head that had seen its fold would be better than chance."""
    features, _ = examples(1000, 3)
    chance = Examples(features, np.random.default_rng(4).integers(0, 2, 1000))
    points = list(folded_curve(chance, draws=1))
    assert [point.pairs for point in points] == [round(800 * share) for share in SHARES]
    assert np.mean(points[-1].accuracy) == pytest.approx(0.5, abs=0.06)


def test_the_command_draws_every_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_data(tmp_path / "data"), tmp_path / "docs/curves.svg"
    for folder, labels in (("paraphrase/qqp", PARAPHRASE_LABELS), ("nli/mnli", NLI_LABELS)):
        for split, rows in (("train", 480), ("dev", 30)):
            write_rows(data / folder / f"{split}.jsonl.gz", labelled(labels, rows, seed=rows))
    write_rows(data / "paraphrase/mrpc/train.jsonl.gz", labelled(PARAPHRASE_LABELS, 600, 1))
    config = DataCurvesConfig(data, make_tiny_bundle(tmp_path / "bundle").path, out, draws=1)
    main(config)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines] == ["| QQP", "| MRPC, five folds", "| MultiNLI, matched"]
    assert [len(line.split(" | ")) - 1 for line in lines] == [len(SHARES)] * 3
    assert "<svg" in out.read_text()
    (data / "nli/mnli/dev.jsonl.gz").unlink()
    with pytest.raises(DataError, match=r"mnli: expected one file dev\*, found 0"):
        main(config)


def test_a_figure_holds_the_points() -> None:
    points = list(curve(examples(400, 5), examples(40, 6), draws=2))
    (axes,) = draw({"task": points}).axes
    (line, *_) = axes.lines
    assert line.get_xdata().tolist() == [point.pairs for point in points]
    np.testing.assert_allclose(np.asarray(line.get_ydata(), float), [np.mean(point.accuracy) for point in points])


def test_too_few_pairs_are_named() -> None:
    with pytest.raises(DataError, match="expected at least 320 training pairs for a curve, found 319"):
        list(curve(examples(319, 7), examples(40, 8), draws=1))


def test_one_file_is_expected(tmp_path: Path) -> None:
    write_rows(tmp_path / "nli/mnli/train-a.jsonl.gz", labelled(NLI_LABELS, 3, 1))
    assert one_file(tmp_path, "train", "nli/mnli").name == "train-a.jsonl.gz"
    write_rows(tmp_path / "nli/mnli/train-b.jsonl.gz", labelled(NLI_LABELS, 3, 1))
    with pytest.raises(DataError, match="found 2"):
        one_file(tmp_path, "train", "nli/mnli")
