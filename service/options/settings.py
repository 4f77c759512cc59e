"""Configuration of the service: one frozen object, from the command line, the environment and the defaults below."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cmow.service.observe.logs import LogFormat
from cmow.service.options.defaults import ENV_PREFIX, MODEL_OPTIONS, MOST_THREADS, Option, Provider

MOST_WORKERS = 256  # a slip of the keyboard must not take the machine down
SECRET = {"api_keys"}  # settings whose value no message shows
LogLevel = Literal["debug", "info", "warning", "error"]


def _listed(value: object) -> object:
    """``a,b`` as two entries, so that a list needs no JSON in a flag or an environment variable."""
    return [entry.strip() for entry in value.split(",") if entry.strip()] if isinstance(value, str) else value


def _keys(value: object) -> object:
    """The same for API keys, of which none may be empty: a service must not be open by a slip."""
    if isinstance(value, str) and value.strip() and not all(map(str.strip, value.split(","))):
        raise ValueError("expected keys with commas between them, got an empty one")
    return _listed(value)


Listed = BeforeValidator(_listed)
Keys = BeforeValidator(_keys)


def _shared(name: str, **bounds: Any) -> Any:
    """The field of one of ``MODEL_OPTIONS``."""
    option = MODEL_OPTIONS[name]
    return Field(default=option.default, description=option.help, **bounds)


Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^\s/]+)$")]  # as browsers send it: without path and last slash


class Settings(BaseSettings):
    """Each field is also an environment variable with the prefix ``CMOW_``; host and port also without it."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    host: Annotated[
        str, Field(validation_alias=AliasChoices("CMOW_HOST", "HOST"), description="address to listen on")
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Field(
            ge=0,
            le=65_535,
            validation_alias=AliasChoices("CMOW_PORT", "PORT"),
            description="port to listen on; 0 takes a free one",
        ),
    ] = 8000
    bundle: Path = _shared("bundle")
    verify_hashes: bool = _shared("verify_hashes")
    baselines: Annotated[Path | None, Field(description="folder of baselines that /compare may use")] = None
    threads: int = _shared("threads", ge=0, le=MOST_THREADS)
    require_fused_op: bool = _shared("require_fused_op")
    provider: Provider = _shared("provider")
    gpu_min_tokens: NonNegativeInt = _shared("gpu_min_tokens")
    max_pairs: Annotated[PositiveInt, Field(description="most pairs in a request")] = 1024
    max_text_chars: PositiveInt = _shared("max_text_chars")
    max_body_bytes: Annotated[PositiveInt, Field(description="most bytes in a request body")] = 4 * 2**20
    batch_tokens: Annotated[PositiveInt, Field(description="most tokens in one run of the model")] = 16_384
    batch_pairs: Annotated[PositiveInt, Field(description="most pairs in one run of the model")] = 256
    max_request_tokens: Annotated[PositiveInt, Field(description="most tokens in a request")] = 1_000_000
    max_queue_pairs: Annotated[
        PositiveInt, Field(description="most pairs waiting in a worker before others get 429")
    ] = 2048
    max_queue_tokens: Annotated[
        PositiveInt, Field(description="most tokens waiting in a worker before others get 429")
    ] = 500_000
    request_timeout_ms: Annotated[
        PositiveInt, Field(description="most milliseconds to an answer; X-Request-Timeout-Ms can ask for fewer")
    ] = 30_000
    grace_seconds: Annotated[
        PositiveInt, Field(description="most seconds for requests that run when the stop signal comes")
    ] = 20
    # Longer than the idle timeout of common load balancers (60 s), which otherwise meet connections that just closed.
    keep_alive_seconds: Annotated[
        PositiveInt,
        Field(description="seconds that a connection waits for its client: for a request, or the rest of one"),
    ] = 75
    workers: Annotated[
        int, Field(ge=1, le=MOST_WORKERS, description="processes that serve, each with its own threads")
    ] = 1
    served_model_name: Annotated[
        tuple[str, ...],
        NoDecode,
        Listed,
        Field(description="more names that clients may call the model by, with commas"),
    ] = ()
    api_keys: Annotated[
        tuple[SecretStr, ...], NoDecode, Keys, Field(description="keys of which each request needs one, with commas")
    ] = ()
    protect_health: Annotated[bool, Field(description="ask for an API key at /health too")] = False
    protect_metrics: Annotated[bool, Field(description="ask for an API key at /metrics too")] = False
    cors_origins: Annotated[
        tuple[Origin, ...], NoDecode, Listed, Field(description="origins whose pages may call, with commas; * is any")
    ] = ()
    otel_endpoint: Annotated[
        str,
        Field(
            pattern=r"^(https?://[^\s/]+\S*)?$",
            description="OTLP/HTTP address for traces, as http://host:4318/v1/traces; empty sends none",
        ),
    ] = ""
    log_format: Annotated[LogFormat, Field(description="json or plain")] = "json"
    log_texts: Annotated[bool, Field(description="write clients' texts to the access log")] = False
    log_level: Annotated[LogLevel, Field(description="least severe messages to log")] = "info"
    access_log: Annotated[bool, Field(description="log every request")] = False

    @field_validator("protect_health", "protect_metrics")
    @classmethod
    def _has_keys(cls, protect: bool, known: ValidationInfo) -> bool:
        if protect and known.data.get("api_keys") == ():
            raise ValueError("expected api_keys beside it, got none")
        return protect


def setting_options() -> list[Option]:
    """Every setting as an option of the command line."""
    options = []
    for name, field in Settings.model_fields.items():
        variables = tuple(map(str, getattr(field.validation_alias, "choices", ())))
        options.append(Option(name, field.default, field.description or "", variables))
    return options


def explain(error: ValidationError) -> str:
    """Each wrong setting in a line, without the values of secret ones."""
    lines = []
    for entry in error.errors(include_url=False):
        name = ".".join(map(str, entry["loc"])).removeprefix(ENV_PREFIX).lower()
        lines.append(f"{name}: {entry['msg']}" + ("" if name.split(".")[0] in SECRET else f", got {entry['input']!r}"))
    return "; ".join(lines)
