"""What the numbers of a benchmark depend on besides the code."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")


def machine(packages: Iterable[str]) -> dict[str, Any]:
    """Processor, usable cores, load and versions; of ``packages`` those that are installed."""
    return {
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load average": [round(load, 2) for load in os.getloadavg()],
        "versions": {name: found for name in packages if (found := _version(name))}
        | {"python": platform.python_version()},
    }


def processor(cpuinfo: Path = CPUINFO) -> str:
    """Its name, and where Linux gives them family and model: clouds give several generations one name."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
    name = fields.get("model name") or platform.processor() or "unknown processor"
    return ", ".join([name, *(f"{key} {fields[key]}" for key in ("cpu family", "model") if key in fields)])


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
