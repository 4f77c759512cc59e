"""DistilBERT in ONNX Runtime, as float32 and as dynamic int8, for comparing speed.

In the benchmark its weights are random: no trained weights are needed, and speed does not depend on their values.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertModel

from export.graphs.session import open_session

OPSET = 18
INPUTS = ("token_ids", "attention_mask")


class FirstTokenState(nn.Module):
    """DistilBERT up to the state of the first token [B, 768], which a classifier would take."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = DistilBertModel(DistilBertConfig()).eval()

    def forward(self, token_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """``token_ids`` and ``attention_mask`` int64 [B, L] to states float32 [B, 768]."""
        state: Tensor = self.encoder(token_ids, attention_mask).last_hidden_state[:, 0]
        return state


def save_model(
    model: nn.Module, path: Path, sample: tuple[Tensor, Tensor], outputs: Sequence[str], dynamic: bool
) -> None:
    """Export ``model`` of ``sample`` = (token_ids, attention_mask), int64 [B, L] each, in the precision that it has.

    With ``dynamic`` it takes any B and L; otherwise exactly the sample's, the easiest case for ONNX Runtime.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    free: dict[int, Any] = {0: torch.export.Dim("B"), 1: torch.export.Dim("L", max=512)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.export and transformers about each other
        program = torch.onnx.export(
            model.eval(),
            sample,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(outputs),
            dynamic_shapes=(free, free) if dynamic else None,
            verbose=False,
        )
    exported = cast(onnx.ModelProto, cast(Any, program).model_proto)
    # What the exporter noted of inner shapes clashes with names that the quantiser's optimiser reuses.
    exported.graph.ClearField("value_info")
    onnx.save_model(exported, path)


def save_int8(source: Path, path: Path) -> None:
    """Quantise the weights of ``source`` to int8, its activations when it runs, as ONNX Runtime recommends."""
    prepared = path.with_suffix(".prepared.onnx")
    # The symbolic inference of shapes gives up on free dimensions; ONNX's own is enough here.
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_dynamic(str(prepared), str(path), weight_type=QuantType.QInt8)
    prepared.unlink()


def quantised_products(path: Path) -> int:
    """How many matrix products of a model run in int8; zero would mean that nothing was quantised."""
    kinds = {"MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"}
    return sum(node.op_type in kinds for node in onnx.load(path, load_external_data=False).graph.node)


def distilbert_sessions(
    folder: Path, sentences: int, tokens: int, threads: int
) -> dict[str, onnxruntime.InferenceSession]:
    """Sessions by name; model files go to ``folder``."""
    float32, int8 = folder / "distilbert.onnx", folder / "distilbert-int8.onnx"
    ids = torch.ones(sentences, tokens, dtype=torch.int64)
    save_model(FirstTokenState(), float32, (ids, torch.ones_like(ids)), ["state"], dynamic=False)
    save_int8(float32, int8)
    if quantised_products(int8) == 0:
        raise RuntimeError(f"{int8}: expected int8 matrix products, found none")
    return {
        "DistilBERT fp32": open_session(float32, threads=threads),
        "DistilBERT int8": open_session(int8, threads=threads),
    }
