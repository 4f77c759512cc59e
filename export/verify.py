"""Proof that the encoder is the same function everywhere: torch = custom op = portable body = float64 reference.

python -m export.verify [--threads 1] service/bundle
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import Threaded


@dataclass(frozen=True)
class VerifyConfig(Threaded):
    """What to verify."""

    bundle: Path = field(metadata={"help": "bundle folder", "positional": True})


if __name__ == "__main__":
    start(VerifyConfig, "export.work.verify:main")
