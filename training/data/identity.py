"""What a run or a cache was made of, its options and the files that it read, so that nothing stale is taken for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from cmow.service.model.record import Record, read_record
from training.data.atomic import replace_bytes
from training.errors import StaleError

ELSEWHERE = ("device", "threads", "out")  # where and how fast a run computes; it may go on elsewhere
MOST_NAMED = 5


class FileState(Record, frozen=True):
    """A file's ``size`` in bytes, when it was ``modified`` in nanoseconds, and the BLAKE2b ``digest`` of it."""

    size: int
    modified: int
    digest: str


class Identity(Record, frozen=True):
    """Options by name, and files by path."""

    options: dict[str, Any]
    files: dict[str, FileState]

    @staticmethod
    def of(options: Mapping[str, Any], paths: Iterable[Path], known: Identity | None = None) -> Identity:
        """Of ``options`` and the content of ``paths``; a file of the size and time that are ``known`` is not read."""
        before = known.files if known else {}
        files = {str(path): _state(path, before.get(str(path))) for path in sorted(set(paths))}
        return Identity(options=dict(options), files=files)

    @staticmethod
    def read(path: Path) -> Identity | None:
        """The one in ``path``, if it exists; ``BundleError`` where the file is something else."""
        return read_record(path, Identity) if path.exists() else None

    @staticmethod
    def parsed(record: Any, path: Path) -> Identity:
        """From what ``record`` gave, as ``path`` holds it; ``StaleError`` where it is none."""
        try:
            return msgspec.convert(record, Identity)
        except msgspec.ValidationError as error:
            raise StaleError(f"{path}: expected options and files as this version keeps them: {error}") from error

    def write(self, path: Path) -> None:
        """Keep it in ``path``."""
        replace_bytes(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return dict(msgspec.to_builtins(self))

    def digest(self) -> str:
        """The same for the same options and contents of files, whenever these were written."""
        parts = [self.options, {path: state.digest for path, state in self.files.items()}]
        return hashlib.blake2b(msgspec.json.encode(parts, order="deterministic"), digest_size=16).hexdigest()

    def check(self, then: Identity, folder: Path) -> None:
        """``StaleError`` names what differs from ``then``, of which ``folder`` was made."""
        if changes := [*_options_changed(then.options, self.options), *_files_changed(then.files, self.files)]:
            more = f"; and {len(changes) - MOST_NAMED} more" if len(changes) > MOST_NAMED else ""
            named = "; ".join(changes[:MOST_NAMED])
            raise StaleError(f"{folder}: made with others: {named}{more}. Take another --out, or remove the folder")


def recorded(config: Any) -> dict[str, Any]:
    """The options ``config`` as JSON has them, but for what changes no result."""
    known = {name: value for name, value in asdict(config).items() if name not in ELSEWHERE}
    return dict(msgspec.json.decode(msgspec.json.encode(known, enc_hook=str)))


def _state(path: Path, known: FileState | None) -> FileState:
    found = path.stat()
    if known and (known.size, known.modified) == (found.st_size, found.st_mtime_ns):
        return known
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return FileState(size=found.st_size, modified=found.st_mtime_ns, digest=digest.hexdigest())


def _options_changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"--{name.replace('_', '-')} was {then.get(name, 'not there')}, is {now.get(name, 'not there')}"
        for name in dict.fromkeys([*then, *now])
        if name not in then or name not in now or then[name] != now[name]
    ]


def _files_changed(then: Mapping[str, FileState], now: Mapping[str, FileState]) -> list[str]:
    gone = [f"{path} was read, is gone" for path in then.keys() - now.keys()]
    new = [f"{path} is new" for path in now.keys() - then.keys()]
    both = sorted(then.keys() & now.keys())
    return sorted(gone + new) + [f"{path} has changed" for path in both if then[path].digest != now[path].digest]
