"""Fits what a bundle's verdicts are decided by, on its answers, into its manifest."""

from __future__ import annotations

from msgspec import structs

from cmow.service.model.bundle import load_bundle, write_manifest
from cmow.service.model.engine import Engine, EngineOptions
from training.bundle.manifest import add_command
from training.data.recipe import command_line
from training.verdicts.__main__ import VerdictsConfig
from training.verdicts.claims import fit_claims
from training.verdicts.same import fit_same, same_sources


def main(config: VerdictsConfig) -> None:
    """Fit, write and print."""
    bundle = load_bundle(config.bundle)
    engine = Engine(bundle, EngineOptions(threads=config.threads))
    same, claims = fit_same(engine, list(same_sources(config.data))), fit_claims(bundle, config.data)
    write_manifest(config.bundle, structs.replace(bundle.manifest, same=same, claims=claims))
    add_command(config.bundle, command_line("training.verdicts", config))
    print(same, claims)
