"""Export of a DistilBERT baseline that the service's ``/compare`` shows next to the student.

python -m export.baseline                                                   # untrained: speed only
python -m export.baseline --source typeform/distilbert-base-uncased-mnli    # hub name, or a local folder
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import OutputFolder, Threaded


@dataclass(frozen=True)
class BaselineConfig(Threaded):
    """What to export, and to where."""

    source: str | None = field(default=None, metadata={"help": "local folder or hub name; none: random weights"})
    name: str | None = field(default=None, metadata={"help": "name that clients choose by; by default the source's"})
    out: OutputFolder = field(
        default=Path("runs/baselines"), metadata={"help": "folder of baselines; a new one goes below it"}
    )
    tokenizer: Path = field(
        default=Path("service/bundle/tokenizer.json"), metadata={"help": "WordPiece of an untrained baseline"}
    )


if __name__ == "__main__":
    start(BaselineConfig, "export.work.baseline:main")
