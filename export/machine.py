"""What the numbers of a benchmark depend on beside the code."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def machine(packages: Iterable[str]) -> dict[str, Any]:
    """Processor, usable cores, load and versions; of ``packages`` those that are installed."""
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load average": [round(load, 2) for load in os.getloadavg()],
        "versions": {name: found for name in packages if (found := _version(name))}
        | {"python": platform.python_version()},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
