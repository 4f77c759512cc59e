"""The study of adaptation end to end, on a small file, with the bundled model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_bundled_model import COOKING, FOOTBALL
from tests.training.tiny_project import write_rows
from training.studies.adaptation import AdaptationConfig
from training.work.studies.adaptation import main

pytestmark = pytest.mark.bundle


def test_it_prints_before_and_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    topics = (COOKING, FOOTBALL)
    rows: list[dict[str, object]] = [
        {"sentence1": one, "sentence2": other, "label": "paraphrase" if first is second else "not_paraphrase"}
        for first in topics
        for second in topics
        for one in first
        for other in second
    ]
    write_rows(tmp_path / "paraphrase/mine/train.jsonl.gz", rows)
    scored: list[dict[str, object]] = [
        {"sentence1": COOKING[0], "sentence2": other, "score": score}
        for other, score in zip(COOKING, range(5), strict=True)
    ]
    write_rows(tmp_path / "similarity/stsb/dev.jsonl.gz", scored)
    config = AdaptationConfig(
        tmp_path, "paraphrase/mine/train.jsonl.gz", "paraphrase", share=0.7, general=90, steps=80, threads=1
    )
    main(config)
    said = capsys.readouterr().out
    assert "70 rows, 30 unseen" in said
    accuracy = next(line.split() for line in said.splitlines() if line.split()[:2] == ["unseen", "accuracy"])
    assert float(accuracy[3]) >= float(accuracy[2]) > 0.3
    cosine = next(line.split() for line in said.splitlines() if line.split()[:2] == ["stsb", "spearman"])
    assert cosine[2] == cosine[3]  # of what was not fitted
