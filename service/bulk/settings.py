"""The settings of the service that a bulk run shares."""

from __future__ import annotations

from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from service.settings import Settings

SETTINGS = ("bundle", "verify_hashes", "threads", "require_fused_op", "provider", "gpu_min_tokens", "max_text_chars")


class SharedVariables(EnvSettingsSource):
    """The environment variables of ``SETTINGS``: another one, as ``PORT``, is not meant for a bulk run."""

    def __call__(self) -> dict[str, Any]:
        """See ``EnvSettingsSource``."""
        return {name: value for name, value in super().__call__().items() if name in SETTINGS}


class BulkSettings(Settings):
    """Those in ``SETTINGS``, from flags and their variables; the others keep their defaults."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """See ``BaseSettings``."""
        return init_settings, SharedVariables(settings_cls)
