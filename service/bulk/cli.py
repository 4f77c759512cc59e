"""``cmow-score``: files of sentence pairs from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from cmow.service.bulk.options import FIELDS, BulkOptions
from cmow.service.files.command_line import STATUSES, add_model_flags, add_row_flags, add_run_flags, make_parser, run
from cmow.service.files.options import STANDARD
from cmow.service.options.arguments import count, score, unicode

DESCRIPTION = """\
Score a file of sentence pairs in constant memory. Every column is kept; the scores come after them:

  similarity   cmow_similarity (cosine, -1 to 1), cmow_truncated
  paraphrase   cmow_paraphrase (probability that both say the same), cmow_truncated
  relatedness  cmow_relatedness (how related people would call them, 0 to 1), cmow_truncated
  entailment   cmow_label, cmow_entailment, cmow_neutral, cmow_contradiction, cmow_truncated
"""
EPILOG = """\
examples:
  cmow-score pairs.jsonl --task similarity --output scored.jsonl
  cmow-score nli.csv --task entailment --fields text_a text_b --output scored.parquet
  cmow-score pairs.tsv.gz --task similarity --output scored.csv.gz

A run that ends early, by kill -9 too, leaves OUTPUT.partial and OUTPUT.partial.json; the same command then goes on, and
no row is lost or repeated. With standard input, give it the same stream. Standard output starts over.

"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Score a file; the exit status is as ``--help`` says."""
    run(_parser, BulkOptions, _score, arguments)


def _score(options: BulkOptions, settings: dict[str, Any]) -> None:
    from cmow.service.bulk import command  # here, so that help and usage errors need no model

    command.score(options, settings)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("cmow-score", DESCRIPTION, EPILOG + STATUSES.format(done="scored"))
    parser.add_argument("input", help="JSON lines, CSV, TSV or Parquet, as its name ends; - is standard input")
    parser.add_argument("--task", required=True, choices=list(FIELDS), help="what to score")
    parser.add_argument("--output", "-o", default=STANDARD, metavar="FILE", help="default: - (standard output)")
    rows = parser.add_argument_group("rows")
    _add_score_flags(rows)
    add_row_flags(rows)
    group = parser.add_argument_group("run")
    _add_engine_flags(group)
    add_run_flags(group)
    add_model_flags(parser)
    return parser


def _add_score_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--fields",
        type=unicode,
        nargs=2,
        metavar=("FIRST", "SECOND"),
        help="columns of the texts; default: sentence1 sentence2, for entailment premise hypothesis",
    )
    group.add_argument(
        "--threshold",
        type=score,
        metavar="SCORE",
        help="also add the column cmow_same: whether the score is at least this one; not for entailment",
    )


def _add_engine_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help="score in this process, or, from Parquet, by the workers of a Ray cluster: the one at RAY_ADDRESS, "
        "or else one of its own on this machine; default: local",
    )
    group.add_argument(
        "--workers",
        type=count,
        default=0,
        metavar="N",
        help="of Ray, with --threads threads each (1 unless given); default: as many as have CPUs",
    )


if __name__ == "__main__":
    main()
