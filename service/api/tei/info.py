"""`/info` with the field names of text-embeddings-inference beside our own."""

from __future__ import annotations

from pydantic import Field

from cmow.service.model.bundle import WEIGHTS
from cmow.service.model.engine import Engine
from cmow.service.web import schemas


class Info(schemas.Info):
    """What serves, and how; also under the names that clients of text-embeddings-inference read."""

    model_id: str
    model_sha: str
    model_dtype: str
    model_type: dict[str, dict[str, str]]
    max_input_length: int = Field(description="tokens of a text")
    max_batch_tokens: int
    max_batch_requests: int | None = None
    max_client_batch_size: int = Field(description="texts or pairs of a request")
    auto_truncate: bool = False
    tokenization_workers: int
    version: str
    sha: str | None = None
    docker_label: str | None = None


def describe(info: schemas.Info, engine: Engine) -> Info:
    """``info`` with the fields of ``/info`` in the shape here."""
    return Info(
        **{name: getattr(info, name) for name in schemas.Info.model_fields},
        model_id=info.model.name,
        model_sha=info.model.sha256[WEIGHTS],
        model_dtype=info.model.table_dtype,
        model_type={"embedding": {"pooling": "mean and products"}},
        max_input_length=info.model.max_tokens,
        max_batch_tokens=engine.options.budget.tokens,
        max_client_batch_size=info.limits.max_pairs,
        tokenization_workers=engine.threads,
        version=info.versions["service"],
    )
