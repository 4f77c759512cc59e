"""One run of ``cmow-score``: where it reads, what scores, where it writes, and what may not change when it goes on."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import msgspec

from cmow.service.bulk.options import BulkOptions
from cmow.service.bulk.scoring import LocalSource, ModelScorer, Scoring
from cmow.service.errors import UsageError
from cmow.service.files.blocks import Source
from cmow.service.files.opening import (
    engine_options,
    identity_of,
    make_encoder,
    open_reader,
    open_sink,
    read_settings,
)
from cmow.service.files.readers import Reader
from cmow.service.files.rows import RowCheck
from cmow.service.files.run import BulkRun
from cmow.service.machine.cpu import limit_tokenizer_threads
from cmow.service.model.bundle import Bundle, load_bundle
from cmow.service.model.engine import Engine
from cmow.service.model.model import UNBOUNDED, Model
from cmow.service.options.settings import Settings


def score(options: BulkOptions, given: dict[str, Any]) -> None:
    """Score as ``options`` say, with the settings ``given``; raises ``CmowError`` or ``OSError``."""
    options.check()
    settings = read_settings(given)
    limit_tokenizer_threads(settings.threads)
    bundle = load_bundle(settings.bundle, settings.verify_hashes)
    columns = _scoring(options).columns(bundle.manifest.labels)
    check = RowCheck(options.text_fields, settings.max_text_chars, columns)
    with ExitStack() as stack:
        _check_engine(options)
        reader = open_reader(options, check, stack)
        sink = open_sink(options, _identity(options, check, bundle), stack)
        BulkRun(
            command="cmow-score",
            noun="pairs",
            name=options.input_name,
            source=_source(options, settings, bundle, reader),
            encoder=make_encoder(options, sink.position.memory, reader.columns | columns),
            sink=sink,
            on_bad_row=options.on_bad_row,
            progress=options.progress,
        ).run()


def _scoring(options: BulkOptions) -> Scoring:
    if options.threshold is not None and options.task == "entailment":
        raise UsageError(f"--threshold {options.threshold}: expected a task with one score, got entailment")
    return Scoring(options.task, options.prefix, options.threshold)


def _check_engine(options: BulkOptions) -> None:
    if options.engine == "local":
        if options.workers:
            raise UsageError(f"--workers {options.workers}: expected --engine ray, got {options.engine}")
        return
    if options.read_as != "parquet":
        raise UsageError(f"--engine ray: expected Parquet, of which workers read their own rows, got {options.read_as}")
    if find_spec("ray") is None:
        raise UsageError('--engine ray needs ray, which is not installed: pip install "cmow[ray]"')


def _source(options: BulkOptions, settings: Settings, bundle: Bundle, reader: Reader) -> Source:
    """``reader`` with what scores its rows: an engine in this process, or workers of a Ray cluster."""
    running = engine_options(settings)
    if options.engine == "local":
        return LocalSource(reader, ModelScorer(Model(Engine(bundle, running), UNBOUNDED), _scoring(options)))
    from cmow.service.bulk.ray_source import RaySource
    from cmow.service.bulk.ray_worker import Work
    from cmow.service.files.parquet import ParquetReader

    assert isinstance(reader, ParquetReader)
    one_thread = replace(running, threads=settings.threads or 1)  # a worker is what Ray counts as one processor
    work = Work(reader.path.absolute(), reader.options, bundle, one_thread, _scoring(options))
    return RaySource(work, reader.rows, options.workers)


def _identity(options: BulkOptions, check: RowCheck, bundle: Bundle) -> dict[str, str]:
    """What must not change between the parts of a run."""
    return identity_of(options, check, bundle) | {
        "task": options.task,
        "threshold": str(options.threshold),
        "weights of relatedness": msgspec.json.encode(bundle.manifest.relatedness).decode(),
    }
