"""From the socket to ONNX Runtime a request goes through few modules: those that wait for it, or call for it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import onnxruntime
import pytest
import uvicorn
from pydantic import SecretStr
from starlette.testclient import TestClient

import cmow
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from cmow.service.web import protocol
from tests.tiny_bundle import TinyBundle

MOST = 10
SERVICE = Path(cmow.__file__).parent / "service"
BODIES = {
    "/similarity": {"sentence1": "a dog", "sentence2": "a man"},
    "/entailment": {"premise": "a", "hypothesis": "b"},
}


def module_of(file: str) -> str | None:
    """The module of the service in ``file``, if it is one."""
    path = Path(file)
    return path.relative_to(SERVICE).as_posix() if path.is_relative_to(SERVICE) else None


def calling(frame: FrameType | None) -> list[str]:
    """The modules on the stack above ``frame``."""
    files = []
    while frame is not None:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    return [module for file in files if (module := module_of(file))]


def waiting() -> list[str]:
    """The modules of all coroutines that wait for one another in this event loop."""
    files = []
    for task in asyncio.all_tasks():
        awaited: Any = task.get_coro()
        while awaited is not None and hasattr(awaited, "cr_frame"):
            files.append(awaited.cr_code.co_filename)
            awaited = awaited.cr_await
    return [module for file in files if (module := module_of(file))]


@pytest.mark.parametrize("path", BODIES)
def test_a_request_goes_through_few_modules(
    tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    settings = Settings(bundle=tiny_bundle.path, threads=1, api_keys=(SecretStr("key"),))
    app = create_app(settings)
    seen: set[str] = set()
    run = onnxruntime.InferenceSession.run

    def noted(self: Any, *arguments: Any) -> Any:
        seen.update(calling(sys._getframe(1)), waiting())
        return run(self, *arguments)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", noted)
    with TestClient(app, headers={"X-API-Key": "key"}) as client:
        seen.clear()
        assert client.post(path, json=BODIES[path]).status_code == 200
    assert {"web/observation.py", "api/scoring.py", "schedule/batcher.py", "model/session.py"} <= seen
    # What reads the socket has handed the request over by then.
    assert issubclass(protocol.Protocol, uvicorn.protocols.http.httptools_impl.HttpToolsProtocol)
    way = sorted({*seen, "web/protocol.py"})
    assert len(way) <= MOST, way
