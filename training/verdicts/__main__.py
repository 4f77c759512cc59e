"""What a bundle's verdicts are decided by, fitted on its answers, into its manifest; no weight changes.

    python -m training.verdicts --data DIR [--bundle runs/bundle]

`training.calibration` does the same beside what else it fits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from msgspec import structs

from cmow.service.model.bundle import load_bundle, write_manifest
from cmow.service.model.engine import Engine
from training.bundle.manifest import add_command
from training.data.recipe import command_line
from training.errors import one_line_errors
from training.options import parse_options
from training.verdicts.claims import fit_claims
from training.verdicts.same import fit_same, same_sources


@dataclass(frozen=True)
class VerdictsConfig:
    """What to fit."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    bundle: Path = field(default=Path("runs/bundle"), metadata={"help": "bundle folder, whose manifest is rewritten"})


def main(config: VerdictsConfig) -> None:
    """Fit, write and print."""
    with one_line_errors():
        bundle = load_bundle(config.bundle)
        same, claims = fit_same(Engine(bundle), list(same_sources(config.data))), fit_claims(bundle, config.data)
        write_manifest(config.bundle, structs.replace(bundle.manifest, same=same, claims=claims))
        add_command(config.bundle, command_line("training.verdicts", config))
    print(same, claims)


if __name__ == "__main__":
    main(parse_options(VerdictsConfig))
