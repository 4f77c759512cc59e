"""Several workers as real processes: one address, one set of metrics, replaced when they die, stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from cmow.service.model.bundle import WEIGHTS
from tests.service.serve.test_cli import COMMAND, environment, running
from tests.tiny_bundle import TinyBundle

PAIR = {"sentence1": "A dog.", "sentence2": "music"}
PATIENCE = 90.0


def workers(pid: int) -> set[int]:
    """The processes that serve."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


def metric(url: str, line_start: str) -> float:
    lines = httpx.get(f"{url}/metrics", timeout=PATIENCE).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(line_start))


ANSWERED = 'cmow_requests_total{method="POST",route="/similarity",status="200"}'


def ask(url: str) -> int:
    """On a new connection, which any of the workers may take."""
    return httpx.post(f"{url}/similarity", json=PAIR, timeout=PATIENCE).status_code


def test_workers(tiny_bundle: TinyBundle) -> None:
    arguments = ["--bundle", str(tiny_bundle.path), "--port", "0", "--workers", "2", "--threads", "1"]
    with running(*arguments, startups=2) as (process, url):
        first = workers(process.pid)
        assert len(first) == 2
        for worker in first:
            weights = [line for line in Path(f"/proc/{worker}/maps").read_text().splitlines() if WEIGHTS in line]
            assert weights, "the weights are mapped from their file, which all processes share"
        assert {ask(url) for _ in range(10)} == {200}
        assert metric(url, ANSWERED) == 10
        assert metric(url, "cmow_info") == 1

        victim = min(first)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in workers(process.pid))
        assert {ask(url) for _ in range(10)} == {200}
        wait_for(lambda: len(workers(process.pid)) == 2)
        assert metric(url, ANSWERED) == 20, "what a dead worker counted stays counted"

        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "died with -9; another takes its place" in log
    assert "Traceback" not in log
    for worker in first:
        assert not Path(f"/proc/{worker}").exists()


def test_workers_do_not_outlive_their_supervisor(tiny_bundle: TinyBundle) -> None:
    arguments = ["--bundle", str(tiny_bundle.path), "--port", "0", "--workers", "2", "--threads", "1"]
    with running(*arguments, startups=2) as (process, url):
        serving = workers(process.pid)
        process.kill()
        process.wait()
        wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in serving))
        with pytest.raises(httpx.TransportError):
            ask(url)


def test_no_request_is_lost_on_sigterm(tiny_bundle: TinyBundle) -> None:
    """Clients that keep their connections and ask without pause get every answer, until they are asked to leave."""
    lost: list[Exception] = []
    answered = [0] * 4

    def client(number: int, url: str) -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE) as connection:
            while True:
                try:
                    reply = connection.post("/similarity", json=PAIR)
                except httpx.ConnectError:  # no longer listening: nothing was sent
                    return
                except httpx.TransportError as error:
                    lost.append(error)
                    return
                assert reply.status_code == 200
                answered[number] += 1

    with running("--bundle", str(tiny_bundle.path), "--port", "0") as (process, url):
        clients = [threading.Thread(target=client, args=(number, url)) for number in range(len(answered))]
        for thread in clients:
            thread.start()
        wait_for(lambda: min(answered) > 5)
        process.send_signal(signal.SIGTERM)
        for thread in clients:
            thread.join(PATIENCE)
        _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert lost == []
    assert "Traceback" not in log


def test_workers_that_cannot_start(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    """What only a worker runs into is said once, and ends the supervisor too."""
    code = (
        "import cmow.service.serve.supervisor as s, socket\n"
        "from cmow.service.options.settings import Settings; from cmow.service.serve.cli import _fail\n"
        "from cmow.service.errors import StartError\n"
        "if __name__ == '__main__':\n"
        "    with socket.create_server(('127.0.0.1', 0)) as listener:\n"
        "        try: s.Supervisor(Settings(bundle='/nowhere', workers=2), listener).run()\n"
        "        except StartError as error: _fail(str(error))\n"
    )
    script = tmp_path / "start.py"
    script.write_text(code)
    done = subprocess.run(
        [COMMAND[0], str(script)],
        env=environment(PYTHONPATH=str(Path(__file__).parents[3])),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert "expected a bundle folder at /nowhere" in done.stderr
    assert done.stderr.rstrip().endswith("workers do not come up: the last one died with 3; its log says why")
