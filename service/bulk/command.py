"""One run of ``cmow-score``: where it reads, what scores, where it writes, and what may not change when it goes on."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from pydantic import ValidationError

from cmow.service.bulk.options import (
    STANDARD,
    TABLES,
    UTF_8,
    BulkOptions,
    Format,
    compression_of,
    require_pyarrow,
)
from cmow.service.bulk.run import BulkRun
from cmow.service.bulk.scoring import LocalSource, ModelScorer, Scoring
from cmow.service.errors import UsageError
from cmow.service.files.blocks import ColumnTypes, Source
from cmow.service.files.encoders import CompressedEncoder, CsvEncoder, Encoder, JsonlEncoder
from cmow.service.files.readers import CsvReader, JsonlReader, Reader, ReadOptions, Table
from cmow.service.files.rows import RowCheck
from cmow.service.files.sinks import PartialFile, Sink, StandardOutput, working_files
from cmow.service.files.streams import inflated, recoded
from cmow.service.machine.cpu import limit_tokenizer_threads
from cmow.service.model.bundle import Bundle, load_bundle
from cmow.service.model.engine import Engine, EngineOptions
from cmow.service.model.model import UNBOUNDED, Model
from cmow.service.options.defaults import MODEL_OPTIONS
from cmow.service.options.settings import Settings, explain


def read_settings(given: dict[str, Any]) -> Settings:
    """Settings from flags and environment; what only a server needs is not read from the environment, even if wrong.

    Raises ``UsageError``.
    """
    unused = {name: field.default for name, field in Settings.model_fields.items() if name not in MODEL_OPTIONS}
    try:
        return Settings(**unused, **given)
    except ValidationError as error:
        raise UsageError(explain(error)) from error


def score(options: BulkOptions, settings: Settings) -> None:
    """Score as ``options`` say; raises ``CmowError`` or ``OSError``."""
    options.check()
    limit_tokenizer_threads(settings.threads)
    bundle = load_bundle(settings.bundle, settings.verify_hashes)
    columns = _scoring(options).columns(bundle.manifest.labels)
    check = RowCheck(options.text_fields, settings.max_text_chars, columns)
    with ExitStack() as stack:
        reader = _open_reader(options, ReadOptions(check, options.block_rows, options.max_line_bytes), stack)
        sink = _open_sink(options, _identity(options, check, bundle), stack)
        BulkRun(
            name=options.input_name,
            source=_source(options, settings, bundle, reader),
            encoder=_encoder(options, sink.position.memory, reader.columns | columns),
            sink=sink,
            on_bad_row=options.on_bad_row,
            progress=options.progress,
        ).run()


def _scoring(options: BulkOptions) -> Scoring:
    if options.threshold is not None and options.task == "entailment":
        raise UsageError(f"--threshold {options.threshold}: expected a task with one score, got entailment")
    return Scoring(options.task, options.prefix, options.threshold)


def _open_reader(options: BulkOptions, reading: ReadOptions, stack: ExitStack) -> Reader:
    _check_engine(options)
    if options.read_as == "parquet":
        return _open_parquet(options, reading)
    with _starting(options.input_name):
        stream, total = stack.enter_context(_stream(options))
        if options.read_as == "jsonl":
            return JsonlReader(stream, total, reading)
        table = Table(options.delimiter, TABLES[options.read_as], options.header)
        return CsvReader(stream, options.input_name, total, reading, table)


def _check_engine(options: BulkOptions) -> None:
    if options.engine == "local":
        if options.workers:
            raise UsageError(f"--workers {options.workers}: expected --engine ray, got {options.engine}")
        return
    if options.read_as != "parquet":
        raise UsageError(f"--engine ray: expected Parquet, of which workers read their own rows, got {options.read_as}")
    if find_spec("ray") is None:
        raise UsageError('--engine ray needs ray, which is not installed: pip install "cmow[ray]"')


def _open_parquet(options: BulkOptions, reading: ReadOptions) -> Reader:
    if options.input == STANDARD:
        raise UsageError("Parquet is read from its end: expected a file, got standard input")
    require_pyarrow()
    from cmow.service.files.parquet import ParquetReader

    with _starting(options.input_name):
        return ParquetReader(Path(options.input), reading)


@contextmanager
def _stream(options: BulkOptions) -> Iterator[tuple[BinaryIO, int | None]]:
    """The input in UTF-8, and its bytes where these are a file's own."""
    compression, decoded = compression_of(options.input), options.encoding == UTF_8
    with _opened(options.input) as (file, size):
        stream = file if compression is None else inflated(file, compression, options.input_name)
        stream = stream if decoded else recoded(stream, options.encoding, options.input_name)
        yield stream, size if stream is file else None


@contextmanager
def _opened(path: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """The stream ``path``, and its bytes where it is a file."""
    if path == STANDARD:
        if sys.stdin is None:
            raise UsageError("standard input: expected a stream, found it closed")
        yield sys.stdin.buffer, None
        return
    with Path(path).open("rb") as stream:
        yield stream, os.fstat(stream.fileno()).st_size


def _source(options: BulkOptions, settings: Settings, bundle: Bundle, reader: Reader) -> Source:
    """``reader`` with what scores its rows: an engine in this process, or workers of a Ray cluster."""
    running = EngineOptions(
        threads=settings.threads,
        require_fused_op=settings.require_fused_op,
        provider=settings.provider,
        gpu_min_tokens=settings.gpu_min_tokens,
    )
    if options.engine == "local":
        return LocalSource(reader, ModelScorer(Model(Engine(bundle, running), UNBOUNDED), _scoring(options)))
    from cmow.service.bulk.ray_source import RaySource
    from cmow.service.bulk.ray_worker import Work
    from cmow.service.files.parquet import ParquetReader

    assert isinstance(reader, ParquetReader)
    one_thread = replace(running, threads=settings.threads or 1)  # a worker is what Ray counts as one processor
    work = Work(reader.path.absolute(), reader.options, bundle, one_thread, _scoring(options))
    return RaySource(work, reader.rows, options.workers)


def _open_sink(options: BulkOptions, identity: dict[str, str], stack: ExitStack) -> Sink:
    if options.output == STANDARD:
        if sys.stdout is None:
            raise UsageError("standard output: expected a stream, found it closed")
        return StandardOutput()
    with _starting(options.output):
        output = _output_path(options)
        return stack.enter_context(PartialFile(output, identity, options.restart))


def _output_path(options: BulkOptions) -> Path:
    """The output, with all links followed, where a run may put it; raises ``UsageError`` or ``OSError``."""
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


def _encoder(options: BulkOptions, memory: str, columns: ColumnTypes) -> Encoder:
    encoder, compression = _plain_encoder(options.write_as, memory, columns), compression_of(options.output)
    return encoder if compression is None else CompressedEncoder(encoder, compression)


def _plain_encoder(kind: Format, memory: str, columns: ColumnTypes) -> Encoder:
    if kind == "jsonl":
        return JsonlEncoder()
    if kind in TABLES:
        return CsvEncoder(memory, columns, TABLES[kind])
    from cmow.service.files.parquet import ParquetEncoder

    return ParquetEncoder(memory, columns)


def _identity(options: BulkOptions, check: RowCheck, bundle: Bundle) -> dict[str, str]:
    """What must not change between the parts of a run."""
    identity = {
        "input": os.fsencode(options.input).decode(errors="backslashreplace"),
        "input format": options.read_as,
        "read with": f"delimiter {options.delimiter!a}, header {options.header}, encoding {options.encoding}",
        "output format": options.write_as,
        "task": options.task,
        "fields": " ".join(check.fields),
        "prefix": options.prefix,
        "threshold": str(options.threshold),
        "limits": f"{check.max_text_chars} characters, {options.max_line_bytes} bytes",
        "model": " ".join(entry.sha256[:16] for _, entry in sorted(bundle.manifest.files.items())),
        "weights of relatedness": msgspec.json.encode(bundle.manifest.relatedness).decode(),
    }
    if options.input != STANDARD:
        found = os.stat(options.input)
        identity["input of"] = f"{found.st_size} bytes, changed at {found.st_mtime_ns} ns"
    return identity


@contextmanager
def _starting(name: str) -> Iterator[None]:
    """What the system refuses here means that the run cannot start."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror or error}") from error
