"""Transformers in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import onnxruntime

from cmow.service.model.session import session_options
from loadtest.compare.models import DISTILBERT, FILES, MINILM, TOKENIZER, VECTOR
from loadtest.compare.side import Context, Floats, Side, cosines
from loadtest.compare.sides.head import Head
from loadtest.compare.sides.padding import MAX_TOKENS, Feeds, PaddedTokenizer

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class Transformer:
    """A session and its tokenizer."""

    def __init__(self, folder: Path, precision: str, threads: int, provider: str = CPU) -> None:
        self.path = folder / FILES[precision]
        self._folder = folder
        self.tokenise = PaddedTokenizer(folder / TOKENIZER, MAX_TOKENS[folder.name])
        self._session = onnxruntime.InferenceSession(str(self.path), session_options(threads), providers=[provider])

    def run(self, output: str, feeds: Feeds) -> Floats:
        """The output ``output`` for ``feeds``."""
        values: Floats = self._session.run([output], feeds)[0]
        return values

    def encoder(self, output: str, texts: Sequence[str], max_tokens: int) -> Callable[[], Floats]:
        """A run on ``texts`` cut to ``max_tokens``."""
        feeds = PaddedTokenizer(self._folder / TOKENIZER, min(max_tokens, MAX_TOKENS[self._folder.name]))(texts)
        return partial(self.run, output, feeds)


def open_distilbert_fp32(context: Context) -> Side:
    """DistilBERT as float32."""
    return distilbert_side(context, "fp32")


def open_distilbert_int8(context: Context) -> Side:
    """DistilBERT with dynamic int8."""
    return distilbert_side(context, "int8")


def open_distilbert_fp16(context: Context) -> Side:
    """DistilBERT as float16 on a GPU."""
    return distilbert_side(context, "fp16", CUDA)


def distilbert_side(context: Context, precision: str, provider: str = CPU) -> Side:
    """DistilBERT in ``precision``."""
    model = Transformer(context.models / DISTILBERT, precision, context.threads, provider)
    return Head.read(context.models).side(
        files=[model.path],
        embed=lambda texts: model.run("state", model.tokenise(texts)),
        encoder=partial(model.encoder, "state"),
        logits=lambda pairs: model.run("logits", model.tokenise(pairs)),
    )


def open_minilm_int8(context: Context) -> Side:
    """all-MiniLM-L6-v2 with dynamic int8, pooled and scaled in its graph."""
    model = Transformer(context.models / MINILM, "int8", context.threads)

    def embed(texts: Sequence[str]) -> Floats:
        return model.run(VECTOR, model.tokenise(texts))

    return Side(
        files=[model.path],
        embed=embed,
        encoder=partial(model.encoder, VECTOR),
        similarity=partial(cosines, embed),
        trained=frozenset({"similarity"}),
    )
