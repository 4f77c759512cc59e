"""Export of a trained student to the bundle that the service runs.

    python -m export.to_onnx [--student runs/student] [--out service/bundle] [--data DIR]

The student is traced by ``torch.onnx.export``; the encoder stays one ``ai.cmow::HybridEncode`` node, with its portable
body as a model-local function beside it. With ``--data`` the exported bundle is scored on the dev splits and the scores
go into its manifest.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import onnx
import onnxscript
import torch
from torch import nn
from tqdm import tqdm

from export.ops.align_body import align_pairs_function
from export.ops.function_body import DOMAIN, hybrid_encode_function
from export.ops.signatures import ALIGN_PAIRS, HYBRID_ENCODE, VERSION, Signature
from export.scoring import ScoringModel
from service.bundle import (
    FILES,
    MODEL,
    PROJECTION,
    TOKENIZER,
    WEIGHTS,
    Dims,
    Manifest,
    TableDtype,
    Training,
    file_entry,
    load_bundle,
    write_manifest,
)
from service.engine import Engine
from training.data import NLI_LABELS, read_pairs, split_files
from training.evaluate import score_pairs
from training.heads import SimilarityHead
from training.options import parse_options
from training.recipe import Recipe, command_line
from training.student import Student, StudentConfig, load_student

OPSET = 18
INPUTS = (
    "token_ids",
    "cu_seqlens",
    "embed_index",
    "similarity_pairs",
    "entailment_pairs",
    "paraphrase_pairs",
    "aligned_ids",
    "aligned_cu_seqlens",
)
OUTPUTS = ("embeddings", "similarity", "entailment", "paraphrase", "states")


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
}


def portable_bodies(model: onnx.ModelProto, dtype: TableDtype) -> list[onnx.FunctionProto]:
    """The portable body of each of our ops that ``model`` has, for tables of ``dtype``."""
    makers = {
        HYBRID_ENCODE.op_type: lambda: hybrid_encode_function(dtype),
        ALIGN_PAIRS.op_type: align_pairs_function,
    }
    used = {node.op_type for node in model.graph.node if node.domain == DOMAIN}
    return [make() for op_type, make in makers.items() if op_type in used]


def sample_inputs() -> tuple[torch.Tensor, ...]:
    """Inputs to trace with; no size is 0 or 1, which tracing would take as constants, and no two sizes are linked."""
    token_ids, cu_seqlens = torch.arange(7), torch.tensor([0, 2, 4, 7])
    aligned_ids, aligned_cu_seqlens = torch.arange(11), torch.tensor([0, 3, 5, 11])
    embed_index = torch.tensor([0, 1, 2, 0, 1])
    pairs = (torch.arange(2 * rows).view(rows, 2) % 3 for rows in (3, 6, 9))
    return token_ids, cu_seqlens, embed_index, *pairs, aligned_ids, aligned_cu_seqlens


def dynamic_shapes() -> tuple[dict[int, Any], ...]:
    """Which dimensions of each input are free, and their names in the model."""
    names = ("N", "boundaries", "E", "P", "Q", "R", "aligned_N", "boundaries")
    free = {name: torch.export.Dim(name) for name in names}
    return tuple({0: free[name]} for name in names)


def trace(model: ScoringModel) -> onnx.ModelProto:
    """The ONNX model of ``model``, the portable bodies of its ops included."""
    traced = export_module(model, sample_inputs(), (INPUTS, OUTPUTS), dynamic_shapes())
    traced.functions.extend(portable_bodies(traced, model.table_dtype))
    return traced


def trace_projection(head: SimilarityHead, width: int) -> onnx.ModelProto:
    """The ONNX model of ``head`` alone, from states [B, width]: for states that the service has composed."""
    return export_module(head, (torch.ones(2, width),), (("states",), ("embeddings",)), ({0: torch.export.Dim("B")},))


def export_module(
    module: nn.Module,
    sample: tuple[torch.Tensor, ...],
    names: tuple[tuple[str, ...], tuple[str, ...]],
    shapes: tuple[dict[int, Any], ...],
) -> onnx.ModelProto:
    """``module`` traced on ``sample``; ``names`` of inputs and outputs, ``shapes`` with the free dimensions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.export's own use of its own deprecated names
        # One name for the number of boundaries of both packings, which are of the same sentences.
        warnings.filterwarnings("ignore", "# The axis name: boundaries will not be used")
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


def save_model(model: onnx.ModelProto, folder: Path) -> None:
    """Write ``model.onnx`` and, beside it, its weights, which ONNX Runtime maps into memory."""
    (folder / WEIGHTS).unlink(missing_ok=True)  # onnx would append to it
    onnx.save_model(
        model,
        folder / MODEL,
        save_as_external_data=True,
        location=WEIGHTS,
        all_tensors_to_one_file=True,
        size_threshold=1024,
    )
    (folder / WEIGHTS).chmod((folder / MODEL).stat().st_mode)  # onnx writes it for its owner alone


def save_projection(head: SimilarityHead, width: int, path: Path) -> None:
    """Write ``head`` alone, from states [B, width] to embeddings: for states that the service has composed."""
    torch.onnx.export(
        head.eval(),
        (torch.ones(2, width),),
        path,
        dynamo=True,
        external_data=False,
        opset_version=OPSET,
        input_names=["states"],
        output_names=["embeddings"],
        dynamic_shapes=({0: torch.export.Dim("B")},),
        verbose=False,
    )


def dims_of(config: StudentConfig) -> Dims:
    """The sizes that the manifest states."""
    sizes = {name: size for name, size in asdict(config).items() if name in Dims.model_fields}
    return Dims(**sizes, embedding_dim=config.embedding_dim)


def export_bundle(student: Student, tokenizer: Path, config: ExportConfig, recipe: Recipe) -> None:
    """Write the bundle of ``student`` to ``config.out``, its metrics still empty."""
    config.out.mkdir(parents=True, exist_ok=True)
    threshold = float(student.paraphrase_threshold)
    save_model(trace(ScoringModel(student, config.table_dtype)), config.out)
    onnx.save_model(trace_projection(student.similarity_head, student.config.embedding_dim), config.out / PROJECTION)
    shutil.copy(tokenizer, config.out / TOKENIZER)
    manifest = Manifest(
        name=config.name,
        created=datetime.now(UTC).replace(microsecond=0),
        dims=dims_of(student.config),
        table_dtype=config.table_dtype,
        labels=list(NLI_LABELS),
        max_tokens=config.max_tokens,
        paraphrase_threshold=threshold,
        files={name: file_entry(config.out / name) for name in FILES | {PROJECTION}},
        training=Training(recipe=recipe.commands, config=asdict(student.config), metrics={}, sources=recipe.sources),
    )
    write_manifest(config.out, manifest)


def score_dev_splits(folder: Path, data: Path) -> dict[str, dict[str, float]]:
    """Scores of the bundle in ``folder`` on every dev split of pairs below ``data``, by the split's path."""
    engine = Engine(load_bundle(folder))
    result = {}
    for path in tqdm(split_files(data, "dev", ("nli", "similarity", "paraphrase")), "scoring", unit=" splits"):
        _, scores = score_pairs(engine, read_pairs(path))
        result[path.relative_to(data).as_posix()] = {name: round(value, 4) for name, value in scores.items()}
    return result


def main(config: ExportConfig) -> None:
    """Export, and score what was exported."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    recipe = Recipe.read(config.student).then(command_line("export.to_onnx", config), [])
    export_bundle(load_student(config.student), config.student / TOKENIZER, config, recipe)
    if config.data is not None:
        manifest = load_bundle(config.out).manifest
        metrics = score_dev_splits(config.out, config.data)
        training = manifest.training.model_copy(update={"metrics": metrics})
        write_manifest(config.out, manifest.model_copy(update={"training": training}))


if __name__ == "__main__":
    main(parse_options(ExportConfig))
