"""How tests compress files, and read what was compressed."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest


def zstd() -> Any:
    return pytest.importorskip("backports.zstd", reason="the extra `zstd` is not installed")


COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "zst": lambda data: bytes(zstd().compress(data))}
INFLATE: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.decompress,
    "zst": lambda data: bytes(zstd().decompress(data)),
}
