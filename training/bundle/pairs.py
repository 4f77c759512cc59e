"""The way back from a bundle's pair encoder and heads to a model that can be trained.

What is kept in int8 comes back within half a step; exported again it is the same integers.

Letters: V vocabulary, w width, q key size, S places, T blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from cmow.service.model.bundle import ENTAILMENT, MANIFEST, PARAPHRASE, Bundle, Claims, Relatedness, Same, load_bundle
from training.bundle.from_bundle import initialisers
from training.bundle.scorer import Calibration
from training.student.model import CheckpointError
from training.student.pair_model import PairConfig, PairModel, load_pair_model

Kept = dict[str, NDArray[Any]]
HEADS = {"entailment": (ENTAILMENT, "head"), "same": (PARAPHRASE, "same")}


def load_pairs(path: Path) -> PairModel:
    """Of a bundle, or of a run; raises ``BundleError`` or ``CheckpointError``."""
    return pair_model_from(load_bundle(path)) if (path / MANIFEST).exists() else load_pair_model(path)


class Rules(NamedTuple):
    """What was fitted and the manifest alone holds, under the names that it has there."""

    relatedness: Relatedness = Relatedness()
    same: Same = Same()
    claims: Claims = Claims()


def load_calibration(path: Path) -> tuple[Calibration, Rules]:
    """What was fitted on the answers of a bundle; of a run nothing has been."""
    if not (path / MANIFEST).exists():
        return Calibration(), Rules()
    bundle = load_bundle(path)
    kept = initialisers(bundle, ENTAILMENT) | initialisers(bundle, PARAPHRASE)
    # A graph has no product with one, and no sum with nothing.
    fitted = Calibration(
        entailment_temperature=float(kept.get("temperature", 1.0)),
        paraphrase_scale=float(kept.get("scale", 1.0)),
        paraphrase_shift=float(kept.get("shift", 0.0)),
        paraphrase_threshold=bundle.manifest.paraphrase_threshold,
    )
    return fitted, Rules(*(getattr(bundle.manifest, name) for name in Rules._fields))


def pair_model_from(bundle: Bundle) -> PairModel:
    """The pair encoder and the heads of ``bundle``; ``CheckpointError`` where export.to_onnx has not written them."""
    kept = initialisers(bundle, ENTAILMENT)
    try:
        weights = _encoder(kept) | _standardise(kept)
        for head, (graph, prefix) in HEADS.items():
            weights |= _head(head, prefix, initialisers(bundle, graph))
        model = PairModel(_sizes(kept))
        model.load_state_dict({name: torch.from_numpy(np.array(values)).float() for name, values in weights.items()})
    except (KeyError, RuntimeError, ValueError) as error:
        message = " ".join(str(error).split())
        raise CheckpointError(
            f"{bundle.path}: expected the pair encoder that export.to_onnx writes: {message}"
        ) from error
    return model


def _sizes(kept: Kept) -> PairConfig:
    """From the shapes of the weights."""
    (vocab_size, width), (blocks, _, key_dim) = kept["reader.rows"].shape, kept["reader.key"].shape
    places, embedding_dim = len(kept["reader.places"]), kept["standardise.mean"].size
    return PairConfig(vocab_size, embedding_dim, width, blocks, key_dim, places, kept["head.0.weight"].shape[1])


def _encoder(kept: Kept) -> Kept:
    """By the names of ``PairEncoder``: layers are kept as int8 [in, out] with a scale for each output."""
    weights: Kept = {
        "encoder.tokens": kept["reader.rows"] * kept["reader.scales"][:, None],
        "encoder.places": kept["reader.places"],
    }
    for block in range(len(kept["reader.mix"])):
        names, at = ("before", "here", "after"), f"encoder.blocks.{block}."
        mix = _expanded(kept, "reader.mix", block)  # [w, 3 w]
        weights |= {f"{at}{name}.weight": part.T for name, part in zip(names, np.split(mix, 3, axis=1), strict=True)}
        weights[at + "key.weight"] = _expanded(kept, "reader.key", block).T
        fuse = kept["reader.fuse"][block] * kept["reader.fuse_scales"][block][:, None]  # [4, w, w]
        weights[at + "fuse.weight"] = np.concatenate(list(fuse)).T
        biases = {"here": "mix", "key": "key", "fuse": "fuse"}
        weights |= {f"{at}{layer}.bias": kept[f"reader.{name}_bias"][block] for layer, name in biases.items()}
    return weights


def _expanded(kept: Kept, name: str, block: int) -> NDArray[np.float32]:
    return np.asarray(kept[name][block] * kept[name + "_scales"][block], np.float32)


def _standardise(kept: Kept) -> Kept:
    return {f"standardise.{name}": kept[f"standardise.{name}"].ravel() for name in ("mean", "inverse")}


def _head(head: str, prefix: str, kept: Kept) -> Kept:
    """By the names of ``PairHeads``, whose dropout the graph has not."""
    at = f"heads.{head}."
    weight = kept[f"{prefix}.0.weight"] * kept[f"{prefix}.0.scales"]  # [in, out]
    return {
        at + "0.weight": (weight * balance_of(kept, prefix)[:, None]).T,
        at + "0.bias": kept[f"{prefix}.0.bias"],
        at + "3.weight": kept[f"{prefix}.2.weight"],
        at + "3.bias": kept[f"{prefix}.2.bias"],
    }


def load_head(model: PairModel, head: str, prefix: str, kept: Kept) -> None:
    """Give the head of ``model`` so called the weights that a graph has ``kept`` under ``prefix``.

    Paraphrase and relatedness are one head, of which an adapted bundle has one for each graph.
    """
    weights = {name: torch.from_numpy(np.array(values)).float() for name, values in _head(head, prefix, kept).items()}
    model.load_state_dict(weights, strict=False)


def balance_of(kept: Mapping[str, NDArray[Any]], prefix: str) -> NDArray[np.float32]:
    """What a head's features [F] are multiplied with before they are rounded; ones where they are not."""
    features = len(kept[f"{prefix}.0.weight"])
    return np.asarray(kept.get(f"{prefix}.0.balance", np.ones(features)), np.float32)
