"""Speed of the encoder op compared with the machine's matrix product and DistilBERT, on the same tokens and threads.

python -m export.bench.__main__ [--bundle service/bundle] [--threads 1] [--sentences 256] [--tokens 64] [--json OUT]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import Natural, OutputFile, Threaded


@dataclass(frozen=True)
class BenchConfig(Threaded):
    """What to time."""

    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle whose tables and tokenizer to use"})
    text: Path = field(
        default=Path("tests/data/sentences.txt"), metadata={"help": "sentences, one a line; .gz is fine"}
    )
    sentences: int = field(default=256, metadata={"help": "sentences in the batch, B"})
    tokens: int = field(default=64, metadata={"help": "tokens of every sentence"})
    threads: int = field(default=1, metadata={"help": "threads of every contestant"})
    rounds: int = field(default=15, metadata={"help": "timed rounds of five calls, each after a warm-up"})
    baseline_rounds: Natural = field(
        default=3, metadata={"help": "rounds that DistilBERT takes part in; 0 leaves it out"}
    )
    baseline_sentences: int = field(
        default=0, metadata={"help": "smaller batch for DistilBERT, its time scaled up; 0 means the same batch"}
    )
    json: OutputFile | None = field(default=None, metadata={"help": "also write the result to this file"})


if __name__ == "__main__":
    start(BenchConfig, "export.work.bench:main")
