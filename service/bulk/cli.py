"""``cmow-score``: files of sentence pairs from the command line."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NoReturn

from cmow.service.bulk.options import FIELDS, FORMATS, STANDARD, UTF_8, BulkOptions
from cmow.service.errors import BadRowError, CmowError, StartError, UsageError
from cmow.service.files.lines import MAX_LINE_BYTES
from cmow.service.options.arguments import count, delimiter, encoding, score, unicode
from cmow.service.options.defaults import MODEL_OPTIONS
from cmow.service.options.flags import add_flags

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
  zcat pairs.jsonl.gz | cmow-score - --task similarity | head

A run that ends early, by kill -9 too, leaves OUTPUT.partial and OUTPUT.partial.json; the same command then goes on, and
no row is lost or repeated. With standard input, give it the same stream. Standard output starts over.

Exit status: 0 all rows are scored, or skipped as asked; 1 the run failed; 2 it could not start; 3 a row is bad;
130 stopped by Ctrl-C; 141 nobody reads standard output any more.
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Score a file; the exit status is as ``--help`` says."""
    if sys.stderr is None:  # closed by whoever started this process; an output must not take its place
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, the process ends with it
    options, settings = _read(arguments)
    try:
        _score(options, settings)
    except (StartError, UsageError) as error:
        _fail(2, error.message)
    except BadRowError as error:
        _fail(3, error.message)
    except BrokenPipeError:
        _leave_quietly()
    except (CmowError, OSError) as error:
        _fail(1, str(error))
    except KeyboardInterrupt:
        _fail(130, "stopped")
    sys.exit(0)


def _read(arguments: Sequence[str] | None) -> tuple[BulkOptions, dict[str, Any]]:
    """The options, and the settings that were given as flags."""
    given = vars(_parser().parse_args(arguments))
    given["fields"] = tuple(given["fields"] or ()) or None
    return BulkOptions(**{field.name: given.pop(field.name) for field in fields(BulkOptions)}), given


def _score(options: BulkOptions, settings: dict[str, Any]) -> None:
    from cmow.service.bulk import command  # here, so that help and usage errors need no model

    command.score(options, command.read_settings(settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "cmow-score",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("input", help="JSON lines, CSV, TSV or Parquet, as its name ends; - is standard input")
    parser.add_argument("--task", required=True, choices=list(FIELDS), help="what to score")
    parser.add_argument("--output", "-o", default=STANDARD, metavar="FILE", help="default: - (standard output)")
    _add_format_flags(parser.add_argument_group("rows"))
    _add_run_flags(parser.add_argument_group("run"))
    model = parser.add_argument_group("model", "Each is also an environment variable, in brackets; flags win.")
    add_flags(model, MODEL_OPTIONS.values())
    return parser


def _add_format_flags(group: argparse._ArgumentGroup) -> None:
    formats = sorted(set(FORMATS.values()))
    group.add_argument(
        "--fields",
        type=unicode,
        nargs=2,
        metavar=("FIRST", "SECOND"),
        help="columns of the texts; default: sentence1 sentence2, for entailment premise hypothesis",
    )
    group.add_argument(
        "--prefix",
        type=unicode,
        default="cmow_",
        help="what the names of the new columns begin with; default: cmow_",
    )
    group.add_argument(
        "--threshold",
        type=score,
        metavar="SCORE",
        help="also add the column cmow_same: whether the score is at least this one; not for entailment",
    )
    group.add_argument("--input-format", choices=formats, help="default: as the name ends; jsonl for standard input")
    group.add_argument(
        "--delimiter", type=delimiter, metavar="C", help="between cells of the input; default: , or, in .tsv, a tab"
    )
    group.add_argument(
        "--no-header", dest="header", action="store_false", help="CSV of two columns, the texts, without their names"
    )
    group.add_argument("--encoding", type=encoding, default=UTF_8, metavar="NAME", help="of the input; default: utf-8")
    group.add_argument("--output-format", choices=formats, help="default: as the name ends, or as the input")
    group.add_argument(
        "--on-bad-row",
        choices=["stop", "skip"],
        default="stop",
        help="a row that cannot be scored ends the run, or is left out, reported and counted; default: stop",
    )
    group.add_argument(
        "--max-line-bytes",
        type=count,
        default=MAX_LINE_BYTES,
        metavar="N",
        help=f"longest line or CSV cell; default: {MAX_LINE_BYTES}",
    )


def _add_run_flags(group: argparse._ArgumentGroup) -> None:
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
    group.add_argument("--restart", action="store_true", help="forget what an earlier run left unfinished")
    group.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    group.add_argument(
        "--block-rows",
        type=count,
        default=4096,
        metavar="N",
        help="rows scored and written at once, which memory grows with; default: 4096",
    )
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=sys.stderr.isatty(),
        help="a progress bar on standard error; default: where that is a terminal",
    )


def _leave_quietly() -> NoReturn:
    """End as a tool that SIGPIPE ended, without Python's own complaint when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)


def _fail(status: int, message: str) -> NoReturn:
    print(f"cmow-score: error: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
