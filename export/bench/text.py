"""Speed of the text path: tokenising, natively and by Hugging Face, and text to embedding with either.

python -m export.bench.text [--bundle service/bundle] [--threads 1] [--sentences 256] [--words 14] [--json OUT]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import OutputFile, Threaded

SPREAD = 2  # words that a sentence may have more or less than asked for


@dataclass(frozen=True)
class TextBenchConfig(Threaded):
    """What to time."""

    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle whose tables and tokenizer to use"})
    text: Path = field(
        default=Path("tests/data/sentences.txt"), metadata={"help": "sentences, one a line; .gz is fine"}
    )
    sentences: int = field(default=256, metadata={"help": "sentences in the batch"})
    words: int = field(default=14, metadata={"help": f"words of a sentence, give or take {SPREAD}"})
    threads: int = field(default=1, metadata={"help": "threads of every contestant"})
    rounds: int = field(default=15, metadata={"help": "timed rounds of five calls, each after one that is not counted"})
    json: OutputFile | None = field(default=None, metadata={"help": "also write the result to this file"})


if __name__ == "__main__":
    start(TextBenchConfig, "export.work.bench_text:main")
