"""The APIs that clients already speak: text-embeddings-inference, OpenAI, Cohere, Jina and vLLM, and what is our own.

Requests are closed: a field that an API documents and that changes nothing here is ``Ignored``; a field whose meaning
cannot be served takes only the value that is (``normalize: true``); any other field is an error.
"""

from __future__ import annotations

from fastapi import APIRouter

from cmow.service.api import compare, compose, openai, rerank, score, tei, zero_shot

router = APIRouter()
for module in (tei, openai, rerank, score, zero_shot, compose, compare):
    router.include_router(module.router)
