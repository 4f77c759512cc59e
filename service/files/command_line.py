"""What the command lines over files have in common: flags, and how a run ends."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NoReturn, TypeVar

from cmow.service.errors import BadRowError, CmowError, StartError, UsageError
from cmow.service.files.lines import MAX_LINE_BYTES
from cmow.service.files.options import FORMATS, UTF_8, FileOptions
from cmow.service.options.arguments import count, delimiter, encoding, unicode
from cmow.service.options.defaults import MODEL_OPTIONS
from cmow.service.options.flags import add_flags

Options = TypeVar("Options", bound=FileOptions)
Run = Callable[[Options, dict[str, Any]], None]

STATUSES = """\
Exit status: 0 all rows are {done}, or skipped as asked; 1 the run failed; 2 it could not start; 3 a row is bad;
130 stopped by Ctrl-C; 141 nobody reads standard output any more.
"""


def run(
    make: Callable[[], argparse.ArgumentParser], kind: type[Options], work: Run[Options], given: Sequence[str] | None
) -> NoReturn:
    """Do ``work`` with the options of ``kind`` and the settings that ``given`` has, and exit as ``STATUSES`` says."""
    if sys.stderr is None:  # closed by whoever started this process; an output must not take its place
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, the process ends with it
    parser = make()
    settings = vars(parser.parse_args(given))
    options = kind(**{field.name: settings.pop(field.name) for field in fields(kind)})

    def fail(status: int, message: str) -> NoReturn:
        print(f"{parser.prog}: error: {message}", file=sys.stderr)
        sys.exit(status)

    try:
        work(options, settings)
    except (StartError, UsageError) as error:
        fail(2, error.message)
    except BadRowError as error:
        fail(3, error.message)
    except BrokenPipeError:
        _leave_quietly()
    except (CmowError, OSError) as error:
        fail(1, str(error))
    except KeyboardInterrupt:
        fail(130, "stopped")
    sys.exit(0)


def make_parser(name: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """The parser of the command ``name``, without a flag yet."""
    return argparse.ArgumentParser(
        name,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_row_flags(group: argparse._ArgumentGroup) -> None:
    """How rows are read and written."""
    group.add_argument(
        "--prefix",
        type=unicode,
        default="cmow_",
        help="what the names of the new columns begin with; default: cmow_",
    )
    _add_format_flags(group)
    group.add_argument(
        "--on-bad-row",
        choices=["stop", "skip"],
        default="stop",
        help="a row that cannot be used ends the run, or is left out, reported and counted; default: stop",
    )
    group.add_argument(
        "--max-line-bytes",
        type=count,
        default=MAX_LINE_BYTES,
        metavar="N",
        help=f"longest line or CSV cell; default: {MAX_LINE_BYTES}",
    )


def _add_format_flags(group: argparse._ArgumentGroup) -> None:
    formats = sorted(set(FORMATS.values()))
    group.add_argument("--input-format", choices=formats, help="default: as the name ends; jsonl for standard input")
    group.add_argument(
        "--delimiter", type=delimiter, metavar="C", help="between cells of the input; default: , or, in .tsv, a tab"
    )
    group.add_argument(
        "--no-header", dest="header", action="store_false", help="CSV of the texts alone, without names of columns"
    )
    group.add_argument("--encoding", type=encoding, default=UTF_8, metavar="NAME", help="of the input; default: utf-8")
    group.add_argument("--output-format", choices=formats, help="default: as the name ends, or as the input")


def add_run_flags(group: argparse._ArgumentGroup) -> None:
    """How a run goes on, and what it shows."""
    group.add_argument("--restart", action="store_true", help="forget what an earlier run left unfinished")
    group.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    group.add_argument(
        "--block-rows",
        type=count,
        default=4096,
        metavar="N",
        help="rows read and written at once, which memory grows with; default: 4096",
    )
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=sys.stderr.isatty(),
        help="a progress bar on standard error; default: where that is a terminal",
    )


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """How the model is opened."""
    model = parser.add_argument_group("model", "Each is also an environment variable, in brackets; flags win.")
    add_flags(model, MODEL_OPTIONS.values())


def _leave_quietly() -> NoReturn:
    """End as a tool that SIGPIPE ended, without Python's own complaint when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)
