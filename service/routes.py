"""The endpoints.

Those that compute are plain functions: the framework runs them on its thread pool, and the event loop stays free.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request

from service.body import parse_json, read_body
from service.engine import Engine, Floats, Ints
from service.errors import InferenceError, NotReadyError, error_types
from service.pairs import PairLimits
from service.schemas import (
    EntailmentRequest,
    EntailmentResponse,
    EntailmentResult,
    EntailmentScores,
    ErrorResponse,
    Health,
    Info,
    Limits,
    ModelInfo,
    PairRequest,
    SimilarityRequest,
    SimilarityResponse,
    Usage,
    parse,
)
from service.settings import Settings
from service.tokenizer import PackedTokens

router = APIRouter()


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


EngineDep = Annotated[Engine, Depends(_engine)]
SettingsDep = Annotated[Settings, Depends(_settings)]
Body = Annotated[bytes, Depends(read_body)]


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI of the error replies with these statuses."""
    types = error_types()
    return {
        status: {"model": ErrorResponse, "description": " or ".join(f"`{name}`" for name in types[status])}
        for status in statuses
    }


def _reads(request: type[PairRequest]) -> dict[str, Any]:
    """OpenAPI of a body that the endpoint itself parses: off the event loop, and into our own errors."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": request.model_json_schema()}}}}


SCORING_ERRORS = _errors(400, 413, 415, 422, 500)


@router.post("/similarity", openapi_extra=_reads(SimilarityRequest), responses=SCORING_ERRORS)
def similarity(body: Body, engine: EngineDep, settings: SettingsDep) -> SimilarityResponse:
    """How close in meaning the sentences of each pair are."""
    scores, usage = _score(SimilarityRequest, body, engine, settings, engine.score_similarity)
    return SimilarityResponse(scores=scores.tolist(), model=engine.bundle.manifest.name, usage=usage)


@router.post("/entailment", openapi_extra=_reads(EntailmentRequest), responses=SCORING_ERRORS)
def entailment(body: Body, engine: EngineDep, settings: SettingsDep) -> EntailmentResponse:
    """Whether each hypothesis follows from its premise, contradicts it, or neither."""
    scores, usage = _score(EntailmentRequest, body, engine, settings, engine.score_entailment)
    labels = engine.bundle.manifest.labels
    results = [
        EntailmentResult(label=labels[best], scores=EntailmentScores(**dict(zip(labels, row, strict=True))))
        for best, row in zip(scores.argmax(axis=1), scores.tolist(), strict=True)
    ]
    return EntailmentResponse(results=results, model=engine.bundle.manifest.name, usage=usage)


@router.get("/health/live", responses=_errors(500))
async def live() -> Health:
    """The process answers."""
    return Health()


@router.get("/health/ready", responses=_errors(500, 503))
def ready(engine: EngineDep) -> Health:
    """The model works: it has just scored a fixed pair."""
    try:
        engine.check()
    except InferenceError as error:
        raise NotReadyError(f"the model does not work: {error.message}") from error
    return Health()


@router.get("/info", responses=_errors(500))
async def info(engine: EngineDep, settings: SettingsDep) -> Info:
    """What serves, and how."""
    return Info(
        model=_model_info(engine),
        kernel=engine.kernel.name,
        execution_provider=engine.provider,
        threads=engine.threads,
        limits=Limits(**settings.model_dump(include=set(Limits.model_fields))),
        versions=versions(),
        degraded=engine.degraded,
    )


def _score(
    model: type[PairRequest],
    body: bytes,
    engine: Engine,
    settings: Settings,
    score: Callable[[PackedTokens, Ints], Floats],
) -> tuple[Floats, Usage]:
    """Scores of the pairs in ``body`` and what they took; raises ``RequestError`` where it is not a valid ``model``."""
    sides = parse(model, parse_json(body)).sides()
    pairs = sides.pairs(PairLimits(settings.max_pairs, settings.max_text_chars))
    packed = engine.tokenizer.encode(pairs.texts)
    sides.check_tokens(pairs, packed)
    truncated = np.any(packed.truncated[pairs.index], axis=1).tolist()
    return score(packed, pairs.index), Usage(tokens=len(packed.token_ids), truncated=truncated)


def _model_info(engine: Engine) -> ModelInfo:
    manifest = engine.bundle.manifest
    return ModelInfo(
        name=manifest.name,
        created=manifest.created.isoformat(),
        sha256={name: entry.sha256 for name, entry in sorted(manifest.files.items())},
        labels=manifest.labels,
        similarity_dim=manifest.dims.similarity_dim,
        table_dtype=manifest.table_dtype,
        max_tokens=manifest.max_tokens,
        paraphrase_threshold=manifest.paraphrase_threshold,
    )


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of what the answers depend on."""
    found = {"service": _version("cmow"), "python": platform.python_version()}
    onnxruntime = next(
        (name for name in ("onnxruntime", "onnxruntime-gpu") if _version(name) != UNKNOWN), "onnxruntime"
    )
    return found | {
        name: _version(name) for name in (onnxruntime, "tokenizers", "fastapi", "pydantic", "uvicorn", "numpy")
    }


UNKNOWN = "unknown"


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return UNKNOWN
