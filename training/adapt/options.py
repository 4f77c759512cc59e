"""What ``python -m training.adapt`` may be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cmow.service.options.defaults import BUNDLE
from training.data.files import FORMATS
from training.data.reading import Spelling
from training.options import OutputFolder, Range, Threaded

GeneralPairs = Annotated[int, Range(50)]  # fewer say nothing of what has stayed
PairTask = Literal["entailment", "paraphrase", "relatedness"]


@dataclass(frozen=True, kw_only=True)
class AdaptConfig(Spelling, Threaded):
    """What to fit, and to what."""

    pairs: Path = field(metadata={"help": f"labelled pairs: {FORMATS}", "positional": True})
    task: PairTask = field(metadata={"help": "what the labels or scores are for"})
    output: OutputFolder = field(metadata={"help": "folder of the new bundle"})
    dev: Path | None = field(default=None, metadata={"help": "file of pairs to choose by, instead of held-out ones"})
    bundle: Path = field(default=BUNDLE, metadata={"help": "bundle to begin with"})
    replace: bool = field(default=False, metadata={"help": "write over the bundle that is in the folder"})
    general: GeneralPairs = field(default=6000, metadata={"help": "general pairs that are to keep their answers"})
    steps: int = field(default=0, metadata={"help": "steps of a whole fit; 0 as many as the pairs ask for"})
    seed: int = field(default=0, metadata={"help": "seed of what is held out and of batches"})
