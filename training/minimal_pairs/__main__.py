"""Prints minimal pairs to read.

python -m training.minimal_pairs --data DIR [--items 3] [--split dev]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from training.errors import one_line_errors
from training.minimal_pairs.generate import dev_items
from training.minimal_pairs.words import Lexicon
from training.options import Natural, parse_options


@dataclass(frozen=True)
class SampleConfig:
    """What to print."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    items: Natural = field(default=3, metadata={"help": "items of each kind"})
    split: Literal["train", "dev"] = field(default="train", metadata={"help": "which frames and words"})
    seed: int = field(default=0, metadata={"help": "seed of the choice"})


def main() -> None:
    """Entry point of ``python -m training.minimal_pairs``."""
    config = parse_options(SampleConfig)
    for kind, found in dev_items(Lexicon.harvest(config.data, config.split), config.seed, config.items).items():
        print(f"\n{kind}")
        for item in found:
            print(f"  {item.anchor}")
            for other, relation in item.others:
                print(f"    {relation.name.lower():10} {other}")


if __name__ == "__main__":
    with one_line_errors():
        main()
