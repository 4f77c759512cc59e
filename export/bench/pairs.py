"""Speed of ``EncodePairs``, fused and as portable body, beside the machine's matrix product.

python -m export.bench.pairs [--threads 1] [--pairs 64] [--first 17] [--second 17]
"""

from __future__ import annotations

from dataclasses import dataclass, field

from training.command.start import start
from training.options import Threaded


@dataclass(frozen=True)
class PairsBenchConfig(Threaded):
    """What to time."""

    pairs: int = field(default=64, metadata={"help": "pairs in the batch"})
    first: int = field(default=17, metadata={"help": "tokens of a pair's first sentence"})
    second: int = field(default=17, metadata={"help": "tokens of a pair's second sentence"})
    width: int = field(default=128, metadata={"help": "width of the features"})
    keys: int = field(default=64, metadata={"help": "key size"})
    blocks: int = field(default=2, metadata={"help": "blocks"})
    vocabulary: int = field(default=30522, metadata={"help": "rows of the table of tokens"})
    threads: int = field(default=1, metadata={"help": "threads of every contestant"})
    rounds: int = field(default=15, metadata={"help": "timed rounds of five calls, each after one that is not counted"})

    @property
    def tokens(self) -> int:
        """Of all pairs."""
        return self.pairs * (self.first + self.second)

    @property
    def multiplications(self) -> int:
        """Of the integer products: convolution, keys and fusion of every token in every block."""
        return self.tokens * self.blocks * self.width * (7 * self.width + self.keys)


if __name__ == "__main__":
    start(PairsBenchConfig, "export.work.bench_pairs:main")
