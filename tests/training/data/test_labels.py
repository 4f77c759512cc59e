"""Labels and scores as files spell them: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data.files import DataError
from training.data.labels import SPELLINGS, guess_task, read_labels, read_scores, spelling
from training.data.rows import LabelledRows

FILE = Path("mine.csv")


def rows(*values: str | float) -> LabelledRows:
    return LabelledRows([("a", "b")] * len(values), list(values), list(range(2, 2 + len(values))))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" Not Entailment ", "not_entailment"),
        ("non-paraphrase", "non_paraphrase"),
        (1.0, "1"),
        ("2.0", "2"),
        ("-", "-"),
    ],
)
def test_case_spaces_and_points_do_not_count(value: str | float, expected: str) -> None:
    assert spelling(value) == expected


@pytest.mark.parametrize(
    ("task", "values", "expected"),
    [
        ("entailment", ["Entailment", "NEUTRAL", "contradiction"], ["entailment", "neutral", "contradiction"]),
        ("entailment", ["0", "1", "2", "-", "-1"], ["entailment", "neutral", "contradiction", None, None]),
        ("entailment", [0.0, 1.0, 2.0, -1.0], ["entailment", "neutral", "contradiction", None]),
        ("entailment", ["not-entailment", "entails"], ["not_entailment", "entailment"]),
        ("paraphrase", ["0", "1", "yes", "No", "TRUE", "false"], [*"nyynyn"]),
        ("paraphrase", ["duplicate", "not_duplicate", "paraphrase", "not paraphrase", 1.0], [*"ynyny"]),
    ],
)
def test_usual_spellings(task: str, values: list[str | float], expected: list[str | None]) -> None:
    names = {"y": "paraphrase", "n": "not_paraphrase"}
    assert read_labels(task, rows(*values), FILE) == [names.get(label or "", label) for label in expected]


@pytest.mark.parametrize("task", SPELLINGS)
def test_an_unknown_label_is_named_with_its_line(task: str) -> None:
    known = next(iter(SPELLINGS[task]))
    expected = r"mine.csv:3: expected a label of .*(contradiction|paraphrase).*, found 'maybe' \(see --labels\)"
    with pytest.raises(DataError, match=expected):
        read_labels(task, rows(known, "maybe", "perhaps"), FILE)


def test_own_spellings_come_first() -> None:
    own = {"Ja": "paraphrase", "0": "paraphrase", "1": "not_paraphrase"}
    assert read_labels("paraphrase", rows("ja", 0.0, 1.0, "duplicate"), FILE, own) == [
        *["paraphrase"] * 2,
        "not_paraphrase",
        "paraphrase",
    ]
    with pytest.raises(DataError, match=r"--labels: expected labels of entailment, .*, found paraphrase"):
        read_labels("entailment", rows("ja"), FILE, own | {"1": "neutral"})


@pytest.mark.parametrize("values", [("0", "1"), (1.0, "-"), ("0",)])
def test_two_ids_of_entailment_leave_open_what_they_mean(values: tuple[str | float, ...]) -> None:
    with pytest.raises(DataError, match=r"mine.csv: expected labels by name or the ids 0, 1 and 2, found .* alone"):
        read_labels("entailment", rows(*values), FILE)
    own = {"0": "entailment", "1": "not_entailment"}
    assert set(read_labels("entailment", rows(*values), FILE, own)) <= {"entailment", "not_entailment", None}


@pytest.mark.parametrize(
    ("values", "scale", "path", "expected"),
    [
        (["0.25", 1.0], None, FILE, [0.25, 1.0]),
        (["0", "4.5"], None, FILE, [0.0, 0.9]),
        ([1.0, 3.0], None, Path("similarity/sick/dev.jsonl"), [0.0, 0.5]),
        ([1.0, 3.0], None, Path("similarity/stsb/dev.jsonl"), [0.2, 0.6]),
        ([1.0, 4.0], (1.0, 7.0), FILE, [0.0, 0.5]),
        ([-1.0, 1.0], (-1.0, 1.0), Path("similarity/stsb/dev.jsonl"), [0.0, 1.0]),
    ],
)
def test_scores_come_to_one(
    values: list[str | float], scale: tuple[float, float] | None, path: Path, expected: list[float]
) -> None:
    assert read_scores(rows(*values), path, scale).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "scale", "message"),
    [
        (["1", "high"], None, r"mine.csv:3: expected a score, found 'high'"),
        (["1", "nan"], None, r"mine.csv:3: expected a score, found 'nan'"),
        (["1", "9"], (0.0, 5.0), r"mine.csv:3: expected a score from 0 to 5, found 9 \(see --scale\)"),
        (
            ["1", "5"],
            None,
            r"mine.csv: expected scores plainly from 0 to 1 or .*, found 1 to 5: .*--scale LOW HIGH",
        ),
        (["-1", "1"], None, r"plainly from 0 to 1 or from 0 to 5, found -1 to 1"),
        (["0", "2"], None, r"plainly from 0 to 1 or from 0 to 5, found 0 to 2"),
        (["0", "100"], None, r"plainly from 0 to 1 or from 0 to 5, found 0 to 100"),
        (["1", "2"], (5.0, 1.0), r"--scale: expected the lowest and the highest score, found 5 1"),
    ],
)
def test_scores_that_mean_nothing(values: list[str], scale: tuple[float, float] | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_scores(rows(*values), FILE, scale)


@pytest.mark.parametrize(
    ("values", "own", "expected"),
    [
        (["Neutral", "-", "e"], {}, "entailment"),
        (["duplicate", "not duplicate"], {}, "paraphrase"),
        ([0.5, 1.0], {}, "similarity"),
        (["4.25", "5"], {}, "similarity"),
        (["ja", "nein"], {"ja": "paraphrase", "nein": "not_paraphrase"}, "paraphrase"),
        (["0", "1"], {"0": "entailment", "1": "not_entailment"}, "entailment"),
    ],
)
def test_what_labels_are_for(values: list[str | float], own: dict[str, str], expected: str) -> None:
    assert guess_task(rows(*values), FILE, own) == expected


@pytest.mark.parametrize("values", [("0", "1"), ("1", "5"), ("yes", "no"), ("entailment", "duplicate"), ("x", "0.5")])
def test_what_ids_are_for_must_be_said(values: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=r"mine.csv: expected labels by name or scores with decimals, found .*--task"):
        guess_task(rows(*values), FILE)
