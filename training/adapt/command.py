"""``cmow-adapt``: the shipped model fitted to one's own labelled pairs.

    cmow-adapt pairs.csv --task entailment --output mybundle
    cmow-serve --bundle mybundle

One head of the model is fitted; everything else stays as it is, and so every other task answers as before, bit for
bit. Fewer pairs than fifty fit the probabilities and their cut alone. A killed run goes on after its last stage.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from hashlib import blake2b, file_digest
from pathlib import Path

import numpy as np
import torch

from cmow.service.errors import StartError
from cmow.service.model.bundle import MANIFEST, Bundle, load_bundle
from cmow.service.options.defaults import BUNDLE
from training.adapt.adaptation import Adaptation, Adapted, PairTask
from training.adapt.checks import check
from training.adapt.choice import FEWEST
from training.adapt.fit import FitOptions
from training.adapt.general import mark
from training.adapt.plot import plot
from training.adapt.stages import Stages
from training.data.files import FORMATS, DataError
from training.data.labelled import LabelledPairs
from training.data.reading import Spelling
from training.errors import TrainingError
from training.options import parse_options_and_files

PLOT = "adaptation.png"


@dataclass(frozen=True, kw_only=True)
class AdaptConfig(Spelling):
    """What to fit, and to what."""

    task: PairTask = field(metadata={"help": "what the labels or scores are for"})
    output: Path = field(metadata={"help": "folder of the new bundle"})
    dev: Path | None = field(default=None, metadata={"help": "file of pairs to choose by, instead of held-out ones"})
    bundle: Path = field(default=BUNDLE, metadata={"help": "bundle to begin with"})
    replace: bool = field(default=False, metadata={"help": "write over the bundle that is in the folder"})
    general: int = field(default=6000, metadata={"help": "general pairs that are to keep their answers"})
    steps: int = field(default=0, metadata={"help": "steps of a whole fit; 0 as many as the pairs ask for"})
    seed: int = field(default=0, metadata={"help": "seed of what is held out and of batches"})
    threads: int = field(default=0, metadata={"help": "threads; 0 takes what the machine grants"})


def adapt(pairs: Path, config: AdaptConfig) -> Adapted:
    """Fit the bundle to the file ``pairs`` as ``config`` says; prints what is found, and what has changed.

    Raises ``TrainingError`` where the file or the folders are not what they should be, before anything is fitted.
    """
    check_output(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    bundle = load_bundle(config.bundle)
    stages = stages_of(pairs, config, bundle)
    options = FitOptions(steps=config.steps, seed=config.seed)
    adaptation = Adaptation(bundle, config.task, options, stages, config.general, config.threads)
    own, dev = checked(pairs, config, adaptation), checked(config.dev, config, adaptation) if config.dev else None
    own = own if dev is None else apart(own, dev)
    adapted = adaptation.fitted(own, dev)
    print(adapted.text())
    adaptation.write(adapted, config.output, f"cmow-adapt {pairs.name} --task {config.task}")
    plot(adapted.own, adapted.choice, config.output / PLOT)
    stages.end()
    print(f"{config.output}: written, with {PLOT}. Serve it: cmow-serve --bundle {config.output}")
    return adapted


def checked(path: Path, config: AdaptConfig, adaptation: Adaptation) -> LabelledPairs:
    """The pairs of ``path``, once what is found in them is printed."""
    pairs = config.read_for(config.task, path)
    findings, taken = check(pairs, config.task, path, adaptation.tokenizer)
    print(f"{path}\n{findings.text()}")
    if len(taken) < FEWEST and path != config.dev:
        print(f"{len(taken)} pairs tell a probability and not a head: only the cut is fitted, from {FEWEST} on both")
    return taken


def apart(own: LabelledPairs, dev: LabelledPairs) -> LabelledPairs:
    """``own`` pairs that are not among those of ``dev``, by which they could not be judged."""
    marks = set(map(mark, dev.texts))
    rows = np.flatnonzero([mark(pair) not in marks for pair in own.texts])
    if len(rows) < len(own):
        print(f"{len(own) - len(rows)} pairs are in --dev too: not fitted to")
    return own.take(rows)


def check_output(config: AdaptConfig) -> None:
    """Raise ``DataError`` where the new bundle cannot or must not be written: now, not when it is fitted."""
    if config.output.resolve() == config.bundle.resolve() or config.output.resolve() == BUNDLE.resolve():
        raise DataError(f"--output {config.output}: expected another folder than that of the bundle to begin with")
    if (config.output / MANIFEST).exists() and not config.replace:
        raise DataError(f"--output {config.output} holds a bundle: take another folder, or --replace to write over it")
    try:
        config.output.mkdir(parents=True, exist_ok=True)
        probe = config.output / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataError(f"--output {config.output}: expected a folder to write to: {error.strerror}") from error


def stages_of(pairs: Path, config: AdaptConfig, bundle: Bundle) -> Stages:
    """What is kept of this run until it ends, told apart from others by all that its result depends on."""
    known = {name: str(value) for name, value in asdict(config).items() if name not in ("threads", "replace", "output")}
    known["bundle"] = json.dumps({name: entry.sha256 for name, entry in sorted(bundle.manifest.files.items())})
    for name, path in (("pairs", pairs), ("dev", config.dev)):
        known[name] = digest(path) if path else ""
    return Stages(config.output / ".fitting", blake2b(json.dumps(known).encode()).hexdigest())


def digest(path: Path) -> str:
    """Of the file ``path``; raises ``DataError`` where there is none that can be read."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: expected a file that can be read: {error.strerror}") from error


def main(arguments: list[str] | None = None) -> None:
    """Adapt as the command line says; exit status 2 where something is not as it should be."""
    config, files = parse_options_and_files(AdaptConfig, f"labelled pairs: {FORMATS}", arguments)
    try:
        if len(files) != 1:
            raise DataError(f"expected one file of labelled pairs, found {len(files)}")
        adapt(files[0], config)
    except (TrainingError, StartError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
