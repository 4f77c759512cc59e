"""Export of a trained student to the bundle that the service runs.

    python -m export.to_onnx [--base runs/student] [--pair_heads runs/pair_heads] [--out runs/bundle] [--data DIR]

Encoder and similarity head come from ``--base``, a student's run or a bundle; ``--pair_heads`` stands upon them, and
``--similarity`` takes another head's place. They are traced by ``torch.onnx.export``, one graph a task over the same
weights; the encoder of sentences and that of pairs stay one ``ai.cmow`` node each, with their portable bodies as
model-local functions beside them. With ``--data`` the
answers of the exported bundle are calibrated, and it is scored on the dev splits; both go into its manifest.
"""

from __future__ import annotations

import logging
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import onnx
import onnxscript
import torch
from torch import nn

from cmow.service.model.bundle import (
    ENCODER,
    ENTAILMENT,
    FILES,
    MANIFEST,
    PARAPHRASE,
    PROJECTION,
    RELATEDNESS,
    SIMILARITY,
    TOKENIZER,
    Dims,
    Manifest,
    Relatedness,
    TableDtype,
    Training,
    file_entry,
    write_manifest,
)
from cmow.service.model.session import PAIRS, TOKENS
from cmow.service.text.tokenizer import Tokenizer
from export.graphs.balance import balance_heads
from export.graphs.int8 import translate_expand_columns, translate_round_to_int8
from export.graphs.scoring import (
    EncoderModel,
    EntailmentModel,
    ParaphraseModel,
    RelatednessModel,
    SimilarityModel,
    int8_similarity_head,
)
from export.ops.hybrid_body import DOMAIN, hybrid_encode_function
from export.ops.pairs_body import encode_pairs_function
from export.ops.signatures import ENCODE_PAIRS, HYBRID_ENCODE, VERSION, Signature
from training.bundle.base import Base, load_base, load_base_projection
from training.bundle.pairs import load_calibration, load_pairs
from training.bundle.projection import load_projection
from training.bundle.scorer import Scorer
from training.bundle.weights import save_graphs
from training.calibration import calibrated, finish
from training.data.files import NLI_LABELS
from training.data.recipe import Recipe, command_line
from training.errors import one_line_errors
from training.options import parse_options

OPSET = 18
MAX_TOKENS = 64  # of the texts by which the heads' features are balanced

Names = tuple[str, ...]
# Of each graph that takes tokens: what it is traced from, and its outputs.
GRAPHS: dict[str, tuple[Callable[[Scorer, TableDtype], nn.Module], Names]] = {
    SIMILARITY: (SimilarityModel, ("similarity", "embeddings")),
    ENTAILMENT: (EntailmentModel, ("entailment",)),
    PARAPHRASE: (ParaphraseModel, ("paraphrase",)),
    RELATEDNESS: (RelatednessModel, ("evidence",)),
    ENCODER: (EncoderModel, ("states",)),
}


@dataclass(frozen=True)
class ExportConfig:
    """What to export, and how."""

    base: Path = field(default=Path("runs/student"), metadata={"help": "run of the fine-tuned student, or a bundle"})
    pair_heads: Path = field(default=Path("runs/pair_heads"), metadata={"help": "run of the pair encoder, or a bundle"})
    similarity: Path | None = field(default=None, metadata={"help": "run of a similarity head, instead of the base's"})
    out: Path = field(default=Path("runs/bundle"), metadata={"help": "bundle folder"})
    replace: bool = field(default=False, metadata={"help": "write over the bundle that is in the folder"})
    name: str = field(default="cmow-hybrid-400", metadata={"help": "the model's name in replies"})
    table_dtype: TableDtype = field(default="int8", metadata={"help": "float32, float16 or int8"})
    max_tokens: int = field(default=100_000, metadata={"help": "longest text that the service takes uncut"})
    data: Path | None = field(default=None, metadata={"help": "data folder whose dev splits to score"})


def node_of(op: Signature) -> onnxscript.values.Op:
    """What a translation calls to add a node of ``op``."""
    return onnxscript.values.Op(onnxscript.values.Opset(DOMAIN, VERSION), op.op_type, op.schema())


hybrid_encode_node, encode_pairs_node = node_of(HYBRID_ENCODE), node_of(ENCODE_PAIRS)


def translate_hybrid_encode(
    token_ids: Any, cu_seqlens: Any, vectors: Any, fwd: Any, bwd: Any, scales: Any = None
) -> Any:
    """The ONNX node of ``cmow::hybrid_encode_tables``; scales are an input only where the tables are int8."""
    tables = (vectors, fwd, bwd) if scales is None else (vectors, fwd, bwd, scales)
    return hybrid_encode_node(token_ids, cu_seqlens, *tables)


def translate_encode_pairs(
    token_ids: Any,
    cu_seqlens: Any,
    pairs: Any,
    rows: Any,
    scales: Any,
    places: Any,
    mix: Any,
    mix_scales: Any,
    mix_bias: Any,
    key: Any,
    key_scales: Any,
    key_bias: Any,
    fuse: Any,
    fuse_scales: Any,
    fuse_bias: Any,
) -> Any:
    """The ONNX node of ``cmow::encode_pairs``."""
    layers = (mix, mix_scales, mix_bias, key, key_scales, key_bias, fuse, fuse_scales, fuse_bias)
    return encode_pairs_node(token_ids, cu_seqlens, pairs, rows, scales, places, *layers)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.cmow.hybrid_encode_tables.default: translate_hybrid_encode,
    torch.ops.cmow.encode_pairs.default: translate_encode_pairs,
    torch.ops.cmow.round_to_int8.default: translate_round_to_int8,
    torch.ops.cmow.expand_columns.default: translate_expand_columns,
}


def portable_bodies(model: onnx.ModelProto, dtype: TableDtype) -> list[onnx.FunctionProto]:
    """The portable body of each of our ops that ``model`` has, for tables of ``dtype``."""
    makers = {
        HYBRID_ENCODE.op_type: lambda: hybrid_encode_function(dtype),
        ENCODE_PAIRS.op_type: encode_pairs_function,
    }
    used = {node.op_type for node in model.graph.node if node.domain == DOMAIN}
    return [make() for op_type, make in makers.items() if op_type in used]


def trace_graph(scorer: Scorer, graph: str, dtype: TableDtype) -> onnx.ModelProto:
    """One of ``GRAPHS``, the portable bodies of its ops included."""
    make, outputs = GRAPHS[graph]
    inputs = tuple(TOKENS if graph == ENCODER else PAIRS)
    # No size is 0 or 1, which tracing would take as constants, and no two sizes are linked.
    sample = torch.arange(7), torch.tensor([0, 2, 4, 7]), torch.arange(10).view(5, 2) % 3
    free = tuple({0: torch.export.Dim(name)} for name in ("N", "boundaries", "P"))
    count = len(inputs)
    traced = export_module(make(scorer, dtype), sample[:count], (inputs, outputs), free[:count])
    traced.functions.extend(portable_bodies(traced, dtype))
    return traced


def trace_projection(scorer: Scorer) -> onnx.ModelProto:
    """The similarity head alone, from states [B, D]: for states that the service has composed."""
    sample = (torch.ones(2, scorer.pairs.config.embedding_dim),)
    names = (("states",), ("embeddings",))
    return export_module(int8_similarity_head(scorer), sample, names, ({0: torch.export.Dim("B")},))


def export_module(
    module: nn.Module,
    sample: tuple[torch.Tensor, ...],
    names: tuple[Names, Names],
    shapes: tuple[dict[int, Any], ...],
) -> onnx.ModelProto:
    """``module`` traced on ``sample``; ``names`` of inputs and outputs, ``shapes`` with the free dimensions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.export's own use of its own deprecated names
        program = torch.onnx.export(
            module.eval(),
            sample,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(names[0]),
            output_names=list(names[1]),
            dynamic_shapes=shapes,
            custom_translation_table=TRANSLATIONS,
            verbose=False,
        )
    traced = cast(onnx.ModelProto, cast(Any, program).model_proto)
    strip_metadata(traced)
    return traced


def strip_metadata(model: onnx.ModelProto) -> None:
    """Remove the tracer's notes: stack traces with paths of the machine that exported, and twice the graph's size."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")


def dims_of(sizes: dict[str, Any]) -> Dims:
    """The sizes that the manifest states."""
    return Dims(**{name: size for name, size in sizes.items() if name in Dims.__struct_fields__})


def write_bundle(scorer: Scorer, base: Base, config: ExportConfig, recipe: Recipe, related: Relatedness) -> None:
    """Write the bundle of ``scorer`` to ``config.out``, its metrics still empty."""
    config.out.mkdir(parents=True, exist_ok=True)
    graphs = {graph: trace_graph(scorer, graph, config.table_dtype) for graph in GRAPHS}
    save_graphs({**graphs, PROJECTION: trace_projection(scorer)}, config.out)
    shutil.copy(base.tokenizer, config.out / TOKENIZER)
    manifest = Manifest(
        name=config.name,
        created=datetime.now(UTC).replace(microsecond=0),
        dims=dims_of(scorer.sizes),
        table_dtype=config.table_dtype,
        labels=list(NLI_LABELS),
        max_tokens=config.max_tokens,
        paraphrase_threshold=scorer.calibration.paraphrase_threshold,
        relatedness=related,
        files={name: file_entry(config.out / name) for name in FILES},
        training=Training(recipe=recipe.commands, config=scorer.sizes, metrics={}, sources=recipe.sources),
    )
    write_manifest(config.out, manifest)


def export_bundle(config: ExportConfig) -> None:
    """Write the bundle to ``config.out``; with data, fit what is fitted on a bundle as it answers, and score it."""
    base, pairs = load_base(config.base), load_pairs(config.pair_heads)
    recipe = Recipe.read(config.pair_heads).after(base.recipe)
    if config.similarity is None:
        projection = load_base_projection(config.base)
    else:
        projection, recipe = load_projection(config.similarity), Recipe.read(config.similarity).after(recipe)
    scorer = Scorer(base.encoder, projection, pairs).eval()
    balance_heads(scorer, Tokenizer(base.tokenizer, MAX_TOKENS))
    known, related = load_calibration(config.pair_heads)
    scorer.calibrate(known)
    recipe = recipe.then(command_line("export.to_onnx", config), [])
    write_bundle(scorer, base, config, recipe, related)
    if config.data is not None:
        scorer.calibrate(calibrated(config.out, config.data, scorer.calibration))
        write_bundle(scorer, base, config, recipe, related)
        finish(config.out, config.data)


def main(config: ExportConfig) -> None:
    """Export beside ``config.out``, and put the files there when all of them are written."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    if (config.out / MANIFEST).exists() and not config.replace:
        sys.exit(f"error: {config.out} holds a bundle: take another --out, or --replace to write over it")
    config.out.mkdir(parents=True, exist_ok=True)
    with one_line_errors(), TemporaryDirectory(dir=config.out, prefix=".new-") as folder:
        new = Path(folder)
        export_bundle(replace(config, out=new))
        for name in (*FILES, MANIFEST):
            (new / name).replace(config.out / name)
    print(f"{config.out}: written. Serve it: cmow-serve --bundle {config.out}")


if __name__ == "__main__":
    main(parse_options(ExportConfig))
