"""The pretrained encoder below every teacher, in the precision and with the attention that its device is fast in."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from training.errors import TeacherError
from training.loop.device import has_bfloat16
from training.teachers.packaged import PACKAGED, packaged_teacher


def resolve_teacher(name: str) -> str:
    """Folder or hub name of the teacher ``name``; ``TeacherError`` for a packaged one that is not installed."""
    if name in PACKAGED:
        return str(packaged_teacher(name))
    if Path(name).is_dir() and not any(Path(name).glob("*.safetensors")) and not any(Path(name).glob("*.bin")):
        raise TeacherError(f"{name}: expected weights (*.safetensors or *.bin) in the teacher's folder, found none")
    return name


def inference_dtype(device: torch.device) -> torch.dtype:
    """What a teacher's weights are kept in while it only answers."""
    return torch.bfloat16 if has_bfloat16(device) else torch.float32


def attention(device: torch.device, training: bool = False) -> str | None:
    """Which implementation to ask transformers for.

    Eager is the faster one for short sequences on a CPU. None leaves it to transformers: the fused one of PyTorch
    (sdpa), and eager for models that have no other, as MPNet.
    """
    return "eager" if device.type == "cpu" and not training else None


def load_encoder(
    name: str, max_tokens: int, dtype: torch.dtype, attention: str | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The encoder ``name`` and its tokeniser; ``TeacherError`` where weights are missing, or places for the tokens."""
    source = resolve_teacher(name)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source)
        model, found = AutoModel.from_pretrained(
            source, dtype=dtype, attn_implementation=attention, output_loading_info=True
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise TeacherError(f"{name}: expected an encoder's folder or hub name: {error}") from error
    if missing := sorted(key for key in found["missing_keys"] if not key.startswith("pooler.")):
        raise TeacherError(f"{name}: expected all weights of an encoder, found none for {missing[:5]}")
    most = getattr(model.config, "max_position_embeddings", max_tokens)
    if max_tokens > most:
        raise TeacherError(f"{name}: expected --max-tokens of at most {most}, got {max_tokens}")
    return model, tokenizer
