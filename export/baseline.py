"""DistilBERT in ONNX Runtime, as float32 and as dynamic int8, for comparing speed.

Its weights are random: no trained weights are needed, and speed does not depend on their values.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertModel

from export.session import open_session

OPSET = 18


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


def save_float32(path: Path, sentences: int, tokens: int) -> None:
    """Export the model for exactly [sentences, tokens]: fixed shapes are the easiest case for ONNX Runtime."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    ids = torch.ones(sentences, tokens, dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.export and transformers about each other
        torch.onnx.export(
            FirstTokenState().eval(),
            (ids, torch.ones_like(ids)),
            path,
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=["token_ids", "attention_mask"],
            output_names=["state"],
            verbose=False,
        )


def save_int8(source: Path, path: Path) -> None:
    """Quantise the weights of ``source`` to int8, its activations when it runs, as ONNX Runtime recommends."""
    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared))
    quantize_dynamic(str(prepared), str(path), weight_type=QuantType.QInt8)


def quantised_products(path: Path) -> int:
    """How many matrix products of a model run in int8; zero would mean that nothing was quantised."""
    kinds = {"MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"}
    return sum(node.op_type in kinds for node in onnx.load(path, load_external_data=False).graph.node)


def distilbert_sessions(
    folder: Path, sentences: int, tokens: int, threads: int
) -> dict[str, onnxruntime.InferenceSession]:
    """Sessions by name; model files go to ``folder``."""
    float32, int8 = folder / "distilbert.onnx", folder / "distilbert-int8.onnx"
    save_float32(float32, sentences, tokens)
    save_int8(float32, int8)
    if quantised_products(int8) == 0:
        raise RuntimeError(f"{int8}: expected int8 matrix products, found none")
    models = {"DistilBERT fp32": float32, "DistilBERT int8": int8}
    return {name: open_session(path, threads=threads) for name, path in models.items()}
