"""Records that lie in JSON files beside a model: read and written whole, checked both times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from cmow.service.errors import BundleError

MOST_BYTES = 2**20
MOST_CHARACTERS = 1000  # of a message
FINITE = "a finite number"


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Immutable, and closed: an unknown field is an error.

    Types and bounds are checked where a record is read or written. msgspec does it, since the import of pydantic takes
    a third of the time in which a model must be ready.
    """


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read_record(path: Path, kind: type[AnyRecord]) -> AnyRecord:
    """The record in the file ``path``; raises ``BundleError`` where it is missing or something else."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BundleError(f"expected a readable file {path}: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise BundleError(f"{path}: expected at most {MOST_BYTES} bytes, found more")
    return _decoded(path, content, kind)


def write_record(path: Path, record: Record) -> None:
    """Write ``record`` to the file ``path``; raises ``BundleError`` where nobody could read it again."""
    content = msgspec.json.encode(record)
    _decoded(path, content, type(record))
    path.write_bytes(msgspec.json.format(content, indent=2) + b"\n")


def _decoded(path: Path, content: bytes, kind: type[AnyRecord]) -> AnyRecord:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path}: {_explained(content, kind, str(error))}") from error


def _explained(content: bytes, kind: type[Record], otherwise: str) -> str:
    """The first fault of ``content``, and how many more there are; msgspec names neither keys of a dict nor values.

    ``otherwise`` is what msgspec said: the fault of a field that comes again with a right value.
    """
    try:
        value = msgspec.json.Decoder(float_hook=float).decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return f"content: expected JSON in UTF-8, found {len(content)} bytes of something else: {error}"
    faults = list(_faults("", value, kind))
    first, *more = faults or [f"content: expected each field once, found one again: {otherwise}"]
    return first[:MOST_CHARACTERS] + (f" (and {len(more)} more)" if more else "")


def _faults(place: str, value: Any, kind: Any) -> Iterator[str]:
    """What is wrong with ``value``, JSON that should be of the type ``kind``: "dims.vocab_size: expected ..."."""
    if parts := list(_faults_within(place, value, kind)):
        yield from parts
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        if _is_record(value, kind):  # whose own check has failed, since its fields are right
            yield f"{place}: {error}" if place else str(error)
        else:
            yield _fault(place, _expected(kind, str(error)), value)
    else:
        if isinstance(value, float) and not isfinite(value):  # 1e999 in the file
            yield _fault(place, FINITE, value)


def _faults_within(place: str, value: Any, kind: Any) -> Iterator[str]:
    before = f"{place}." if place else ""
    if _is_record(value, kind):
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for name, field in fields.items():
            if name in value:
                yield from _faults(before + name, value[name], field.type)
            elif field.required:
                yield f"{before}{name}: expected a value, found none"
        for name in value:
            if name not in fields:
                yield _fault(before + name, "no field of this name", value[name])
    elif isinstance(value, dict) and get_origin(kind) is dict:
        for name, entry in value.items():
            yield from _faults(before + name, entry, get_args(kind)[1])
    elif isinstance(value, list) and get_origin(kind) is list:
        for index, entry in enumerate(value):
            yield from _faults(f"{place}[{index}]", entry, get_args(kind)[0])


def _is_record(value: Any, kind: Any) -> bool:
    return isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, Record)


def _fault(place: str, expected: str, found: Any) -> str:
    return f"{place or 'content'}: expected {expected}, found {repr(found)[:80]}"


def _expected(kind: Any, message: str) -> str:
    """What ``kind`` takes: its values where those are few, or what msgspec says in ``message``."""
    union = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if any(get_origin(entry) is Literal for entry in union):
        named = [get_args(entry) if get_origin(entry) is Literal else (None,) for entry in union]
        return " or ".join(repr(value) for values in named for value in values)
    if message == "Number out of range":
        return FINITE
    return re.sub(r"^(Expected|Invalid) |, got .*|`", "", message)
