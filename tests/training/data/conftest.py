import resource
from collections.abc import Iterator

import pytest


@pytest.fixture
def file_limit() -> Iterator[int]:
    """Bytes that a file may have, which is how a test of one process can make a disk full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield 1 << 16
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
