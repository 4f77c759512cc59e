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
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import onnx
import onnxscript
import torch
from onnx.defs import OpSchema
from tqdm import tqdm

from export.ops.function_body import DOMAIN, OP_TYPE, hybrid_encode_function
from export.scoring import ScoringModel
from service.bundle import (
    FILES,
    MODEL,
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
from training.options import parse_options
from training.recipe import Recipe, command_line
from training.student import Student, StudentConfig, load_student

OPSET, OP_VERSION = 18, 1
INPUTS = ("token_ids", "cu_seqlens", "embed_index", "similarity_pairs", "entailment_pairs")
OUTPUTS = ("embeddings", "similarity", "entailment")


@dataclass(frozen=True)
class ExportConfig:
    """What to export, and how."""

    student: Path = field(default=Path("runs/student"), metadata={"help": "folder of the fine-tuned student"})
    out: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    name: str = field(default="cmow-hybrid-400", metadata={"help": "the model's name in replies"})
    table_dtype: TableDtype = field(default="int8", metadata={"help": "float32, float16 or int8"})
    max_tokens: int = field(default=100_000, metadata={"help": "longest text that the service takes uncut"})
    data: Path | None = field(default=None, metadata={"help": "data folder whose dev splits to score"})


def hybrid_encode_schema() -> OpSchema:
    """Signature of ``ai.cmow::HybridEncode``; ``export/ops`` holds its semantics."""
    tables = [OpSchema.FormalParameter(name, "T") for name in ("vectors", "forward_deltas", "backward_deltas")]
    optional = OpSchema.FormalParameterOption.Optional
    return OpSchema(
        OP_TYPE,
        DOMAIN,
        OP_VERSION,
        inputs=[
            OpSchema.FormalParameter("token_ids", "tensor(int64)"),
            OpSchema.FormalParameter("cu_seqlens", "tensor(int64)"),
            *tables,
            OpSchema.FormalParameter("scales", "tensor(float)", param_option=optional),
        ],
        outputs=[OpSchema.FormalParameter("embedding", "tensor(float)")],
        type_constraints=[("T", ["tensor(float)", "tensor(float16)", "tensor(int8)"], "one type for all tables")],
    )


hybrid_encode_node = onnxscript.values.Op(onnxscript.values.Opset(DOMAIN, OP_VERSION), OP_TYPE, hybrid_encode_schema())


def translate_hybrid_encode(
    token_ids: Any, cu_seqlens: Any, vectors: Any, fwd: Any, bwd: Any, scales: Any = None
) -> Any:
    """The ONNX node of ``cmow::hybrid_encode_tables``; scales are an input only where the tables are int8."""
    tables = (vectors, fwd, bwd) if scales is None else (vectors, fwd, bwd, scales)
    return hybrid_encode_node(token_ids, cu_seqlens, *tables)


def sample_inputs() -> tuple[torch.Tensor, ...]:
    """Inputs to trace with; no size is 0 or 1, which tracing would take as constants."""
    pairs = torch.tensor([[0, 1], [1, 2], [2, 0], [0, 2]])
    return torch.arange(7), torch.tensor([0, 2, 4, 7]), torch.tensor([0, 1, 2, 0, 1]), pairs[:3].clone(), pairs


def dynamic_shapes() -> tuple[dict[int, Any], ...]:
    """Which dimensions of each input are free, and their names in the model."""
    names = ("N", "boundaries", "E", "P", "Q")
    return tuple({0: torch.export.Dim(name)} for name in names)


def trace(model: ScoringModel) -> onnx.ModelProto:
    """The ONNX model of ``model``, the portable body of its encoder included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.export's own use of its own deprecated names
        program = torch.onnx.export(
            model.eval(),
            sample_inputs(),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=dynamic_shapes(),
            custom_translation_table={torch.ops.cmow.hybrid_encode_tables.default: translate_hybrid_encode},
            verbose=False,
        )
    traced = cast(onnx.ModelProto, cast(Any, program).model_proto)
    strip_metadata(traced)
    traced.functions.append(hybrid_encode_function(model.table_dtype))
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


def dims_of(config: StudentConfig) -> Dims:
    """The sizes that the manifest states."""
    sizes = {name: size for name, size in asdict(config).items() if name in Dims.model_fields}
    return Dims(**sizes, embedding_dim=config.embedding_dim)


def export_bundle(student: Student, tokenizer: Path, config: ExportConfig, recipe: Recipe) -> None:
    """Write the bundle of ``student`` to ``config.out``, its metrics still empty."""
    config.out.mkdir(parents=True, exist_ok=True)
    threshold = float(student.paraphrase_threshold)
    save_model(trace(ScoringModel(student, config.table_dtype)), config.out)
    shutil.copy(tokenizer, config.out / TOKENIZER)
    manifest = Manifest(
        name=config.name,
        created=datetime.now(UTC).replace(microsecond=0),
        dims=dims_of(student.config),
        table_dtype=config.table_dtype,
        labels=list(NLI_LABELS),
        max_tokens=config.max_tokens,
        paraphrase_threshold=threshold,
        files={name: file_entry(config.out / name) for name in FILES},
        training=Training(recipe=recipe.commands, metrics={}, sources=recipe.sources),
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
