"""Payloads to models, with errors in the service's own words, which never repeat a client's text."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from cmow.service.errors import SchemaError

JSON_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
EXPECTED = {
    "string_type": "a string",
    "list_type": "a list",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "model_type": "an object",
    "none_required": "null",
}
UNKNOWN_FIELD = "unknown_field"
TAG = "tag:"  # how the branches of a union are named, so that no position in a message shows one
SHOWN = 40  # characters of a client's own field name or number that a message repeats


class Wire(BaseModel):
    """Immutable, closed and strict: an unknown field is an error, and so is a number where a string belongs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, payload: Any) -> Any:
        """Refuse the first unknown field here: pydantic would list every single one."""
        known = cls.__pydantic_fields__.keys()
        if isinstance(payload, dict) and not payload.keys() <= known:
            key = next(key for key in payload if key not in known)
            raise PydanticCustomError(UNKNOWN_FIELD, "{fields}", {"fields": field_names(cls), "field": shown(key)})
        return payload


M = TypeVar("M", bound=Wire)


def parse(model: type[M], payload: Any) -> M:
    """``payload`` as a ``model``; raises a ``SchemaError`` for the first mistake in it."""
    if not isinstance(payload, dict):
        required = " and ".join(name for name, field in model.model_fields.items() if field.is_required())
        raise SchemaError(f"expected an object with {required or field_names(model)}, got {_name(payload)}")
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        raise _translate(model, error.errors(include_url=False)[0]) from None  # the original holds the client's values


def field_names(model: type[BaseModel]) -> str:
    """The fields of ``model`` for a message."""
    return " and ".join(model.model_fields)


def shown(key: str) -> str:
    """The beginning of a client's own field name in ASCII: pydantic fails on half a surrogate pair."""
    return ascii(key[:SHOWN])[1:-1]


def _translate(model: type[BaseModel], error: ErrorDetails) -> SchemaError:
    where = _position(error["loc"])
    if error["type"] == UNKNOWN_FIELD:
        key = error["ctx"]["field"]
        return SchemaError(f"expected only {error['msg']}, got a field '{key}'", f"{where}.{key}".removeprefix("."))
    if error["type"] == "missing":
        field = model.model_fields.get(where)
        expected = field.description if field is not None and field.description else "a value"
        return SchemaError(f"{where}: expected {expected}, got no such field", where)
    expected = EXPECTED.get(error["type"]) or _bound(error) or error["msg"].removeprefix("Input should be ")
    return SchemaError(f"{where}: expected {expected}, got {_found(error)}", where)


def _position(location: tuple[int | str, ...]) -> str:
    """As in ``inputs.sentences[3]``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if not str(part).startswith(TAG))
    return "".join(parts).removeprefix(".")


def _bound(error: ErrorDetails) -> str | None:
    """What is expected of a list's length, or of a value that must be true, where that is the mistake."""
    match error["type"]:
        case "too_short":
            return f"a list of at least {error['ctx']['min_length']}"
        case "too_long":
            return f"a list of at most {error['ctx']['max_length']}"
        case "literal_error" if error["ctx"]["expected"] == "True":
            return "true"
        case _:
            return None


def _found(error: ErrorDetails) -> str:
    """The kind of the value at fault; a number out of bounds or a switch is shown."""
    value = error["input"]
    is_shown = error["type"].startswith(("greater_than", "less_than", "literal_error"))
    return json.dumps(value)[:SHOWN] if is_shown and isinstance(value, bool | int | float) else _name(value)


def _name(value: object) -> str:
    name = JSON_NAMES.get(type(value), "null")
    return f"{name} of {len(value)}" if isinstance(value, list) else name
