"""The shapes of Hugging Face's text-embeddings-inference (its ``router/src/http/types.rs``), but for `/rerank`.

Ignored: ``add_special_tokens`` (this model has none). Only the value that can be served is taken of ``normalize``,
``truncation_direction``, ``prompt_name`` and ``encoding_format``.
"""

from __future__ import annotations

from fastapi import APIRouter

from cmow.service.api.tei import embed, predict, tokens

router = APIRouter(tags=["text-embeddings-inference"])
for module in (embed, predict, tokens):
    router.include_router(module.router)
