"""Export of a trained student to the bundle that the service runs.

    python -m export.to_onnx [--student runs/student] [--out service/bundle] [--data DIR]

The student is traced by ``torch.onnx.export``, one graph a task over the same weights; the encoder stays one
``ai.cmow::HybridEncode`` node, with its portable body as a model-local function beside it. With ``--data`` the exported
bundle learns how to weigh its answers for relatedness and is scored on the dev splits; both go into its manifest.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
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
from export.graphs.int8 import translate_expand_columns, translate_round_to_int8
from export.graphs.scoring import EncoderModel, EntailmentModel, ParaphraseModel, SimilarityModel, int8_similarity_head
from export.graphs.weights import save_graphs
from export.ops.align_body import align_pairs_function
from export.ops.hybrid_body import DOMAIN, hybrid_encode_function
from export.ops.signatures import ALIGN_PAIRS, HYBRID_ENCODE, VERSION, Signature
from training.data.files import NLI_LABELS
from training.data.recipe import Recipe, command_line
from training.errors import one_line_errors
from training.options import parse_options
from training.relatedness import finish
from training.student.model import Student, StudentConfig, load_student

OPSET = 18

Names = tuple[str, ...]
# Of each graph that takes tokens: what it is traced from, and its outputs.
GRAPHS: dict[str, tuple[Callable[[Student, TableDtype], nn.Module], Names]] = {
    SIMILARITY: (SimilarityModel, ("similarity", "embeddings")),
    ENTAILMENT: (EntailmentModel, ("entailment",)),
    PARAPHRASE: (ParaphraseModel, ("paraphrase",)),
    ENCODER: (EncoderModel, ("states",)),
}


@dataclass(frozen=True)
class ExportConfig:
    """What to export, and how."""

    student: Path = field(default=Path("runs/student"), metadata={"help": "folder of the fine-tuned student"})
    out: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    name: str = field(default="cmow-hybrid-400", metadata={"help": "the model's name in replies"})
    table_dtype: TableDtype = field(default="int8", metadata={"help": "float32, float16 or int8"})
    max_tokens: int = field(default=100_000, metadata={"help": "longest text that the service takes uncut"})
    data: Path | None = field(default=None, metadata={"help": "data folder whose dev splits to score"})


def node_of(op: Signature) -> onnxscript.values.Op:
    """What a translation calls to add a node of ``op``."""
    return onnxscript.values.Op(onnxscript.values.Opset(DOMAIN, VERSION), op.op_type, op.schema())


hybrid_encode_node, align_pairs_node = node_of(HYBRID_ENCODE), node_of(ALIGN_PAIRS)


def translate_hybrid_encode(
    token_ids: Any, cu_seqlens: Any, vectors: Any, fwd: Any, bwd: Any, scales: Any = None
) -> Any:
    """The ONNX node of ``cmow::hybrid_encode_tables``; scales are an input only where the tables are int8."""
    tables = (vectors, fwd, bwd) if scales is None else (vectors, fwd, bwd, scales)
    return hybrid_encode_node(token_ids, cu_seqlens, *tables)


def translate_align_pairs(keys: Any, values: Any, cu_seqlens: Any, pairs: Any, weight: Any, bias: Any) -> Any:
    """The ONNX node of ``cmow::align_pairs``."""
    return align_pairs_node(keys, values, cu_seqlens, pairs, weight, bias)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.cmow.hybrid_encode_tables.default: translate_hybrid_encode,
    torch.ops.cmow.align_pairs.default: translate_align_pairs,
    torch.ops.cmow.round_to_int8.default: translate_round_to_int8,
    torch.ops.cmow.expand_columns.default: translate_expand_columns,
}


def portable_bodies(model: onnx.ModelProto, dtype: TableDtype) -> list[onnx.FunctionProto]:
    """The portable body of each of our ops that ``model`` has, for tables of ``dtype``."""
    makers = {
        HYBRID_ENCODE.op_type: lambda: hybrid_encode_function(dtype),
        ALIGN_PAIRS.op_type: align_pairs_function,
    }
    used = {node.op_type for node in model.graph.node if node.domain == DOMAIN}
    return [make() for op_type, make in makers.items() if op_type in used]


def trace_graph(student: Student, graph: str, dtype: TableDtype) -> onnx.ModelProto:
    """One of ``GRAPHS``, the portable bodies of its ops included."""
    make, outputs = GRAPHS[graph]
    inputs = tuple(TOKENS if graph == ENCODER else PAIRS)
    # No size is 0 or 1, which tracing would take as constants, and no two sizes are linked.
    sample = torch.arange(7), torch.tensor([0, 2, 4, 7]), torch.arange(10).view(5, 2) % 3
    free = tuple({0: torch.export.Dim(name)} for name in ("N", "boundaries", "P"))
    count = len(inputs)
    traced = export_module(make(student, dtype), sample[:count], (inputs, outputs), free[:count])
    traced.functions.extend(portable_bodies(traced, dtype))
    return traced


def trace_projection(student: Student) -> onnx.ModelProto:
    """The similarity head alone, from states [B, D]: for states that the service has composed."""
    sample = (torch.ones(2, student.config.embedding_dim),)
    names = (("states",), ("embeddings",))
    return export_module(int8_similarity_head(student), sample, names, ({0: torch.export.Dim("B")},))


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


def dims_of(config: StudentConfig) -> Dims:
    """The sizes that the manifest states."""
    sizes = {name: size for name, size in asdict(config).items() if name in Dims.__struct_fields__}
    return Dims(**sizes, embedding_dim=config.embedding_dim)


def export_bundle(student: Student, tokenizer: Path, config: ExportConfig, recipe: Recipe) -> None:
    """Write the bundle of ``student`` to ``config.out``, its metrics still empty."""
    config.out.mkdir(parents=True, exist_ok=True)
    threshold = float(student.paraphrase_threshold)
    graphs = {graph: trace_graph(student, graph, config.table_dtype) for graph in GRAPHS}
    save_graphs({**graphs, PROJECTION: trace_projection(student)}, config.out)
    shutil.copy(tokenizer, config.out / TOKENIZER)
    manifest = Manifest(
        name=config.name,
        created=datetime.now(UTC).replace(microsecond=0),
        dims=dims_of(student.config),
        table_dtype=config.table_dtype,
        labels=list(NLI_LABELS),
        max_tokens=config.max_tokens,
        paraphrase_threshold=threshold,
        relatedness=Relatedness(),
        files={name: file_entry(config.out / name) for name in FILES},
        training=Training(recipe=recipe.commands, config=asdict(student.config), metrics={}, sources=recipe.sources),
    )
    write_manifest(config.out, manifest)


def main(config: ExportConfig) -> None:
    """Export; with data, fit what is fitted on a bundle, and score it. What ``config.out`` holds is replaced last."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    config.out.mkdir(parents=True, exist_ok=True)
    with one_line_errors(), TemporaryDirectory(dir=config.out, prefix=".new-") as folder:
        recipe = Recipe.read(config.student).then(command_line("export.to_onnx", config), [])
        new = replace(config, out=Path(folder))
        export_bundle(load_student(config.student), config.student / TOKENIZER, new, recipe)
        if config.data is not None:
            finish(new.out, config.data)
        for name in (*FILES, MANIFEST):
            (new.out / name).replace(config.out / name)


if __name__ == "__main__":
    main(parse_options(ExportConfig))
