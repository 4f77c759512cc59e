"""``cmow-score``: files of sentence pairs from the command line."""

from __future__ import annotations

import argparse
import os
import signal
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn

from pydantic import ValidationError

from cmow.service.bulk.blocks import ColumnTypes, Source
from cmow.service.bulk.encoders import CsvEncoder, Encoder, JsonlEncoder
from cmow.service.bulk.readers import CsvReader, JsonlReader, Reader, ReadOptions
from cmow.service.bulk.rows import RowCheck
from cmow.service.bulk.run import BulkRun
from cmow.service.bulk.scoring import EngineScorer, LocalSource, Task, column_types
from cmow.service.bulk.sinks import PartialFile, Sink, StandardOutput, working_files
from cmow.service.errors import BadRowError, CmowError, StartError, UsageError
from cmow.service.model.bundle import Bundle, load_bundle
from cmow.service.model.engine import Engine, EngineOptions
from cmow.service.options.arguments import count, unicode
from cmow.service.options.flags import add_setting_flags, explain
from cmow.service.options.settings import Settings
from cmow.service.serve.cli import limit_tokenizer_threads

Format = Literal["jsonl", "csv", "parquet"]

STANDARD = "-"
FORMATS: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
FIELDS: dict[Task, tuple[str, str]] = {
    "similarity": ("sentence1", "sentence2"),
    "paraphrase": ("sentence1", "sentence2"),
    "relatedness": ("sentence1", "sentence2"),
    "entailment": ("premise", "hypothesis"),
}
SETTINGS = ("bundle", "verify_hashes", "threads", "require_fused_op", "provider", "gpu_min_tokens", "max_text_chars")

DESCRIPTION = """\
Score a file of sentence pairs in constant memory. Every column is kept; the scores stand behind:

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
no row is lost or repeated. With standard input, give it the same stream. Standard output starts anew.

Exit status: 0 all rows are scored, or skipped as asked; 1 the run failed; 2 it could not start; 3 a row is bad;
130 stopped by Ctrl-C; 141 nobody reads standard output any more.
"""


@dataclass(frozen=True)
class BulkOptions:
    """The flags of ``cmow-score`` that are no settings of the service; ``None`` is found from the others."""

    input: str
    task: Task
    output: str
    fields: tuple[str, str] | None
    input_format: Format | None
    output_format: Format | None
    prefix: str
    on_bad_row: Literal["stop", "skip"]
    block_rows: int
    engine: Literal["local", "ray"]
    workers: int
    max_line_bytes: int
    restart: bool
    overwrite: bool
    progress: bool


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Score a file; the exit status is as ``--help`` says."""
    if sys.stderr is None:  # closed by whoever started this process; an output must not come to lie in its place
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, the process ends with it
    given = vars(_parser().parse_args(arguments))
    given["fields"] = tuple(given["fields"] or ()) or None
    options = BulkOptions(**{field.name: given.pop(field.name) for field in fields(BulkOptions)})
    try:
        settings = _settings(given)
        score(options, settings)
    except ValidationError as error:
        _fail(2, explain(error))
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


def _settings(given: dict[str, Any]) -> Settings:
    """Settings from flags and environment; of what only a server needs the environment, even if wrong, is not read."""
    unused = {name: field.default for name, field in Settings.model_fields.items() if name not in SETTINGS}
    return Settings(**unused, **given)


def score(options: BulkOptions, settings: Settings) -> None:
    """Score as ``options`` say; raises ``CmowError`` or ``OSError``."""
    limit_tokenizer_threads(settings.threads)
    bundle = load_bundle(settings.bundle, settings.verify_hashes)
    columns = column_types(options.task, options.prefix, bundle.manifest.labels)
    check = RowCheck(options.fields or FIELDS[options.task], settings.max_text_chars, columns)
    with ExitStack() as stack:
        reader = _open_reader(options, ReadOptions(check, options.block_rows, options.max_line_bytes), stack)
        sink = _open_sink(options, _identity(options, check, bundle), stack)
        BulkRun(
            name=_input_name(options),
            source=_scored_by(options, settings, bundle, reader),
            encoder=_encoder(_output_format(options), sink.position.memory, reader.columns | columns),
            sink=sink,
            on_bad_row=options.on_bad_row,
            progress=options.progress,
        ).run()


def _scored_by(options: BulkOptions, settings: Settings, bundle: Bundle, reader: Reader) -> Source:
    running = EngineOptions(
        threads=settings.threads,
        require_fused_op=settings.require_fused_op,
        provider=settings.provider,
        gpu_min_tokens=settings.gpu_min_tokens,
    )
    if options.engine == "local":
        return LocalSource(reader, EngineScorer(Engine(bundle, running), options.task, options.prefix))
    from cmow.service.bulk.parquet import ParquetReader
    from cmow.service.on_ray.source import RaySource
    from cmow.service.on_ray.worker import Work

    assert isinstance(reader, ParquetReader)
    one_thread = replace(running, threads=settings.threads or 1)  # a worker is what Ray counts as one processor
    work = Work(reader.path.absolute(), reader.options, bundle, one_thread, options.task, options.prefix)
    return RaySource(work, reader.rows, options.workers)


def _open_reader(options: BulkOptions, reading: ReadOptions, stack: ExitStack) -> Reader:
    kind, name = _input_format(options), _input_name(options)
    if options.engine == "ray":
        _check_ray(kind)
    elif options.workers:
        raise UsageError(f"--workers {options.workers}: expected --engine ray, got {options.engine}")
    if kind == "parquet":
        if options.input == STANDARD:
            raise UsageError("Parquet is read from its end: expected a file, got standard input")
        _require_pyarrow()
        from cmow.service.bulk.parquet import ParquetReader

        with _starting(name):
            return ParquetReader(Path(options.input), reading)
    with _starting(name):
        source, total = stack.enter_context(_source(options.input))
        return JsonlReader(source, total, reading) if kind == "jsonl" else CsvReader(source, name, total, reading)


@contextmanager
def _source(path: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """The stream ``path``, and its bytes where it is a file."""
    if path == STANDARD:
        if sys.stdin is None:
            raise UsageError("standard input: expected a stream, found it closed")
        yield sys.stdin.buffer, None
        return
    with Path(path).open("rb") as source:
        yield source, os.fstat(source.fileno()).st_size


def _open_sink(options: BulkOptions, identity: dict[str, str], stack: ExitStack) -> Sink:
    if options.output == STANDARD:
        if sys.stdout is None:
            raise UsageError("standard output: expected a stream, found it closed")
        return StandardOutput()
    with _starting(options.output):
        output = _output_path(options)
        return stack.enter_context(PartialFile(output, identity, options.restart))


def _output_path(options: BulkOptions) -> Path:
    """The output, behind all links, where a run may put it; raises ``UsageError`` or ``OSError``."""
    output = Path(os.path.realpath(options.output))
    partial, state = working_files(output)
    for path in (output, partial, state):
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise UsageError(f"{path}: expected a regular file or none, found something else")
    for path in (partial, state):
        if options.input != STANDARD and path.exists() and path.samefile(options.input):
            raise UsageError(f"{options.input}: expected another input than what the run writes, {path}")
    if output.exists() and not options.overwrite:
        raise UsageError(f"{options.output}: expected no such file yet (see --overwrite)")
    return output


def _encoder(kind: Format, memory: str, columns: ColumnTypes) -> Encoder:
    if kind == "jsonl":
        return JsonlEncoder()
    if kind == "csv":
        return CsvEncoder(memory, columns)
    from cmow.service.bulk.parquet import ParquetEncoder

    return ParquetEncoder(memory, columns)


def _input_name(options: BulkOptions) -> str:
    return "standard input" if options.input == STANDARD else options.input


def _input_format(options: BulkOptions) -> Format:
    kind = options.input_format or FORMATS.get(Path(options.input).suffix.lower())
    if kind is None and options.input != STANDARD:
        raise UsageError(f"{options.input}: expected a name that ends in {', '.join(FORMATS)} (see --input-format)")
    return kind or "jsonl"


def _output_format(options: BulkOptions) -> Format:
    """As asked, or as the name of the output says, or as the input unless that cannot be written as a stream."""
    if options.output == STANDARD:
        kind = options.output_format or ("csv" if _input_format(options) == "csv" else "jsonl")
        if kind == "parquet":
            raise UsageError("Parquet cannot be written as a stream: expected a file, got standard output")
        return kind
    kind = options.output_format or FORMATS.get(Path(options.output).suffix.lower()) or _input_format(options)
    if kind == "parquet":
        _require_pyarrow()
    return kind


def _identity(options: BulkOptions, check: RowCheck, bundle: Bundle) -> dict[str, str]:
    """What must not change between the parts of a run."""
    identity = {
        "input": os.fsencode(options.input).decode(errors="backslashreplace"),
        "input format": _input_format(options),
        "output format": _output_format(options),
        "task": options.task,
        "fields": " ".join(check.fields),
        "prefix": options.prefix,
        "limits": f"{check.max_text_chars} characters, {options.max_line_bytes} bytes",
        "model": " ".join(entry.sha256[:16] for _, entry in sorted(bundle.manifest.files.items())),
        "weights of relatedness": bundle.manifest.relatedness.model_dump_json(),
    }
    if options.input != STANDARD:
        found = os.stat(options.input)
        identity["input of"] = f"{found.st_size} bytes, changed at {found.st_mtime_ns} ns"
    return identity


def _check_ray(kind: Format) -> None:
    if kind != "parquet":
        raise UsageError(f"--engine ray: expected Parquet, of which workers read their own rows, got {kind}")
    if find_spec("ray") is None:
        raise UsageError('--engine ray needs ray, which is not installed: pip install "cmow[ray]"')


def _require_pyarrow() -> None:
    if find_spec("pyarrow") is None:
        raise UsageError('Parquet needs pyarrow, which is not installed: pip install "cmow[parquet]"')


@contextmanager
def _starting(name: str) -> Iterator[None]:
    """What the system refuses here means that the run cannot start."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror or error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "cmow-score",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("input", help="JSON lines, CSV or Parquet, as its name ends; - reads standard input")
    parser.add_argument("--task", required=True, choices=list(FIELDS), help="what to score")
    parser.add_argument("--output", "-o", default=STANDARD, metavar="FILE", help="default: - (standard output)")
    _add_format_flags(parser.add_argument_group("rows"))
    _add_run_flags(parser.add_argument_group("run"))
    model = parser.add_argument_group("model", "Each is also an environment variable, in brackets; flags win.")
    add_setting_flags(model, SETTINGS)
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
    group.add_argument("--input-format", choices=formats, help="default: as the name ends; jsonl for standard input")
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
        default=4 * 2**20,
        metavar="N",
        help="longest line or CSV cell; default: 4194304",
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
