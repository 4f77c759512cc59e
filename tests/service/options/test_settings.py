from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from cmow import service
from cmow.service.options.defaults import MODEL_OPTIONS
from cmow.service.options.settings import Settings, setting_options


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", *(f"CMOW_{name.upper()}" for name in Settings.model_fields)):
        monkeypatch.delenv(name, raising=False)


def test_defaults() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.bundle.parent.samefile(service.__path__[0])
    assert settings.bundle.name == "bundle"
    assert settings.verify_hashes
    assert not settings.require_fused_op
    assert settings.provider == "auto"


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "0.0.0.0", "PORT": "9", "CMOW_MAX_PAIRS": "3", "CMOW_REQUIRE_FUSED_OP": "true"}.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.host, settings.port, settings.max_pairs, settings.require_fused_op) == ("0.0.0.0", 9, 3, True)
    monkeypatch.setenv("CMOW_PORT", "10")
    assert Settings().port == 10
    assert Settings(port=11).port == 11


def test_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


@pytest.mark.parametrize(
    "wrong",
    [{"port": 65_536}, {"port": -1}, {"threads": -1}, {"max_pairs": 0}, {"log_level": "loud"}, {"provider": "gpu"}],
)
def test_wrong_values(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_shared_options_are_those_of_the_service() -> None:
    """``cmow-score`` prints its help without the settings, from the table that they are made of."""
    settings = {option.name: option for option in setting_options()}
    assert {name: replace(settings[name], variables=()) for name in MODEL_OPTIONS} == MODEL_OPTIONS
