"""Scores of a served bundle, through the service's own engine, on labelled files.

    python -m training.evaluate pairs.csv nli.jsonl --bundle service/bundle    # one's own
    python -m training.evaluate --data DIR --json scores.json                  # all below a folder

One record a file. NLI labels: accuracy, macro F1 and expected calibration error (two-way data by entailment against the
rest). Paraphrase: accuracy, F1 and average precision, once by the bundle's paraphrase head and once by the cosine with
the manifest's threshold. Both with precision, recall, F1 and support of every class, and what was taken for what.
Scores: Spearman and Pearson, of the cosine and of the relatedness.

A file that cannot be scored is named, the others are scored, and the exit status is 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.data.files import FORMATS
from training.data.reading import Reading
from training.options import OutputFile, Threaded

KINDS = (".png", ".html", ".svg")  # of plots


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Reading, Threaded):
    """What to score."""

    files: list[Path] = field(default_factory=list, metadata={"help": f"labelled files: {FORMATS}", "positional": True})
    data: Path | None = field(default=None, metadata={"help": "folder searched for labelled files"})
    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    json: OutputFile | None = field(default=None, metadata={"help": "write the records here"})
    plot: OutputFile | None = field(
        default=None, metadata={"help": f"write accuracy by confidence and scores here, as {', '.join(KINDS)}"}
    )


if __name__ == "__main__":
    start(EvaluateConfig, "training.work.evaluate:main")
