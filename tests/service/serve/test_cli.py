"""The command line: a real server in a process of its own, and every way not to start."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cmow.service.errors import ProviderError
from cmow.service.machine import native
from cmow.service.machine.cpu import limit_tokenizer_threads
from cmow.service.model.placement import open_gpu
from cmow.service.options.settings import Settings
from cmow.service.serve import cli
from tests.tiny_bundle import TinyBundle

COMMAND = [sys.executable, "-W", "error", "-m", "cmow.service.serve.cli"]


def environment(**variables: str) -> dict[str, str]:
    """The environment less all settings, and with ``variables``."""
    names = {"HOST", "PORT"} | {f"CMOW_{name.upper()}" for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in names} | variables


@contextmanager
def running(*arguments: str, startups: int = 1, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of which ``startups`` processes answer, and its address."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=environment(**variables), stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stderr is not None
    try:
        log = []
        for line in process.stderr:
            log.append(line)
            startups -= "startup complete" in line
            if startups == 0:
                break
        found = re.search(r'listening on (http://[^\s"]+)', "".join(log))
        assert found, "".join(log)
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def url(tiny_bundle: TinyBundle) -> Iterator[str]:
    with running("--threads", "2", PORT="0", CMOW_BUNDLE=str(tiny_bundle.path), CMOW_MAX_BODY_BYTES="20000") as (
        _,
        url,
    ):
        yield url


def test_a_real_server(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        assert client.get("/health/ready").json() == {"status": "ok"}
        assert client.get("/info").json()["limits"]["max_body_bytes"] == 20_000
        reply = client.post("/similarity", json={"sentence1": "A dog.", "sentence2": ["a dog .", "music"]})
        assert reply.status_code == 200
        assert reply.json()["scores"][0] == pytest.approx(1)
        assert "server" not in reply.headers
        assert client.post("/similarity", content=b"x" * 20_001).status_code == 415
        assert client.post("/similarity", json=["x" * 20_001]).status_code == 413
        assert client.post("/similarity", json={"sentence1": "a", "sentence2": "b"}).status_code == 200


def test_many_clients_at_once(url: str) -> None:
    bodies = [{"premise": ["dog"] * size, "hypothesis": "music " * size} for size in range(1, 9)] * 3

    with httpx.Client(base_url=url, timeout=30) as client, ThreadPoolExecutor(8) as pool:

        def post(body: Mapping[str, object]) -> object:
            return client.post("/entailment", json=body).json()

        replies = list(pool.map(post, bodies))
        assert replies == [post(body) for body in bodies[:8]] * 3


def raw(url: str, request: bytes) -> bytes:
    """What a server answers until it closes the connection, or sends nothing for a second."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        connection.settimeout(1)
        answer = b""
        try:
            while chunk := connection.recv(65_536):
                answer += chunk
        except TimeoutError:
            pass
        return answer


HEAD = b"POST /similarity HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"


def test_a_declared_length_is_refused_before_the_body_comes(url: str) -> None:
    answer = raw(url, HEAD + b"content-length: 1000000000000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"got 1000000000000" in answer


def test_an_endless_body_is_refused_when_it_gets_too_long(url: str) -> None:
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    answer = raw(url, HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunk * 6)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"body_too_large"' in answer


def test_a_body_that_never_comes_holds_up_nobody(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as idle:
        idle.sendall(HEAD + b"content-length: 100\r\n\r\n{")
        assert httpx.get(f"{url}/health/ready").status_code == 200


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told(tiny_bundle: TinyBundle, stop: signal.Signals) -> None:
    with running("--bundle", str(tiny_bundle.path), "--port", "0", "--log-level", "info") as (process, url):
        assert httpx.get(f"{url}/health/live").status_code == 200
        process.send_signal(stop)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in log


def test_an_error_in_a_process_of_its_own() -> None:
    done = subprocess.run([*COMMAND, "--bundle", "/nowhere"], env=environment(), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "cmow-serve: error: expected a bundle folder at /nowhere, found nothing\n"


class TestNotStarting:
    """In this process, which is faster."""

    @pytest.fixture(autouse=True)
    def _no_side_effects(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in set(os.environ) - set(environment()):
            monkeypatch.delenv(name)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        monkeypatch.setattr(logging, "basicConfig", lambda **_: None)

    def error(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
        """The one line that says why the service did not start."""
        with pytest.raises(SystemExit) as stopped:
            cli.main(arguments)
        assert stopped.value.code == 2
        line = capsys.readouterr().err
        assert line.startswith("cmow-serve: error: ")
        assert line.count("\n") == 1
        return line

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--port", "99999"], "port: Input should be less than or equal to 65535, got '99999'"),
            (["--port", "http"], "port: Input should be a valid integer, .* got 'http'"),
            (["--threads", "-1"], "threads: .*got '-1'"),
            (["--threads", "100000"], "threads: .*less than or equal to 1024, got '100000'"),
            (["--workers", "100000"], "workers: .*less than or equal to 256, got '100000'"),
            (["--otel-endpoint", "collector:4318"], r"otel_endpoint: .*https\?.*, got 'collector:4318'"),
            (["--cors-origins", "https://a.example/"], r"cors_origins\.0: .*https\?.*, got 'https://a.example/'"),
            (["--log-level", "loud"], "log_level: .*got 'loud'"),
            (["--max-pairs", "0", "--port", "-5"], "port: .*; max_pairs: .*"),
            (["--bundle", "/nowhere", "--port", "0"], "expected a bundle folder at /nowhere, found nothing"),
            (["--host", "no.such.host.invalid", "--port", "0"], "cannot listen on no.such.host.invalid port 0: "),
            (["--host", "a..b", "--port", "0"], "cannot listen on a..b port 0: expected a host name"),
            (["--host", "192.0.2.1", "--port", "0"], "cannot listen on 192.0.2.1 port 0: Cannot assign"),
        ],
    )
    def test_wrong_options(self, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
        assert re.search(says, self.error(capsys, *arguments))

    def test_wrong_variable(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PORT", "eighty")
        assert "got 'eighty'" in self.error(capsys)

    def test_a_port_in_use(self, capsys: pytest.CaptureFixture[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in self.error(
                capsys, "--port", port
            )

    def test_a_damaged_bundle(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        (tmp_path / "manifest.json").write_text(json.dumps({"format_version": 9}))
        error = self.error(capsys, "--port", "0", "--bundle", str(tmp_path))
        assert "format_version: expected 4, found 9" in error

    def test_the_required_kernel_is_missing(
        self, capsys: pytest.CaptureFixture[str], tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(native, "library_path", lambda: None)
        error = self.error(capsys, "--port", "0", "--bundle", str(tiny_bundle.path), "--require-fused-op")
        assert "the fused kernel is required, but no libhybrid_encode.so is installed" in error

    def test_the_required_gpu_is_missing(self, capsys: pytest.CaptureFixture[str], tiny_bundle: TinyBundle) -> None:
        try:
            open_gpu(tiny_bundle.load())
        except ProviderError:
            error = self.error(capsys, "--port", "0", "--bundle", str(tiny_bundle.path), "--provider", "cuda")
            assert "the GPU is required, but" in error
        else:
            pytest.skip("there is a GPU")

    def test_unknown_flag(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stopped:
            cli.main(["--colour"])
        assert stopped.value.code == 2
        assert "unrecognized arguments: --colour" in capsys.readouterr().err

    def test_help_names_every_flag_and_variable(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stopped:
            cli.main(["--help"])
        assert stopped.value.code == 0
        text = capsys.readouterr().out
        for name in Settings.model_fields:
            assert f"--{name.replace('_', '-')}" in text
            assert f"CMOW_{name.upper()}" in text


@pytest.mark.parametrize(("threads", "expected"), [(0, {}), (1, ("1", "false")), (3, ("3", "true"))])
def test_tokenizer_threads(monkeypatch: pytest.MonkeyPatch, threads: int, expected: object) -> None:
    fake: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", fake)
    limit_tokenizer_threads(threads)
    assert (tuple(fake.values()) or {}) == expected
