"""One run of ``cmow-dedupe``: texts are read and decided on, then the rows kept are written, and those left out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from cmow.service.dedupe.columns import ChosenRows, TextColumn, named, read_texts
from cmow.service.dedupe.duplicates import Duplicates, Search
from cmow.service.dedupe.grouping import DECISION, Decisions, Rule
from cmow.service.dedupe.options import DedupeOptions, require_faiss
from cmow.service.files.blocks import BadRow, Columns, ColumnTypes
from cmow.service.files.opening import engine_options, identity_of, make_encoder, open_files, open_reader, read_settings
from cmow.service.files.readers import Reader
from cmow.service.files.rows import RowCheck
from cmow.service.files.run import BulkRun, progress_bar, report, say
from cmow.service.files.sinks import PartialFile, Position
from cmow.service.machine.cpu import limit_tokenizer_threads, usable_cpus
from cmow.service.model.bundle import Bundle, load_bundle
from cmow.service.model.engine import Engine, Ints
from cmow.service.options.settings import Settings

COMMAND = "cmow-dedupe"
KEPT: ColumnTypes = {"row": int}
LEFT_OUT: ColumnTypes = {"row": int, "duplicate_of": int, "kept": str, "score": float}


def dedupe(options: DedupeOptions, given: dict[str, Any]) -> None:
    """Leave out duplicates as ``options`` say, with the settings ``given``; raises ``CmowError`` or ``OSError``."""
    start = time.perf_counter()
    options.check()
    require_faiss()
    settings = read_settings(given)
    limit_tokenizer_threads(settings.threads)
    bundle = load_bundle(settings.bundle, settings.verify_hashes)
    with ExitStack() as stack:
        readers = [open_reader(each, _check(each, settings), stack) for each in options.inputs()]
        identity = _identity(options, settings, bundle)
        decided = replace(options, output=f"{options.output}.groups")
        ledger, *sinks = open_files([decided, *options.outputs()], identity, stack)
        engine = Engine(bundle, engine_options(settings))
        columns = [_read(*each, engine) for each in zip(options.inputs(), readers, strict=True)]
        search = _search(options, engine, columns)
        duplicates = search.duplicates(_decide(search, ledger, options.progress))
        _write(options, settings, sinks, columns, duplicates)
        ledger.discard()
    _summarise(duplicates, sum(column.skipped for column in columns), time.perf_counter() - start)


def _check(options: DedupeOptions, settings: Settings) -> RowCheck:
    taken = [options.prefix + name for name in KEPT | LEFT_OUT]
    return RowCheck((options.field,), settings.max_text_chars, taken, options.flag)


def _identity(options: DedupeOptions, settings: Settings, bundle: Bundle) -> dict[str, str]:
    """What must not change between the parts of a run; with another number of threads sums may round differently."""
    identity = {
        "threshold": str(options.threshold),
        "candidates": str(options.candidates),
        "keep": options.keep,
        "threads": str(settings.threads or usable_cpus()),
    }
    for number, each in enumerate(options.inputs(), 1):
        of_file = identity_of(each, _check(each, settings), bundle)
        identity |= {f"{name} of file {number}": value for name, value in of_file.items()}
    return identity


def _read(options: DedupeOptions, reader: Reader, engine: Engine) -> TextColumn:
    def left_out(bad: Sequence[BadRow]) -> None:
        report(bad, options.input, options.on_bad_row, COMMAND)

    with progress_bar(options.progress, reader.unit, reader.total) as bar:
        return read_texts(options.input, reader, engine.tokenizer, left_out, bar.update)


def _search(options: DedupeOptions, engine: Engine, columns: Sequence[TextColumn]) -> Search:
    texts = list(chain.from_iterable(column.texts for column in columns))
    known = None if options.known is None else len(columns[0].texts)
    return Search(engine, texts, known, Rule(options.threshold, options.candidates), options.keep)


def _decide(search: Search, ledger: PartialFile, progress: bool) -> Decisions:
    """Decisions on all texts; each block of them is in ``ledger`` before the next is made."""
    made = [np.frombuffer(ledger.content(), DECISION)]
    done = len(made[0])
    if done:
        say(COMMAND, f"going on after {done:,} texts")
    with progress_bar(progress, "texts", len(search.asked), done) as bar:
        for decisions in search.decisions(made[0]):
            made.append(decisions)
            done += len(decisions)
            ledger.append(decisions.tobytes(), Position(records=done, bytes=done * DECISION.itemsize))
            bar.update(len(decisions))
    return np.concatenate(made)


def _write(
    options: DedupeOptions,
    settings: Settings,
    sinks: Sequence[PartialFile],
    columns: Sequence[TextColumn],
    found: Duplicates,
) -> None:
    """The rows that are kept, and where asked for those left out; an output appears once all are written."""
    own, base = columns[-1], columns[0]  # a duplicate is one of a text in ``base``

    def of_kept(texts: Ints) -> Columns:
        return {"row": (own.rows[texts] + 1).tolist()}

    def of_left_out(texts: Ints) -> Columns:
        others = found.duplicate_of[texts]
        return of_kept(texts) | {
            "duplicate_of": (base.rows[others] + 1).tolist(),
            "kept": [base.texts[other] for other in others],
            "score": found.scores[texts].tolist(),
        }

    parts = (found.kept, of_kept, KEPT), (found.dropped, of_left_out, LEFT_OUT)
    with ExitStack() as stack:
        runs = []
        for each, sink, (chosen, values, types) in zip(options.outputs(), sinks, parts, strict=False):
            reader = open_reader(options, _check(options, settings), stack)
            rows = ChosenRows(reader, own, chosen, options.prefix, values)
            encoder = make_encoder(each, sink.position.memory, reader.columns | named(options.prefix, types))
            runs.append(
                BulkRun(COMMAND, "rows", options.input, rows, encoder, sink, options.on_bad_row, options.progress)
            )
            runs[-1].write()
        for run in runs:
            run.sink.finish(run.encoder)


def _summarise(found: Duplicates, skipped: int, seconds: float) -> None:
    more = [f"{skipped:,} bad rows skipped"] * bool(skipped)
    more += [f"{found.unread:,} compared by hash alone, since the model cannot read them whole"] * bool(found.unread)
    counts = f"{len(found.kept):,} rows kept, {len(found.dropped):,} duplicates left out in {seconds:.2f} s"
    say(COMMAND, "; ".join([counts, *more]))
