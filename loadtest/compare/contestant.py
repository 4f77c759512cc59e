"""A side as the run sees it: a process that answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import Any, Self

from loadtest.compare.catalogue import Spec
from loadtest.compare.side import Context, Task
from loadtest.compare.texts import Pair
from loadtest.compare.workloads import Workload
from training.command.threads import thread_limits

LAST_WORDS = 2000  # characters of a dead side's log that are kept
LEAVE_SECONDS = 10.0


class SideError(RuntimeError):
    """A side died; the message is the end of its log."""


class Contestant:
    """Starts the process of ``spec`` and waits until it has answered for the first time. Raises ``SideError``."""

    def __init__(self, spec: Spec, context: Context, text: os.PathLike[str]) -> None:
        self.spec = spec
        self.threads = context.threads
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115, close() does
        paths = {"bundle": context.bundle, "models": context.models, "text": text}
        command = [sys.executable, "-m", "loadtest.compare.worker", spec.name, "--threads", str(context.threads)]
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [*command, *(word for name, path in paths.items() for word in (f"--{name}", str(path)))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | thread_limits(context.threads),
        )
        try:
            about = self._read()
        except SideError:
            self.close()
            raise
        self.load_seconds = time.perf_counter() - start
        self.workloads: list[str] = about["workloads"]
        self.trained: list[Task] = about["trained"]
        self.bytes: int = about["bytes"]

    def time(self, workload: Workload, seconds: float, limit: float | None) -> dict[str, Any]:
        """``seconds`` of each call, ``items`` in it, and ``cores`` kept busy."""
        return self._ask({"do": "time", "workload": workload.name, "seconds": seconds, "limit": limit})

    def score(self, task: Task, pairs: list[Pair]) -> list[Any]:
        """Scores [P] or probabilities [P, 3] of ``pairs``."""
        scores: list[Any] = self._ask({"do": "score", "task": task, "pairs": pairs})["scores"]
        return scores

    def peak_rss(self) -> int:
        """Most resident bytes so far."""
        return int(self._ask({"do": "memory"})["peak"])

    def close(self) -> None:
        """Let it end, or end it."""
        try:
            self._process.communicate(timeout=LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise SideError(self._last_words()) from None
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SideError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        return self._log.read()[-LAST_WORDS:].strip() or f"exit status {self._process.returncode}, no message"
