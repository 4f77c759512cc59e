"""The work of ``training.minimal_pairs``.

python -m training.minimal_pairs --data DIR [--items 3] [--split dev]
"""

from __future__ import annotations

from training.minimal_pairs.__main__ import SampleConfig
from training.minimal_pairs.generate import dev_items
from training.minimal_pairs.words import Lexicon


def main(config: SampleConfig) -> None:
    """Print items of every kind."""
    for kind, found in dev_items(Lexicon.harvest(config.data, config.split), config.seed, config.items).items():
        print(f"\n{kind}")
        for item in found:
            print(f"  {item.anchor}")
            for other, relation in item.others:
                print(f"    {relation.name.lower():10} {other}")
