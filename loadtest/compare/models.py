"""Where the other sides' models are, below one folder; ``making.py`` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MODELS = Path("runs/peers")
DISTILBERT, MINILM, MODEL2VEC = "distilbert", "minilm", "model2vec"
FILES = {"fp32": "model.onnx", "int8": "model-int8.onnx", "fp16": "model-fp16.onnx"}
TOKENIZER, HEAD, TORCH = "tokenizer.json", "head.json", "torch"
VECTOR = "sentence_vector"  # what the exporter would call "embedding" is another tensor of the graph
UNTRAINED = "random weights"


def read_head(root: Path) -> dict[str, Any]:
    """``source``, ``task`` and ``labels`` of DistilBERT's head; ``task`` is ``None`` where it is not trained."""
    head: dict[str, Any] = json.loads((root / DISTILBERT / HEAD).read_text())
    return head
