"""The bundled model fitted to one's own labelled pairs, as a bundle of its own.

    python -m training.adapt pairs.csv --task entailment --output mybundle
    cmow-serve --bundle mybundle

One head of the model is fitted; everything else stays as it is, and so every other task answers as before, bit for
bit. Fewer pairs than fifty fit the probabilities and their cut alone. A killed run goes on after its last stage.
"""

from __future__ import annotations

from training.adapt.options import AdaptConfig
from training.command.start import start

if __name__ == "__main__":
    start(AdaptConfig, "training.adapt.command:adapt")
