"""The locked requirements of the images are those of pyproject.toml, complete, and with digests."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LEFT_OUT = {"hf-xet"}  # see `make lock`
LOCKS = {
    "cpu": ["dependencies", "cpu", "otel"],
    "gpu": ["dependencies", "gpu", "otel"],
    "build": ["build"],
    "build-cuda": ["build", "build-cuda"],
}


def asked(groups: list[str]) -> list[Requirement]:
    tables = PROJECT["project"]["optional-dependencies"] | PROJECT["dependency-groups"]
    tables |= {"dependencies": PROJECT["project"]["dependencies"]}
    return [Requirement(line) for group in groups for line in tables[group]]


def text(lock: str) -> str:
    return (ROOT / "deploy/requirements" / f"{lock}.txt").read_text()


def locked(lock: str) -> dict[str, str]:
    """Name and version of each package; raises where one is there without a digest."""
    entries = re.split(r"\n(?=\w)", text(lock))
    pins = {}
    for entry in entries:
        pin = re.match(r"([\w.-]+)==(\S+)", entry)
        assert pin, entry
        assert "--hash=sha256:" in entry
        pins[canonicalize_name(pin[1])] = pin[2]
    return pins


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_of_the_project_is_the_one_locked(lock: str) -> None:
    pins = locked(lock)
    for requirement in asked(LOCKS[lock]):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("lock", LOCKS)
def test_nothing_says_where_it_comes_from(lock: str) -> None:
    assert "://" not in text(lock)
    assert "index" not in re.sub(r"^ +# via.*(\n +#.*)*", "", text(lock), flags=re.MULTILINE)


def test_what_the_packages_need_is_locked_too() -> None:
    """As far as this environment has them: what is needed, and in a version that fits."""
    pins, waiting, seen = locked("cpu"), asked(LOCKS["cpu"]), set[str]()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        assert name in LEFT_OUT or pins[name] in requirement.specifier, str(requirement)
        if name not in seen and name not in LEFT_OUT:
            seen.add(name)
            waiting += needed(name)
    assert len(seen) > len(asked(LOCKS["cpu"]))


def needed(name: str) -> list[Requirement]:
    try:
        requirements = map(Requirement, requires(name) or [])
    except PackageNotFoundError:  # this environment lacks it
        return []
    return [entry for entry in requirements if entry.marker is None or entry.marker.evaluate({"extra": ""})]
