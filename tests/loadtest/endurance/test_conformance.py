"""``loadtest.endurance.conformance`` passes a service that keeps its OpenAPI document, and fails one that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from loadtest.endurance.conformance import check
from loadtest.harness.processes import Running
from tests.served import running
from tests.tiny_bundle import TinyBundle

Answer = Callable[[], JSONResponse]


class Broken:
    """A service, one of whose endpoints gives ``answer`` to every request."""

    def __init__(self, app: ASGIApp, answer: Answer) -> None:
        self.app = app
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        broken = scope["type"] == "http" and scope["path"] == "/tokenize"
        await (self.answer() if broken else self.app)(scope, receive, send)


def test_the_service_keeps_its_word(server: Running) -> None:
    assert check(f"http://{server.host}:{server.port}", examples=1, seed=1) == 0


@pytest.mark.parametrize(
    ("answer", "finding"),
    [
        (lambda: JSONResponse({"tokens": []}), "Response violates schema"),
        (lambda: JSONResponse({"detail": "no"}, 422), "Response violates schema"),
        (lambda: JSONResponse({"error": {"type": "a", "message": "b", "param": None}}, 418), "Undocumented"),
    ],
    ids=["answer", "error", "status"],
)
def test_a_service_that_breaks_it_is_found(
    tiny_bundle: TinyBundle, answer: Answer, finding: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(Broken(create_app(Settings(bundle=tiny_bundle.path)), answer)) as url:
        assert check(url, examples=1, seed=1) == 1
    report = capfd.readouterr().out
    assert finding in report
    assert "POST /tokenize" in report
