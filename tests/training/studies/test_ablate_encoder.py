"""Shapes of the encoder: each computes what it says, learns, and has its line in the table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.tiny_project import write_data, write_teacher_cache
from training.errors import StaleError
from training.student.product import hybrid_encode
from training.studies.ablate_encoder import AblateEncoderConfig
from training.work.studies.ablate_encoder import SHAPES, Shape, ShapedStudent, segment_maximum, segment_mean, table

TOKENS = torch.tensor([3, 1, 4, 1, 5, 2])
ENDS = torch.tensor([0, 2, 2, 6])  # the second sentence has no token
VOCABULARY = 6
POOLINGS = ("mean", "weighted", "attention", "maximum")


@pytest.mark.parametrize("shape", [Shape(8, 3, pooling=pooling) for pooling in POOLINGS], ids=POOLINGS)
def test_pooling_sentence_by_sentence(shape: Shape) -> None:
    """Against loops over the sentences; only the vectors' part differs from the encoder's own."""
    torch.manual_seed(0)
    student = ShapedStudent(shape, VOCABULARY, 5)
    for learned in (student.weights, student.query):
        if learned is not None:
            torch.nn.init.normal_(learned.weight)
    encoded = hybrid_encode(TOKENS, ENDS, *student.encoder.tables())
    pooled = student.pooled(TOKENS, ENDS)
    torch.testing.assert_close(pooled[:, 8:26], encoded[:, 8:])
    for row, (start, end) in enumerate(zip(ENDS[:-1].tolist(), ENDS[1:].tolist(), strict=True)):
        ids = TOKENS[start:end]
        vectors = student.encoder.vectors[ids]
        weights = torch.ones(len(ids), 1)
        if student.weights is not None:
            weights = student.weights.weight[ids].softmax(dim=0)
        if student.query is not None:
            weights = student.query(vectors).softmax(dim=0)
        mean = (weights * vectors).sum(0) / weights.sum() if len(ids) else torch.zeros(8)
        torch.testing.assert_close(pooled[row, :8], mean)
        if shape.pooling == "maximum":
            maximum = vectors.amax(0) if len(ids) else torch.zeros(8)
            torch.testing.assert_close(pooled[row, 26:], maximum)


def test_heads_are_encoders_of_their_own() -> None:
    """Against one encoder after the other, each with its part of the tables."""
    student = ShapedStudent(Shape(4, 3, heads=2), VOCABULARY, 5)
    vectors, forward, backward = student.encoder.tables()
    parts = [
        hybrid_encode(TOKENS, ENDS, vectors[rows], forward[rows], backward[rows])
        for rows in (slice(0, VOCABULARY), slice(VOCABULARY, None))
    ]
    torch.testing.assert_close(student.embed(TOKENS, ENDS), student.similarity_head(torch.cat(parts, dim=1)))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_sizes_are_those_of_the_model(shape: Shape) -> None:
    student = ShapedStudent(shape, VOCABULARY, 7)
    assert student.embed(TOKENS, ENDS).shape == (3, 7)
    assert sum(table.numel() for table in student.encoder.tables()) == VOCABULARY * shape.row_numbers


def test_segments_without_rows_are_zero() -> None:
    rows, segments = torch.tensor([[-2.0], [-3.0]]), torch.tensor([1, 1])
    assert segment_maximum(rows, segments, 3).tolist() == [[0], [-2], [0]]
    assert segment_mean(rows, torch.tensor([[1.0], [3.0]]), segments, 3).tolist() == [[0], [-2.75], [0]]


def test_each_shape_is_distilled_once_and_has_its_line(tmp_path: Path) -> None:
    write_teacher_cache(tmp_path / "teacher")
    config = AblateEncoderConfig(
        write_data(tmp_path / "data"), tmp_path / "teacher", tmp_path / "out", epochs=2, batch=16
    )
    shapes = {pooling: Shape(8, 3, heads=2, pooling=pooling) for pooling in POOLINGS}
    header, _, *lines = table(config, shapes)
    assert [line.split(" | ")[0] for line in lines] == [f"| {pooling}" for pooling in POOLINGS]
    assert {line.count("|") for line in lines} == {header.count("|")}
    assert all(np.isfinite(float(line.split(" | ")[1])) for line in lines)
    written = [path.stat().st_mtime_ns for path in config.out.rglob("metrics.jsonl")]
    assert len(list(table(config, shapes))) == 2 + len(shapes)
    assert [path.stat().st_mtime_ns for path in config.out.rglob("metrics.jsonl")] == written
    for changed, wanted in ((replace(config, epochs=3), shapes), (config, {"another": Shape(8, 3)})):
        with pytest.raises(StaleError, match=r"made with others: --"):
            list(table(changed, wanted))
