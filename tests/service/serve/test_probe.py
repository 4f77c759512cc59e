"""The health check of the images."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from pydantic import SecretStr

from cmow.service.model.engine import Engine
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from cmow.service.serve.probe import probe
from tests.served import open_engine, running
from tests.tiny_bundle import TinyBundle

KEY = "clé secrète"


@pytest.fixture(scope="module")
def engine(tiny_bundle: TinyBundle) -> Engine:
    return open_engine(tiny_bundle, "portable")


def test_ready_with_keys_on_every_address_then_gone(engine: Engine) -> None:
    served = Settings(api_keys=(SecretStr(KEY),), protect_health=True)
    with running(create_app(served, engine)) as address:
        port = int(address.rpartition(":")[2])
        assert probe(Settings(host="0.0.0.0", port=port, api_keys=(SecretStr(KEY),))) is None
        refused = probe(Settings(port=port))
        assert refused is not None
        assert re.match(rf"127.0.0.1:{port}/health/ready: expected 200, got 401: .*unauthorized", refused)
    assert "refused" in (probe(Settings(port=port)) or "")


def test_as_a_command(engine: Engine) -> None:
    with running(create_app(Settings(), engine)) as address:
        port = address.rpartition(":")[2]
        done = [command({"CMOW_PORT": value}) for value in (port, "1", "70000")]
    assert [run.returncode for run in done] == [0, 1, 1]
    assert done[0].stderr == ""
    assert done[1].stderr.startswith("127.0.0.1:1/health/ready: ")
    assert done[2].stderr.startswith("port: ")


def command(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "cmow.service.serve.probe"],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
