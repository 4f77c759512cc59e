"""What some pairs of one's own bring: the bundled model adapted to a part of a labelled file, scored on its rest.

    python -m training.studies.adaptation --data DIR                                   # 300 rows of QNLI
    python -m training.studies.adaptation --data DIR --file paraphrase/mrpc/train.jsonl.gz --task paraphrase --share 0.8

What is general is scored as well, before and after: SNLI and the STS Benchmark, dev.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cmow.service.options.defaults import BUNDLE
from training.adapt.options import GeneralPairs
from training.command.start import start
from training.options import Share, Threaded


@dataclass(frozen=True)
class AdaptationConfig(Threaded):
    """What to adapt, and to what."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    file: str = field(default="nli/qnli/dev.jsonl.gz", metadata={"help": "labelled pairs below it"})
    task: Literal["entailment", "paraphrase"] = field(default="entailment", metadata={"help": "what they are for"})
    rows: int = field(default=300, metadata={"help": "rows to adapt to; the rest is scored"})
    share: Share = field(default=0.0, metadata={"help": "share of the rows instead"})
    bundle: Path = field(default=BUNDLE, metadata={"help": "bundle to begin with"})
    general: GeneralPairs = field(default=6000, metadata={"help": "general pairs that are to keep their answers"})
    steps: int = field(default=0, metadata={"help": "steps of a whole fit; 0 as many as the pairs ask for"})
    seed: int = field(default=0, metadata={"help": "seed of the rows, of what is held out and of batches"})


if __name__ == "__main__":
    start(AdaptationConfig, "training.work.studies.adaptation:main")
