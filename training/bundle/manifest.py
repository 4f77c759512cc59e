"""What a bundle's manifest says of its training, changed where the bundle lies."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from cmow.service.model.bundle import Manifest, read_manifest, write_manifest


def update_training(folder: Path, **changes: object) -> Manifest:
    """Rewrite the manifest in ``folder`` with other fields in its record of the training."""
    manifest = read_manifest(folder)
    training = structs.replace(manifest.training, **changes)
    manifest = structs.replace(manifest, training=training)
    write_manifest(folder, manifest)
    return manifest


def add_command(folder: Path, command: str) -> None:
    """Add ``command`` to the recipe in ``folder``, unless it is there."""
    recipe = read_manifest(folder).training.recipe
    update_training(folder, recipe=list(dict.fromkeys([*recipe, command])))
