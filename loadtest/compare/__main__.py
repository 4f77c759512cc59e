"""This student compared with DistilBERT and the field, in one run.

    python -m loadtest.compare [--data DIR] [--json OUT] [--html OUT] [--quick]

All sides in turn, round after round, on the same real text and the same number of threads (one, then all); each in a
process of its own. Prints medians, and which bars are met. --data brings the scores on the dev splits below DIR. Before
the first run the other sides' models are made, which takes some minutes, once. A side that is not installed is named.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cmow.service.machine.cpu import usable_cpus
from cmow.service.model.bundle import TOKENIZER
from cmow.service.options.arguments import count
from cmow.service.options.defaults import BUNDLE
from loadtest.compare.catalogue import CATALOGUE, Spec
from loadtest.compare.contestant import Contestant, SideError
from loadtest.compare.footprint import footprint
from loadtest.compare.making import make_models
from loadtest.compare.models import MODELS, read_head
from loadtest.compare.quality import Quality, qualities
from loadtest.compare.report.bars import Bar, Results, bars
from loadtest.compare.report.page import page
from loadtest.compare.report.tables import print_bars, print_machine, print_scores, print_sides, print_speeds
from loadtest.compare.rounds import Cell, Pace, measure
from loadtest.compare.side import Context
from loadtest.compare.workloads import QUICK, WORKLOADS
from training.data.files import DataError
from training.loop.machine import machine

FULL_PACE = Pace(rounds=4, seconds=0.1, call_limit=0.5, whole=True)
QUICK_PACE = Pace(rounds=3, seconds=0.05, call_limit=0.25, whole=False)
QUICK_ROWS = 200  # of a dev split
PACKAGES = (
    *("onnxruntime", "onnxruntime-gpu", "numpy", "tokenizers", "fastapi", "uvicorn", "uvloop", "pydantic"),
    *("torch", "transformers", "sentence-transformers", "model2vec", "wordllama"),
)


@dataclass
class Outcome:
    """All that one run found; ``absent`` are reasons."""

    absent: dict[str, str] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    loads: list[dict[str, Any]] = field(default_factory=list)
    quality: dict[str, Quality] = field(default_factory=dict)
    footprint: dict[str, float] | None = None

    def record(self, options: argparse.Namespace) -> dict[str, Any]:
        """For JSON."""
        found: list[Bar] = bars(Results(self.cells, 1), self.footprint)
        return {
            "machine": machine(PACKAGES),
            "settings": {name: shown(value) for name, value in vars(options).items() if name not in ("json", "html")},
            "distilbert": read_head(options.models),
            "titles": {spec.name: spec.title for spec in CATALOGUE},
            "absent": self.absent,
            "sides": self.loads,
            "cells": [cell.record() for cell in self.cells],
            "quality": self.quality,
            "footprint": self.footprint,
            "bars": [bar.record() for bar in found],
        }


def shown(setting: object) -> str:
    """``setting`` as a report shows it: of a path only the name, since reports are passed on."""
    return setting.name if isinstance(setting, Path) else str(setting)


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """The whole comparison."""
    outcome = Outcome()
    specs = [spec for spec in CATALOGUE if not options.sides or spec.name in options.sides]
    outcome.absent = {spec.name: reason for spec in specs if (reason := spec.absent())}
    specs = [spec for spec in specs if spec.name not in outcome.absent]
    for threads in options.threads:
        with everyone(specs, Context(threads, options.bundle, options.models), options.text, outcome) as contestants:
            run(contestants, options, outcome)
            if threads == options.threads[-1] and options.data is not None:
                rows = QUICK_ROWS if options.quick else None
                outcome.quality = qualities(contestants, options.data, rows, tqdm.write)
    if options.footprint:
        outcome.footprint = footprint(options.bundle, options.text)
    return outcome.record(options)


@contextmanager
def everyone(specs: list[Spec], context: Context, text: Path, outcome: Outcome) -> Iterator[list[Contestant]]:
    """All sides, loaded one after the other; one that does not load is absent."""
    with ExitStack() as stack:
        contestants = []
        for spec in tqdm(specs, f"loading, {context.threads} threads", unit=" sides", leave=False):
            try:
                contestants.append(stack.enter_context(Contestant(spec, context, text)))
            except SideError as error:
                outcome.absent[spec.name] = f"did not load: {error}"
        yield contestants


def run(contestants: list[Contestant], options: argparse.Namespace, outcome: Outcome) -> None:
    """Time all workloads, and note what every side took."""
    pace, workloads = (QUICK_PACE, QUICK) if options.quick else (FULL_PACE, WORKLOADS)
    progress = tqdm(total=len(workloads), desc="timing", unit=" workloads", leave=False)
    with progress:
        for cells in measure(contestants, workloads, pace, tqdm.write):
            outcome.cells += cells
            progress.update()
    outcome.loads += [
        {
            "side": contestant.spec.name,
            "threads": contestant.threads,
            "load_seconds": contestant.load_seconds,
            "model_bytes": contestant.bytes,
            "peak_rss": contestant.peak_rss(),
        }
        for contestant in contestants
    ]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m loadtest.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of labelled dev splits, see training/data/files.py")
    parser.add_argument("--json", type=Path, help="write everything that was measured to this file")
    parser.add_argument("--html", type=Path, help="write the report, one file on its own, to this one")
    parser.add_argument(
        "--quick", action="store_true", help="one thread, few workloads, smaller batches for slow sides"
    )
    parser.add_argument("--sides", nargs="+", choices=[spec.name for spec in CATALOGUE], help="only these")
    parser.add_argument("--threads", nargs="+", type=count, help="by default 1 and all; with --quick 1")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the other sides' models")
    parser.add_argument("--distilbert", help="a trained DistilBERT for pairs, hub name or folder; by default untrained")
    parser.add_argument(
        "--text", type=Path, default=Path("tests/data/sentences.txt"), help="a sentence a line; .gz is fine"
    )
    parser.add_argument("--no-footprint", dest="footprint", action="store_false", help="do not start the service alone")
    options = parser.parse_args(arguments)
    options.threads = options.threads or sorted({1} if options.quick else {1, usable_cpus()})
    return options


def main() -> None:
    """Make what is missing, compare, print and write."""
    options = parse()
    try:
        make_models(options.models, options.bundle / TOKENIZER, options.distilbert, print)
        record = compare(options)
    except DataError as error:
        sys.exit(f"error: {error}")
    print_machine(record)
    for threads in options.threads:
        print_speeds(record, threads)
    print_sides(record)
    print_scores(record)
    print_bars(record)
    if options.json is not None:
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if options.html is not None:
        options.html.write_text(page(record), encoding="utf-8")


if __name__ == "__main__":
    main()
