from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmow.service.files.lines import CHUNK, read_lines

LIMIT = 8
LINES = st.lists(st.text("abc\r\x0b\u2028", max_size=12).map(str.encode), max_size=20)


@given(LINES, st.booleans())
def test_same_as_split(lines: list[bytes], ended: bool) -> None:
    content = b"\n".join(lines) + b"\n" * ended
    expected = content.split(b"\n")
    found = list(read_lines(io.BytesIO(content), LIMIT))
    assert sum(line.size for line in found) == len(content)
    assert [line.number for line in found] == list(range(1, len(found) + 1))
    short = [line if len(line) <= LIMIT else None for line in (expected if expected[-1] else expected[:-1])]
    assert [None if line.content is None else line.content.rstrip(b"\n") for line in found] == short


@pytest.mark.parametrize("end", [b"", b"\n", b"\nnext\n"])
@pytest.mark.parametrize("size", [11, CHUNK, CHUNK + 10, CHUNK + 11, CHUNK + 12, 3 * CHUNK])
def test_a_long_line_is_counted_and_left_out(size: int, end: bytes) -> None:
    found = list(read_lines(io.BytesIO(b"x" * size + end), 10))
    assert found[0] == (1, None, size + bool(end))
    assert [line.content for line in found[1:]] == ([b"next\n"] if len(end) > 1 else [])


def test_a_line_of_exactly_the_limit() -> None:
    assert [line.content for line in read_lines(io.BytesIO(b"x" * 10 + b"\n" + b"y" * 10), 10)] == [
        b"x" * 10 + b"\n",
        b"y" * 10,
    ]


def test_only_a_leading_byte_order_mark_is_left_out() -> None:
    mark = b"\xef\xbb\xbf"
    lines = read_lines(io.BytesIO(mark + b"a\n" + mark + b"b\n"), 100)
    assert [line.content for line in lines] == [b"a\n", mark + b"b\n"]
