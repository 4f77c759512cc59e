"""What a run over files opens: readers, encoders and sinks by its options, and what may not change when it goes on."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from cmow.service.errors import UsageError
from cmow.service.files.blocks import ColumnTypes
from cmow.service.files.encoders import CompressedEncoder, CsvEncoder, Encoder, JsonlEncoder
from cmow.service.files.options import STANDARD, TABLES, UTF_8, FileOptions, Format, compression_of, require_pyarrow
from cmow.service.files.readers import CsvReader, JsonlReader, Reader, ReadOptions, Table
from cmow.service.files.rows import RowCheck
from cmow.service.files.sinks import PartialFile, Sink, StandardOutput, working_files
from cmow.service.files.streams import inflated, recoded
from cmow.service.model.bundle import Bundle
from cmow.service.model.engine import EngineOptions
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


def engine_options(settings: Settings) -> EngineOptions:
    """How the model runs."""
    return EngineOptions(
        threads=settings.threads,
        require_fused_op=settings.require_fused_op,
        provider=settings.provider,
        gpu_min_tokens=settings.gpu_min_tokens,
    )


def open_reader(options: FileOptions, check: RowCheck, stack: ExitStack) -> Reader:
    """The input of ``options``, open until ``stack`` is left; raises ``UsageError``."""
    reading = ReadOptions(check, options.block_rows, options.max_line_bytes)
    if options.read_as == "parquet":
        return _open_parquet(options, reading)
    with _starting(options.input_name):
        stream, total = stack.enter_context(_stream(options))
        if options.read_as == "jsonl":
            return JsonlReader(stream, total, reading)
        table = Table(options.delimiter, TABLES[options.read_as], options.header)
        return CsvReader(stream, options.input_name, total, reading, table)


def _open_parquet(options: FileOptions, reading: ReadOptions) -> Reader:
    if options.input == STANDARD:
        raise UsageError("Parquet is read from its end: expected a file, got standard input")
    require_pyarrow()
    from cmow.service.files.parquet import ParquetReader

    with _starting(options.input_name):
        return ParquetReader(Path(options.input), reading)


@contextmanager
def _stream(options: FileOptions) -> Iterator[tuple[BinaryIO, int | None]]:
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


def open_sink(options: FileOptions, identity: dict[str, str], stack: ExitStack) -> Sink:
    """The output of ``options``, open until ``stack`` is left; raises ``UsageError``."""
    if options.output == STANDARD:
        if sys.stdout is None:
            raise UsageError("standard output: expected a stream, found it closed")
        return StandardOutput()
    (sink,) = open_files([options], identity, stack)
    return sink


def open_files(outputs: Sequence[FileOptions], identity: dict[str, str], stack: ExitStack) -> list[PartialFile]:
    """The output of each of ``outputs``, all files, open until ``stack`` is left; raises ``UsageError``."""
    checked = []
    for options in outputs:
        with _starting(options.output):
            checked.append((options, _output_path(options)))
    sinks = []
    for options, output in checked:
        with _starting(options.output):
            sinks.append(stack.enter_context(PartialFile(output, identity, options.restart)))
    return sinks


def _output_path(options: FileOptions) -> Path:
    """The output, with all links followed, where a run may put it; raises ``UsageError`` or ``OSError``."""
    output = Path(os.path.realpath(options.output))
    partial, state = working_files(output)
    for path in (output, partial, state):
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise UsageError(f"{path}: expected a regular file or none, found something else")
    for name in (each.input for each in options.inputs() if each.input != STANDARD):
        if any(path.exists() and path.samefile(name) for path in (partial, state)):
            raise UsageError(f"{name}: expected another input than what the run writes, {partial} and {state}")
    if output.exists() and not options.overwrite:
        raise UsageError(f"{options.output}: expected no such file yet (see --overwrite)")
    return output


def make_encoder(options: FileOptions, memory: str, columns: ColumnTypes) -> Encoder:
    """The encoder of the output of ``options``; ``memory`` and ``columns`` as it takes them."""
    encoder, compression = _plain_encoder(options.write_as, memory, columns), compression_of(options.output)
    return encoder if compression is None else CompressedEncoder(encoder, compression)


def _plain_encoder(kind: Format, memory: str, columns: ColumnTypes) -> Encoder:
    if kind == "jsonl":
        return JsonlEncoder()
    if kind in TABLES:
        return CsvEncoder(memory, columns, TABLES[kind])
    from cmow.service.files.parquet import ParquetEncoder

    return ParquetEncoder(memory, columns)


def identity_of(options: FileOptions, check: RowCheck, bundle: Bundle) -> dict[str, str]:
    """What must not change between the parts of a run, whatever it does with the rows."""
    identity = {
        "input": os.fsencode(options.input).decode(errors="backslashreplace"),
        "input format": options.read_as,
        "read with": f"delimiter {options.delimiter!a}, header {options.header}, encoding {options.encoding}",
        "output format": options.write_as,
        "fields": " ".join(check.fields),
        "prefix": options.prefix,
        "limits": f"{check.max_text_chars} characters, {options.max_line_bytes} bytes",
        "model": " ".join(entry.sha256[:16] for _, entry in sorted(bundle.manifest.files.items())),
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
