"""Export of a trained student to the bundle that the service runs.

python -m export.to_onnx [--base runs/student] [--pair_heads runs/pair_heads] [--out runs/bundle] [--data DIR]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cmow.service.model.bundle import TableDtype
from training.command.start import start
from training.options import OutputFolder, Threaded


@dataclass(frozen=True)
class ExportConfig(Threaded):
    """What to export, and how."""

    base: Path = field(default=Path("runs/student"), metadata={"help": "run of the fine-tuned student, or a bundle"})
    pair_heads: Path = field(default=Path("runs/pair_heads"), metadata={"help": "run of the pair encoder, or a bundle"})
    similarity: Path | None = field(default=None, metadata={"help": "run of a similarity head, instead of the base's"})
    out: OutputFolder = field(default=Path("runs/bundle"), metadata={"help": "bundle folder"})
    replace: bool = field(default=False, metadata={"help": "write over the bundle that is in the folder"})
    name: str = field(default="cmow-hybrid-400", metadata={"help": "the model's name in replies"})
    table_dtype: TableDtype = field(default="int8", metadata={"help": "float32, float16 or int8"})
    max_tokens: int = field(default=100_000, metadata={"help": "longest text that the service takes uncut"})
    data: Path | None = field(default=None, metadata={"help": "data folder whose dev splits to score"})


if __name__ == "__main__":
    start(ExportConfig, "export.work.to_onnx:main")
