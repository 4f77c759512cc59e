"""When a load test has failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The most that a run may show."""

    error_ratio: float
    p95_ms: float
    p99_ms: float


def breaches(requests: int, found: Mapping[str, float], limits: Limits) -> list[str]:
    """What is beyond ``limits``; ``found`` has its three names. A run without requests has shown nothing."""
    if requests == 0:
        return ["no request was made"]
    wanted = vars(limits)
    return [
        f"{name} {found[name]:g}, expected at most {most:g}" for name, most in wanted.items() if not found[name] <= most
    ]
