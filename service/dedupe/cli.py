"""``cmow-dedupe``: near-duplicate rows of a file from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn, get_args

from cmow.service.dedupe.options import CANDIDATES, THRESHOLD, DedupeOptions, Keep
from cmow.service.files.command_line import STATUSES, add_model_flags, add_row_flags, add_run_flags, make_parser, run
from cmow.service.options.arguments import count, probability, unicode

DESCRIPTION = """\
Leave out the rows of a file that say the same as another. Every column is kept; the new ones come after them:

  --output      cmow_row (number of the row, from 1)
  --duplicates  the rows left out: cmow_row, cmow_duplicate_of (the row kept instead), cmow_kept (its text),
                cmow_score (probability that both say the same; 1 where only case or white space differ)

With a second file no row is compared with others of its own file, but with those of the second: OUTPUT has the rows
that are not there yet, and cmow_duplicate_of counts in the second file.
"""
EPILOG = """\
examples:
  cmow-dedupe questions.csv --field question --output distinct.csv --duplicates duplicates.csv
  cmow-dedupe new.jsonl known.parquet --output fresh.jsonl --duplicates matches.jsonl
  cmow-dedupe rows.tsv.gz --field question --output distinct.tsv.gz

A run that ends early, by kill -9 too, leaves OUTPUT.partial, OUTPUT.groups.partial and the like; the same command then
goes on, with the same result.

"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Leave out duplicates; the exit status is as ``--help`` says."""
    run(_parser, DedupeOptions, _dedupe, arguments)


def _dedupe(options: DedupeOptions, settings: dict[str, Any]) -> None:
    from cmow.service.dedupe import command  # here, so that help and usage errors need no model

    command.dedupe(options, settings)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("cmow-dedupe", DESCRIPTION, EPILOG + STATUSES.format(done="compared"))
    parser.add_argument("input", help="JSON lines, CSV, TSV or Parquet, as its name ends")
    parser.add_argument("known", nargs="?", help="a file whose texts are there already")
    parser.add_argument("--output", "-o", required=True, metavar="FILE", help="the rows that are kept")
    parser.add_argument("--duplicates", metavar="FILE", help="the rows that are left out; default: not written")
    _add_match_flags(parser.add_argument_group("duplicates"))
    add_row_flags(parser.add_argument_group("rows"))
    add_run_flags(parser.add_argument_group("run"))
    add_model_flags(parser)
    return parser


def _add_match_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--field", type=unicode, default="text", metavar="NAME", help="column of the text; default: text"
    )
    group.add_argument(
        "--known-field", type=unicode, metavar="NAME", help="the same in the second file; default: alike"
    )
    group.add_argument(
        "--threshold",
        type=probability,
        default=THRESHOLD,
        metavar="SCORE",
        help=f"least probability that both say the same; default: {THRESHOLD}",
    )
    group.add_argument(
        "--keep", choices=get_args(Keep), default="first", help="which of several is kept; default: first"
    )
    group.add_argument(
        "--candidates",
        type=count,
        default=CANDIDATES,
        metavar="N",
        help=f"nearest kept texts that a text is verified against; default: {CANDIDATES}",
    )


if __name__ == "__main__":
    main()
