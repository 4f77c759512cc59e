"""Servers as processes of their own, and what the machine is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from training.loop.machine import machine as describe

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

    def pss(self) -> int:
        """Proportional bytes of all workers together: of a page that n processes share, each counts 1/n."""
        return sum(map(_pss, self.workers))

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
    drain = Thread(target=process.stderr.read, daemon=True)  # a full pipe would stop the server
    try:
        log, up = "", 0
        while up < workers and (line := process.stderr.readline()):
            log += line
            up += "startup complete" in line
        found = re.search(r"listening on http://([\d.]+):(\d+)", log)
        if found is None or up < workers:
            raise RuntimeError(f"{module} did not start:\n{log}")
        drain.start()
        yield Running(process, found[1], int(found[2]))
    finally:
        process.kill()
        process.wait()
        if drain.is_alive():
            drain.join()
        process.stderr.close()


def machine() -> str:
    """Processor, cores, load and versions, for the head of a report."""
    about = describe(PACKAGES)
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return f"{about['cpu']}, {about['cores']} cores, load {about['load average'][0]:.1f}; {versions}"


def _rss(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _cpu_nanoseconds(pid: int) -> int:
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, of its threads that have ended too; in steps of a clock tick (10 ms)."""
    behind_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(behind_name[11]) + int(behind_name[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss(pid: int) -> int:
    """Most resident bytes that the process ever had."""
    return _kibibytes(Path(f"/proc/{pid}/status"), "VmHWM")


def _pss(pid: int) -> int:
    return _kibibytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss")


def _kibibytes(path: Path, name: str) -> int:
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])
