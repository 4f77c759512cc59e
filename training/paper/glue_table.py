"""Results of the tasks beside what the paper published, as a Markdown table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import Threaded


@dataclass(frozen=True)
class GlueTableConfig(Threaded):
    """What to read."""

    folder: Path = field(default=Path("runs/glue"), metadata={"help": "folder of runs", "positional": True})


if __name__ == "__main__":
    start(GlueTableConfig, "training.work.paper.glue_table:main")
