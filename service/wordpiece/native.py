"""The native tokeniser: batches of texts through ``libcmow_wordpiece.so``, without the interpreter's lock.

Letters: B texts, N tokens.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokenizers
from numpy.typing import NDArray

from cmow.service.machine.native import load
from cmow.service.wordpiece.recipe import Recipe, UnsupportedError

NO_ROWS = np.empty(0, np.int64)


class Encoded(NamedTuple):
    """Tokens of B texts.

    ``token_ids`` int64 [N], ``cu_seqlens`` int64 [B+1], ``truncated`` bool [B], and ``beyond`` int64: the texts, by
    number, that have no tokens here because their ids could not be proved.
    """

    token_ids: NDArray[np.int64]
    cu_seqlens: NDArray[np.int64]
    truncated: NDArray[np.bool_]
    beyond: NDArray[np.int64]


class _Strings(ctypes.Structure):
    _fields_ = (
        ("utf8", ctypes.c_char_p),
        ("sizes", ctypes.POINTER(ctypes.c_int64)),
        ("ids", ctypes.POINTER(ctypes.c_int64)),
        ("count", ctypes.c_int64),
    )


class NativeWordPiece:
    """WordPiece with the vocabulary of ``recipe``; may be used from many threads at once.

    Raises ``UnsupportedError`` where ``library`` cannot be loaded, or has the ids of another version of ``tokenizers``.
    """

    def __init__(self, library: Path, recipe: Recipe) -> None:
        functions = _load(library)
        parts = recipe.words, recipe.continuations, recipe.literals
        self.largest_id = max(max(pieces.values(), default=-1) for pieces in parts)
        strings = map(_strings, parts)
        self._handle: int | None = functions.cmow_wordpiece_create(*strings, recipe.unknown)
        if self._handle is None:
            raise MemoryError("no memory for the native tokeniser")
        self._encode = functions.cmow_wordpiece_encode
        weakref.finalize(self, functions.cmow_wordpiece_destroy, self._handle)

    def encode(self, texts: Sequence[str], max_tokens: int, threads: int) -> Encoded:
        """``texts`` [B], each cut to ``max_tokens``; the result is the same for any number of ``threads``.

        Raises ``UnicodeEncodeError`` on a text with a lone surrogate.
        """
        utf8, count = "".join(texts).encode(), len(texts)
        cu_seqlens = np.fromiter(chain((0,), map(len, texts)), np.int64, count + 1)
        truncated, beyond = np.empty(count + 1, np.bool_), np.empty(count + 1, np.bool_)
        token_ids = np.empty(min(len(utf8), count * max_tokens) + 1, np.int64)
        outputs = map(_address, (cu_seqlens, truncated, beyond, token_ids))
        left = self._encode(self._handle, utf8, len(utf8), count, max_tokens, threads, *outputs)
        if left < 0:
            raise RuntimeError(f"the native tokeniser failed with status {left}")
        # A copy, since the batch could have had many times the tokens that it has.
        token_ids = token_ids[: cu_seqlens[-1]].copy()
        return Encoded(token_ids, cu_seqlens, truncated[:count], beyond[:count].nonzero()[0] if left else NO_ROWS)


def _address(array: NDArray[Any]) -> object:
    """That of ``array``, which is not empty; several times faster than ``array.ctypes``."""
    return ctypes.byref(ctypes.c_char.from_buffer(array.data))


def _strings(pieces: Mapping[str, int]) -> _Strings:
    encoded, count = list(map(str.encode, pieces)), len(pieces)
    sizes, ids = np.fromiter(map(len, encoded), np.int64, count), np.fromiter(pieces.values(), np.int64, count)
    numbers = ctypes.c_int64 * count
    return _Strings(b"".join(encoded), numbers.from_buffer(sizes.data), numbers.from_buffer(ids.data), count)


def _load(path: Path) -> ctypes.CDLL:
    """The library with its functions declared."""
    try:
        library = load(path)
    except OSError as error:
        raise UnsupportedError(f"{path} cannot be used: {error}") from error
    library.cmow_wordpiece_authority.restype = ctypes.c_char_p
    authority = library.cmow_wordpiece_authority().decode()
    if authority != tokenizers.__version__:
        raise UnsupportedError(
            f"{path} has the ids of tokenizers {authority}, but {tokenizers.__version__} is installed"
        )
    handle, count, output = ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p
    library.cmow_wordpiece_create.argtypes = (*(ctypes.POINTER(_Strings),) * 3, count)
    library.cmow_wordpiece_create.restype = handle
    library.cmow_wordpiece_destroy.argtypes = (handle,)
    library.cmow_wordpiece_destroy.restype = None
    library.cmow_wordpiece_encode.argtypes = (handle, ctypes.c_char_p, *(count,) * 4, *(output,) * 4)
    library.cmow_wordpiece_encode.restype = count
    return library
