"""Configuration of the service: one frozen object, from the command line, the environment and the defaults below."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, NonNegativeInt, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "CMOW_"
BUNDLE = Path(__file__).parent / "bundle"
LogLevel = Literal["debug", "info", "warning", "error"]


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
    bundle: Annotated[Path, Field(description="folder of the model to serve")] = BUNDLE
    verify_hashes: Annotated[bool, Field(description="compare the bundle's files with their digests")] = True
    threads: Annotated[
        NonNegativeInt, Field(description="threads for the model; 0 takes what CPU affinity and quota grant")
    ] = 0
    require_fused_op: Annotated[bool, Field(description="refuse to start without the native kernel")] = False
    max_pairs: Annotated[PositiveInt, Field(description="most pairs in a request")] = 1024
    max_text_chars: Annotated[PositiveInt, Field(description="most characters in a sentence")] = 100_000
    max_body_bytes: Annotated[PositiveInt, Field(description="most bytes in a request body")] = 4 * 2**20
    log_level: Annotated[LogLevel, Field(description="least severe messages to log")] = "info"
    access_log: Annotated[bool, Field(description="log every request")] = False
