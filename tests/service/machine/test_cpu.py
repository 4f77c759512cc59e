"""Quotas read from made-up control group trees, laid out as container runtimes do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cmow.service.machine.cpu import cpu_quota, usable_cpus

V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup rw,nsdelegate\n"
V1_MOUNT = "32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
OTHER_MOUNTS = (
    "23 1 0:21 / /proc rw,nosuid - proc proc rw\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
)


def tree(root: Path, groups: str, mounts: str, files: dict[str, str]) -> Path:
    """A file system below ``root``; ``files`` are named below sys/fs/cgroup."""
    content = {"proc/self/cgroup": groups, "proc/self/mountinfo": OTHER_MOUNTS + mounts}
    content |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("path", "files", "quota"),
    [
        pytest.param("/", {"cpu.max": "150000 100000\n"}, 1.5, id="container with a namespace of its own"),
        pytest.param("/", {"cpu.max": "max 100000\n"}, None, id="no limit"),
        pytest.param("/", {}, None, id="root group, which has no file"),
        pytest.param("/app.slice/web", {"app.slice/web/cpu.max": "50000 100000"}, 0.5, id="own group"),
        pytest.param("/app.slice/web", {"app.slice/cpu.max": "200000 100000"}, 2, id="group above"),
        pytest.param(
            "/app.slice/web",
            {"app.slice/cpu.max": "200000 100000", "app.slice/web/cpu.max": "700000 100000"},
            2,
            id="tightest counts",
        ),
        pytest.param("/gone", {"cpu.max": "300000 100000"}, 3, id="group not mounted"),
        pytest.param("/../other", {"cpu.max": "300000 100000"}, 3, id="group outside of the namespace"),
        pytest.param("/", {"cpu.max": "garbage\n"}, None, id="garbage"),
        pytest.param("/", {"cpu.max": "100 0\n"}, None, id="period of zero"),
    ],
)
def test_version_2(tmp_path: Path, path: str, files: dict[str, str], quota: float | None) -> None:
    assert cpu_quota(tree(tmp_path, f"0::{path}\n", V2_MOUNT, files)) == quota


@pytest.mark.parametrize(
    ("root", "path", "files", "quota"),
    [
        pytest.param("/", "/", {"cpu.cfs_quota_us": "250000\n", "cpu.cfs_period_us": "100000\n"}, 2.5, id="plain"),
        pytest.param("/", "/", {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, None, id="no limit"),
        pytest.param("/", "/", {"cpu.cfs_quota_us": "100000\n"}, None, id="no period"),
        pytest.param(
            "/docker/abc",
            "/docker/abc",
            {"cpu.cfs_quota_us": "100000\n", "cpu.cfs_period_us": "50000\n"},
            2,
            id="container that sees its own group at the mount",
        ),
        pytest.param(
            "/",
            "/docker/abc",
            {"docker/abc/cpu.cfs_quota_us": "1", "docker/abc/cpu.cfs_period_us": "4"},
            0.25,
            id="host",
        ),
    ],
)
def test_version_1(tmp_path: Path, root: str, path: str, files: dict[str, str], quota: float | None) -> None:
    groups = f"9:name=systemd:/\n4:cpu,cpuacct:{path}\n3:cpuset:/elsewhere\n0::/\n"
    files = {f"cpu,cpuacct/{name}": text for name, text in files.items()}
    assert cpu_quota(tree(tmp_path, groups, V1_MOUNT.format(root=root), files)) == quota


def test_without_control_groups(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None
    assert usable_cpus(tmp_path) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("quota", "cpus"), [(0.5, 1), (1, 1), (1.9, 1), (2, 2), (3.7, 3), (8, 4), (None, 4)])
def test_whole_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: float | None, cpus: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    limit = "max" if quota is None else int(quota * 100_000)
    assert usable_cpus(tree(tmp_path, "0::/\n", V2_MOUNT, {"cpu.max": f"{limit} 100000\n"})) == cpus


def test_where_there_is_no_affinity_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cpus(tmp_path) == 6


def test_here() -> None:
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))
