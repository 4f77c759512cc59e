"""JSON as RFC 8259 has it, with errors that say where and what: no NaN, no infinity, no key twice in an object.

A byte order mark before it, which editors and some clients write, is left out, as the RFC allows.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from typing import Any, NoReturn

from cmow.service.errors import MalformedBodyError

BYTE_ORDER_MARK = "\ufeff"
SHOWN = 40  # characters of a client's own key that a message repeats


def parse_json(body: bytes) -> Any:
    """The value in ``body``; raises ``MalformedBodyError`` where it is not UTF-8, or not JSON (RFC 8259)."""
    try:
        return DECODER.decode(body.decode("utf-8").removeprefix(BYTE_ORDER_MARK))
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"body: expected UTF-8, got byte 0x{body[error.start]:02x} at {error.start}") from None
    except json.JSONDecodeError as error:
        raise MalformedBodyError(f"body: expected JSON: {error.msg} at character {error.pos}") from None
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


def _distinct(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of ``members``; of two values under one key no rule says which is meant."""
    found = dict(members)
    if len(found) < len(members):
        ((key, _),) = Counter(key for key, _ in members).most_common(1)
        raise MalformedBodyError(f"body: expected each key of an object once, got {key[:SHOWN]!a} twice")
    return found


DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_distinct)
