"""How many threads this process may keep busy: its affinity mask, cut by the CPU quota of its control groups.

ONNX Runtime counts the machine's cores instead; in a container with a quota its threads would then stall one another.
Sources: cgroups(7), proc_pid_mountinfo(5), the kernel's cgroup-v2.rst (cpu.max) and sched-bwc.rst (cpu.cfs_quota_us).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def usable_cpus(root: Path = ROOT) -> int:
    """Whole CPUs, at least 1. ``root`` is where ``proc`` and ``sys`` are."""
    quota = cpu_quota(root)
    cpus = _affinity()
    # Rounded down: the scheduler stops a thread too many for the rest of each period, and the others wait for it.
    return cpus if quota is None else max(1, min(cpus, int(quota)))


def limit_tokenizer_threads(threads: int) -> None:
    """Size the thread pool of ``tokenizers``, which reads these when it first works; values from outside win."""
    if threads:
        os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
        os.environ.setdefault("TOKENIZERS_PARALLELISM", str(threads > 1).lower())


def cpu_quota(root: Path = ROOT) -> float | None:
    """CPUs granted by the tightest control group of this process or above it; ``None`` where none sets a limit."""
    quotas = [quota for folder in _group_folders(root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _group_folders(root: Path) -> Iterator[Path]:
    """This process's group in each hierarchy that carries the cpu controller, and all groups above it."""
    groups = dict(_groups(root))
    for version, mount_root, mount_point in _mounts(root):
        if version not in groups:
            continue
        top = root / mount_point.lstrip("/")
        inner = groups[version].removeprefix(mount_root.rstrip("/")).strip("/")
        # A path with ".." lies outside this mount: its limits cannot be seen from here.
        folder = top if ".." in inner.split("/") else top / inner
        yield from (path for path in (folder, *folder.parents) if path.is_relative_to(top))


def _groups(root: Path) -> Iterator[tuple[int, str]]:
    """(cgroup version, path of this process's group)."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield 2, path
        elif "cpu" in controllers.split(","):
            yield 1, path


def _mounts(root: Path) -> Iterator[tuple[int, str, str]]:
    """(cgroup version, path of the mount's root inside the hierarchy, mount point)."""
    for line in _lines(root / "proc/self/mountinfo"):
        mount, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.split(" ", 2)
        mount_root, mount_point = mount.split(" ")[3:5]
        if kind == "cgroup2":
            yield 2, mount_root, mount_point
        elif kind == "cgroup" and "cpu" in options.split(","):
            yield 1, mount_root, mount_point


def _quota(folder: Path) -> float | None:
    """CPUs granted by the group in ``folder``: runtime over period, both in microseconds."""
    words = _words(folder / "cpu.max") or [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
    match words:
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            return int(quota) / int(period)
        case _:  # "max", -1, or no such file: no limit
            return None


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
