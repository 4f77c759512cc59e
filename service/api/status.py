"""The endpoints about the service itself: is it well, what does it serve, what has it done."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from cmow.service.api.tei import info as tei
from cmow.service.errors import InferenceError, NotReadyError
from cmow.service.model.engine import Engine
from cmow.service.web.dependencies import (
    READING_ERRORS,
    ComposerDep,
    MetricsDep,
    SchedulerDep,
    SettingsDep,
    errors,
)
from cmow.service.web.schemas import (
    Health,
    Info,
    Limits,
    ModelInfo,
)

router = APIRouter()

READINESS_ERRORS = errors(401, 500, 503)


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", responses=READING_ERRORS)
async def live() -> Health:
    """The process answers."""
    return Health()


@router.head("/v1/health", include_in_schema=False)
@router.get("/v1/health", responses=READINESS_ERRORS)
@router.head("/health", include_in_schema=False)
@router.get("/health", responses=READINESS_ERRORS)
@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", responses=READINESS_ERRORS)
def ready(scheduler: SchedulerDep, composer: ComposerDep) -> Health:
    """The model works: it has just scored a fixed pair."""
    try:
        scheduler.model.engine.check()
        composer.check()
    except InferenceError as error:
        raise NotReadyError(f"the model does not work: {error.message}") from error
    return Health()


@router.get("/info", responses=READING_ERRORS)
async def info(scheduler: SchedulerDep, settings: SettingsDep) -> tei.Info:
    """What serves, and how."""
    engine = scheduler.model.engine
    own = Info(
        model=_model_info(engine),
        kernel=engine.kernel.name,
        tokenizer=engine.tokenizer.name,
        execution_provider=engine.provider,
        execution_provider_reason=engine.placement.reason,
        threads=engine.threads,
        limits=Limits(**settings.model_dump(include=set(Limits.model_fields))),
        versions=versions(),
        degraded=engine.degraded,
    )
    return tei.describe(own, engine)


@router.get("/metrics", responses=READING_ERRORS, response_class=PlainTextResponse)
def metrics(metrics: MetricsDep) -> Response:
    """All that Prometheus reads."""
    return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


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
