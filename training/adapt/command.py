"""An adaptation as its command is told: the files checked, the fit, the new bundle, and what it came to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmow.service.model.bundle import MANIFEST, load_bundle
from cmow.service.options.defaults import BUNDLE
from training.adapt.adaptation import Adaptation, Adapted
from training.adapt.checks import LEAST_ROWS, check
from training.adapt.general import GENERAL, mark
from training.adapt.heads.choice import FEWEST
from training.adapt.heads.fit import FitOptions
from training.adapt.options import AdaptConfig
from training.adapt.plot import plot
from training.adapt.stages import Stages
from training.data.atomic import make_folder
from training.data.files import DataError
from training.data.identity import Identity, recorded
from training.data.labelled import LabelledPairs

PLOT = "adaptation.png"


def adapt(config: AdaptConfig) -> Adapted:
    """Fit the bundle to the pairs that ``config`` names; prints what is found, and what has changed.

    Raises ``TrainingError`` where the file or the folders are not what they should be, before anything is fitted.
    """
    check_output(config)
    bundle = load_bundle(config.bundle)
    stages = stages_of(config)
    options = FitOptions(steps=config.steps, seed=config.seed)
    adaptation = Adaptation(bundle, config.task, options, stages, config.general, config.threads)
    own = checked(config.pairs, config, adaptation)
    dev = checked(config.dev, config, adaptation) if config.dev else None
    own = own if dev is None else apart(own, dev)
    if len(own) < FEWEST:
        print(f"{len(own)} pairs tell a probability and not a head: only the cut is fitted, from {FEWEST} on both")
    adapted = adaptation.fitted(own, dev)
    print(adapted.text())
    adaptation.write(adapted, config.output, f"python -m training.adapt {config.pairs.name} --task {config.task}")
    plot(adapted.own, adapted.choice, config.output / PLOT)
    stages.end()
    print(f"{config.output}: written, with {PLOT}. Serve it: cmow-serve --bundle {config.output}")
    return adapted


def checked(path: Path, config: AdaptConfig, adaptation: Adaptation) -> LabelledPairs:
    """The pairs of ``path``, once what is found in them is printed."""
    pairs = config.read_for(config.task, path)
    findings, taken = check(pairs, config.task, path, adaptation.tokenizer)
    print(f"{path}\n{findings.text()}")
    return taken


def apart(own: LabelledPairs, dev: LabelledPairs) -> LabelledPairs:
    """``own`` pairs that are not among those of ``dev``; ``DataError`` where hardly any are."""
    marks = set(map(mark, dev.texts))
    rows = np.flatnonzero([mark(pair) not in marks for pair in own.texts])
    if len(rows) < len(own):
        print(f"{len(own) - len(rows)} pairs are in --dev too: not fitted to")
    if len(rows) < LEAST_ROWS:
        raise DataError(f"expected at least {LEAST_ROWS} pairs that are not in --dev too, found {len(rows)}")
    return own.take(rows)


def check_output(config: AdaptConfig) -> None:
    """Raise ``DataError`` where the new bundle must not be written: now, not when it is fitted."""
    if config.output.resolve() in (config.bundle.resolve(), BUNDLE.resolve()):
        raise DataError(f"--output {config.output}: expected another folder than that of the bundle to begin with")
    if (config.output / MANIFEST).exists() and not config.replace:
        raise DataError(f"--output {config.output} holds a bundle: take another folder, or --replace to write over it")
    make_folder(config.output)


def stages_of(config: AdaptConfig) -> Stages:
    """What is kept of this run until it ends, told apart from others by all that its result depends on."""
    options = {name: value for name, value in recorded(config).items() if name not in ("output", "replace")}
    files = [path for path in (config.pairs, config.dev, config.bundle / MANIFEST, GENERAL) if path]
    for path in files:
        if not path.is_file():
            raise DataError(f"{path}: expected a file, found {'a folder' if path.exists() else 'none'}")
    return Stages(config.output / ".fitting", Identity.of(options, files).digest())
