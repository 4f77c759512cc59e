"""What OpenAPI says of texts is true of the tokenizer: it calls none blank of which the model reads a token."""

from __future__ import annotations

import re
import sys

import pytest

from cmow.service.model.bundle import TOKENIZER
from cmow.service.options.defaults import BUNDLE
from cmow.service.text.tokenizer import load_tokenizer
from cmow.service.web.schemas import READABLE


@pytest.mark.bundle
def test_no_readable_text_is_called_blank() -> None:
    library, readable = load_tokenizer(BUNDLE / TOKENIZER), re.compile(READABLE)
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    blank = [character for character in characters if not readable.search(character)]
    encoded = library.encode_batch_fast(blank, add_special_tokens=False)
    assert [text for text, encoding in zip(blank, encoded, strict=True) if encoding.ids] == []
    assert len(blank) > 4096  # private use, for one
    for character in "a!7é日\N{GRINNING FACE}":
        assert readable.search(f"  {character}\t")
