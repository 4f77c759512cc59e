"""Servers as processes of their own, and what the machine is."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Thread

PACKAGES = ("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "pydantic", "onnxruntime", "tokenizers", "numpy")


@dataclass(frozen=True)
class Running:
    """A server that answers at ``host`` and ``port``."""

    process: subprocess.Popen[str]
    host: str
    port: int

    @property
    def workers(self) -> list[int]:
        """Process ids of those who answer: the server itself, or its worker processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        spawned = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return spawned or [self.process.pid]

    def rss(self) -> int:
        """Resident bytes of all workers together; pages that they share count for each."""
        return sum(_rss(pid) for pid in self.workers)

    def cpu_seconds(self) -> float:
        """CPU time of all threads of all workers together."""
        return sum(_cpu_nanoseconds(pid) for pid in self.workers) / 1e9


@contextmanager
def serving(module: str, arguments: Sequence[str], workers: int = 1) -> Iterator[Running]:
    """``python -m module arguments`` once all ``workers`` of it are up; killed at the end."""
    command = [sys.executable, "-m", module, "--port", "0", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, bufsize=1)
    assert process.stderr is not None
    try:
        log, up = "", 0
        while up < workers and (line := process.stderr.readline()):
            log += line
            up += "startup complete" in line
        found = re.search(r"listening on http://([\d.]+):(\d+)", log)
        if found is None or up < workers:
            raise RuntimeError(f"{module} did not start:\n{log}")
        Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop the server
        yield Running(process, found[1], int(found[2]))
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def machine() -> str:
    """Processor, cores, load and versions, for the head of a report."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = os.getloadavg()[0]
    return f"{names[0]}, {len(names)} cores, load {load:.1f}; Python {platform.python_version()}, {versions}"


def _rss(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _cpu_nanoseconds(pid: int) -> int:
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))
