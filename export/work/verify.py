"""The work of ``export.verify``.

runs sentences of odd lengths through the bundle's own tables in five ways and prints the largest relative L2 error of a
sentence's embedding against the float64 reference; then every whole graph, with and without the kernel library, against
torch with the weights read back from the bundle. Exits with 1 where an error is above its bound.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from cmow.service.machine import native
from cmow.service.machine.cpu import usable_cpus
from cmow.service.model.bundle import (
    ENCODER,
    ENTAILMENT,
    PARAPHRASE,
    RELATEDNESS,
    Bundle,
    TableDtype,
    load_bundle,
)
from cmow.service.model.session import PAIRS, TOKENS
from export.graphs.scoring import expand, hybrid_encode_tables
from export.graphs.session import open_session
from export.ops import hybrid_reference as reference
from export.ops.hybrid_body import hybrid_encode_function
from export.ops.op_model import op_model
from export.ops.tables import Arrays, bundle_tables
from export.verify import VerifyConfig
from export.work.to_onnx import GRAPHS
from training.bundle.scorer import Scorer
from training.kernels.native import Tables
from training.student.product import scan_encode

LENGTHS = (0, 1, 2, 63, 64, 65, 129, 1000)
ENCODER_BOUND = 1e-5  # relative L2
# Absolute, of cosines, probabilities and states: a number that falls on the other side of a step of int8 moves them.
# The pair encoder rounds every token's features ten times: in float64 one of them is on the other side sooner or later.
SCORE_BOUND, PAIR_BOUND = 1e-3, 2e-2


@dataclass(frozen=True)
class Check:
    """One comparison: what was compared, its largest error and the bound."""

    name: str
    error: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the error is a number within the bound."""
        return self.error <= self.bound

    def __str__(self) -> str:
        return f"{'ok  ' if self.passed else 'FAIL'}  {self.error:.2e} <= {self.bound:.0e}  {self.name}"


def odd_sentences(vocab_size: int, seed: int = 0) -> Arrays:
    """Random tokens in sentences of ``LENGTHS`` as the graphs' inputs, every sentence in a pair with the next one."""
    token_ids = np.random.default_rng(seed).integers(0, vocab_size, sum(LENGTHS))
    sentences = np.arange(len(LENGTHS))
    pairs = np.stack([sentences, np.roll(sentences, -1)], axis=1)
    return {"token_ids": token_ids, "cu_seqlens": np.cumsum([0, *LENGTHS]), "pairs": pairs}


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named weights of the graph in ``path``."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def rebuild(bundle: Bundle, graph: str) -> nn.Module:
    """The traced module of ``graph`` with the weights read back from the bundle."""
    weights = read_weights(bundle.path / graph)
    make, _ = GRAPHS[graph]
    model = make(Scorer.empty(bundle.manifest.training.config), bundle.manifest.table_dtype)
    # The graph lacks what inference does not use; if it lacked anything else, the scores would differ.
    model.load_state_dict({name: weights.get(name, value) for name, value in model.state_dict().items()})
    return model.eval()


def largest_relative_error(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest over sentences of ||found - expected|| / ||expected||, of arrays [B, D]."""
    return float((np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)).max())


def run_everywhere(tables: Arrays, dtype: TableDtype, inputs: Arrays) -> Arrays:
    """Embeddings [B, D] of ``inputs`` by every implementation but the reference."""
    packed = {name: inputs[name] for name in ("token_ids", "cu_seqlens")}
    token_ids, cu_seqlens, *stored = (torch.tensor(array) for array in (*packed.values(), *tables.values()))
    scales = stored.pop() if dtype == "int8" else None
    rows, local_ids = token_ids.unique(return_inverse=True)
    model = op_model(packed, tables, hybrid_encode_function(dtype))
    library, threads = native.library_path(), usable_cpus()
    results = {
        "torch operator": hybrid_encode_tables(token_ids, cu_seqlens, *stored, scales).numpy(),
        "torch scan": scan_encode(local_ids, cu_seqlens, Tables(*expand(stored, scales, rows))).numpy(),
        "portable body": open_session(model, threads=threads).run(None, packed)[0],
    }
    if library is not None:
        results["fused op"] = open_session(model, library, threads).run(None, packed)[0]
    return results


def verify_encoder(tables: Arrays, dtype: TableDtype, inputs: Arrays) -> list[Check]:
    """Every implementation against the float64 reference, on tables of ``dtype``."""
    expected = reference.hybrid_encode(inputs["token_ids"], inputs["cu_seqlens"], *tables.values())
    return [
        Check(f"{dtype} tables: {name}", largest_relative_error(found, expected), ENCODER_BOUND)
        for name, found in run_everywhere(tables, dtype, inputs).items()
    ]


def verify_graph(bundle: Bundle, graph: str, inputs: Arrays) -> list[Check]:
    """A whole graph of the bundle against torch."""
    taken = {name: inputs[name] for name in (TOKENS if graph == ENCODER else PAIRS)}
    with torch.no_grad():
        outputs = rebuild(bundle, graph)(*(torch.from_numpy(array) for array in taken.values()))
    expected = outputs if isinstance(outputs, tuple) else (outputs,)
    checks = []
    for library in dict.fromkeys((None, native.library_path())):
        session = open_session(bundle.path / graph, library, usable_cpus())
        for output, found, wanted in zip(session.get_outputs(), session.run(None, taken), expected, strict=True):
            label = f"{graph}, {'fused op' if library else 'portable body'}: {output.name}"
            bound = PAIR_BOUND if graph in (ENTAILMENT, PARAPHRASE, RELATEDNESS) else SCORE_BOUND
            checks.append(Check(label, float(np.abs(found - wanted.numpy()).max()), bound))
    return checks


def verify(bundle: Bundle) -> list[Check]:
    """All checks of ``bundle``, with its tables in every dtype."""
    inputs = odd_sentences(bundle.manifest.dims.vocab_size)
    variants = bundle_tables(bundle).items()
    checks = [check for dtype, tables in variants for check in verify_encoder(tables, dtype, inputs)]
    return checks + [check for graph in GRAPHS for check in verify_graph(bundle, graph, inputs)]


def main(config: VerifyConfig) -> None:
    """Check and print; exits with 1 where a check fails."""
    print(f"sentences of {LENGTHS} tokens; kernel library: {native.library_path() or 'not installed'}")
    checks = verify(load_bundle(config.bundle))
    print(*checks, sep="\n")
    if not all(check.passed for check in checks):
        sys.exit(1)
