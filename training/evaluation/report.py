"""Scores of a file as text: a line, and for classes a table of each and of what was taken for what."""

from __future__ import annotations

from training.evaluation.metrics import Classified, Scores


def score_line(scores: Scores) -> str:
    """All ``scores`` in a line."""
    return ", ".join(f"{metric} {value:.4f}" for metric, value in scores.items())


def class_tables(found: Classified) -> str:
    """Precision, recall, F1 and support of every class, then gold classes down and predicted ones across."""
    classes = [
        [label, *(f"{scores[name]:.4f}" for name in ("precision", "recall", "f1")), f"{scores['support']:.0f}"]
        for label, scores in found.by_class().items()
    ]
    confusion = [[label, *map(str, row)] for label, row in zip(found.labels, found.confusion(), strict=True)]
    return "\n".join(
        [
            aligned([["class", "precision", "recall", "f1", "support"], *classes]),
            aligned([["gold \\ predicted", *found.labels], *confusion]),
        ]
    )


def aligned(rows: list[list[str]]) -> str:
    """``rows`` in columns as wide as their widest cell: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
        lines.append("  ".join(["  " + first.ljust(widths[0]), *cells]))
    return "\n".join(lines)
