"""JSON as RFC 8259 has it, with errors that say where and what: no NaN, no infinity, no byte order mark."""

from __future__ import annotations

import codecs
import json
import math
import sys
from typing import Any, NoReturn

from cmow.service.errors import MalformedBodyError


def parse_json(body: bytes) -> Any:
    """The value in ``body``; raises ``MalformedBodyError`` where it is not UTF-8, or not JSON (RFC 8259)."""
    try:
        return DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"body: expected UTF-8, got byte 0x{body[error.start]:02x} at {error.start}") from None
    except json.JSONDecodeError as error:
        found = "a byte order mark (BOM)" if body.startswith(codecs.BOM_UTF8) else error.msg
        raise MalformedBodyError(f"body: expected JSON: {found} at character {error.pos}") from None
    except RecursionError:
        raise MalformedBodyError("body: expected JSON, got it nested too deeply") from None
    except ValueError:  # the one that is left
        most = sys.get_int_max_str_digits()
        raise MalformedBodyError(f"body: expected numbers of at most {most} digits, got one with more") from None


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBodyError(f"body: expected JSON, which has no {name}")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedBodyError(f"body: expected numbers from -1.8e308 to 1.8e308, got {digits[:20]}")
    return number


DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
