"""Several processes on one listening socket: started together, replaced when they die, stopped together.

Each maps the bundle's weights from the same file, so that the machine holds them once.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess
from threading import Thread
from time import monotonic
from types import FrameType

from cmow.service.errors import StartError, WorkerError
from cmow.service.observe.logs import configure_logging
from cmow.service.observe.metrics import DIRECTORY, forget_worker
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from cmow.service.serve.server import run_server

logger = logging.getLogger(__name__)

STARTUP_FAILURE = 3  # exit status of a worker that could not start, as uvicorn has it
YOUNG_SECONDS = 10  # a worker that dies younger than this ...
MAX_YOUNG_DEATHS = 5  # ... so many times in a row makes the supervisor give up
STOP_SECONDS = 5  # beyond the workers' own grace, until they are killed


class Supervisor:
    """Keeps ``settings.workers`` processes serving on ``listener``."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._context = get_context("spawn")  # threads of the runtime do not survive a fork
        self._workers: dict[int, tuple[SpawnProcess, float]] = {}
        self._young_deaths = 0
        self._stopping = False

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; raises ``WorkerError`` where workers do not come up."""
        wake, stop = self._context.Pipe(duplex=False)
        self._catch(stop)
        with tempfile.TemporaryDirectory(prefix="cmow-metrics-") as metrics:
            os.environ[DIRECTORY] = metrics
            try:
                while not self._stopping:
                    self._fill()
                    connection.wait([wake, *self._workers])
                    self._bury()
            finally:
                self._stop_all()

    def _catch(self, stop: connection.Connection) -> None:
        def on_signal(number: int, frame: FrameType | None) -> None:
            self._stopping = True
            stop.send(None)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)

    def _fill(self) -> None:
        while len(self._workers) < self._settings.workers:
            worker = self._context.Process(target=work, args=(self._settings, self._listener))
            worker.start()
            self._workers[worker.sentinel] = worker, monotonic()

    def _bury(self) -> None:
        """Take out the dead; too many that die young end it all."""
        for sentinel, (worker, born) in list(self._workers.items()):
            if worker.exitcode is None:
                continue
            del self._workers[sentinel]
            forget_worker(worker.pid or 0)
            if self._stopping:
                continue
            logger.error("worker %s died with %s; another takes its place", worker.pid, worker.exitcode)
            self._young_deaths = self._young_deaths + 1 if monotonic() - born < YOUNG_SECONDS else 0
            if worker.exitcode == STARTUP_FAILURE or self._young_deaths >= MAX_YOUNG_DEATHS:
                raise WorkerError(f"workers do not come up: the last one died with {worker.exitcode}; its log says why")

    def _stop_all(self) -> None:
        """Tell the workers to stop, and kill those that do not within their bound."""
        self._listener.close()  # or the kernel would go on taking connections that nobody serves
        workers = [worker for worker, _ in self._workers.values()]
        for worker in workers:
            worker.terminate()
        end = monotonic() + self._settings.grace_seconds + STOP_SECONDS
        for worker in workers:
            worker.join(max(0.0, end - monotonic()))
            if worker.exitcode is None:
                logger.error("worker %s did not stop in time and is killed", worker.pid)
                worker.kill()
                worker.join()


def work(settings: Settings, listener: socket.socket) -> None:
    """One worker, in a process of its own."""
    configure_logging(settings.log_level, settings.log_format)
    # uvicorn raises the signal again once it has stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Thread(target=_stop_with_parent, daemon=True).start()
    try:
        run_server(create_app(settings), settings, listener)
    except StartError as error:
        logger.error("%s", error)
        sys.exit(STARTUP_FAILURE)
    except KeyboardInterrupt:
        pass


def _stop_with_parent() -> None:
    """Stop once the supervisor is gone, so that no orphan keeps the address."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
