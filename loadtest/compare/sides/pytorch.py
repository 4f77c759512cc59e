"""Transformers in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from transformers import DistilBertForSequenceClassification

from loadtest.compare.making import TEACHER, StateAndLogits
from loadtest.compare.models import DISTILBERT, TOKENIZER, TORCH
from loadtest.compare.side import Context, Floats, Side, cosines
from loadtest.compare.sides.head import Head
from loadtest.compare.sides.padding import MAX_TOKENS, Feeds, PaddedTokenizer
from training.teachers.encoder import resolve_teacher


def open_distilbert(context: Context) -> Side:
    """DistilBERT as float32."""
    torch.set_num_threads(context.threads)
    folder = context.models / DISTILBERT
    model = StateAndLogits(DistilBertForSequenceClassification.from_pretrained(folder / TORCH))
    tokenise = PaddedTokenizer(folder / TOKENIZER, MAX_TOKENS[DISTILBERT])

    @torch.inference_mode()
    def run(feeds: Feeds) -> tuple[Floats, Floats]:
        state, logits = model(*(torch.from_numpy(feed) for feed in feeds.values()))
        return state.numpy(), logits.numpy()

    def encoder(texts: Sequence[str], max_tokens: int) -> Callable[[], Floats]:
        feeds = PaddedTokenizer(folder / TOKENIZER, min(max_tokens, MAX_TOKENS[DISTILBERT]))(texts)
        return lambda: run(feeds)[0]

    return Head.read(context.models).side(
        files=sorted((folder / TORCH).glob("*.safetensors")),
        embed=lambda texts: run(tokenise(texts))[0],
        encoder=encoder,
        logits=lambda pairs: run(tokenise(pairs))[1],
    )


def open_minilm(context: Context) -> Side:
    """all-MiniLM-L6-v2 by sentence-transformers, with its own defaults."""
    torch.set_num_threads(context.threads)
    source = resolve_teacher(TEACHER)
    model = SentenceTransformer(source, device="cpu")

    def embed(texts: Sequence[str]) -> Floats:
        vectors: Floats = model.encode(list(texts), show_progress_bar=False, normalize_embeddings=True)
        return vectors

    return Side(
        files=sorted(Path(source).glob("*.safetensors")),
        embed=embed,
        similarity=partial(cosines, embed),
        trained=frozenset({"similarity"}),
    )
