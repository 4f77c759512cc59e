"""The body of text-embeddings-inference at `/similarity`, which our own shares: one sentence with others."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from cmow.service.api.client import Ignored
from cmow.service.api.tei.truncation import Truncation
from cmow.service.model.model import Model
from cmow.service.model.work import Work
from cmow.service.text.pairs import Sides
from cmow.service.web.schemas import Text, TextItems
from cmow.service.web.validation import Wire, parse


class SimilarityInput(Wire):
    """One sentence, and others to compare it with."""

    source_sentence: Text
    sentences: TextItems


class SimilarityRequest(Wire):
    """Sentence similarity."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"inputs": {"source_sentence": "A man plays.", "sentences": ["Someone plays.", "It rains."]}}]
        }
    )

    inputs: SimilarityInput
    parameters: Truncation | None = None
    options: Ignored = None


def is_similarity(payload: Any) -> bool:
    """Whether a body of ``/similarity`` has the shape here, and not the service's own."""
    return isinstance(payload, dict) and "inputs" in payload


def similarity_work(model: Model, payload: Any) -> Work:
    """The pairs of one sentence with others in such a body."""
    request = parse(SimilarityRequest, payload)
    inputs, long = request.inputs, "refuse" if request.parameters is None else request.parameters.long_texts
    sides = Sides(inputs.source_sentence, inputs.sentences, ("inputs.source_sentence", "inputs.sentences"))
    return model.pairs("similarity", sides, long)
