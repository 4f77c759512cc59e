"""Bodies as clients compress them (Content-Encoding, RFC 9110 section 8.4), inflated within the limit of a body."""

from __future__ import annotations

import zlib

from cmow.service.errors import BodyTooLargeError, ContentEncodingError, MalformedBodyError

PLAIN = frozenset({b"", b"identity"})
COMPRESSED = frozenset({b"gzip", b"x-gzip", b"deflate"})
ACCEPTED = "gzip, deflate, identity"
EITHER = 32 + zlib.MAX_WBITS  # zlib tells gzip and deflate apart by their first bytes


def is_compressed(declared: bytes) -> bool:
    """Whether a body of the Content-Encoding ``declared`` must be inflated; raises ``ContentEncodingError``."""
    name = declared.strip().lower()
    if name in PLAIN or name in COMPRESSED:
        return name in COMPRESSED
    raise ContentEncodingError(f"content-encoding: expected one of {ACCEPTED}, got {declared.decode('latin-1')[:40]!a}")


def inflate(body: bytes, most: int) -> bytes:
    """``body`` as it was, of at most ``most`` bytes, of which no more are ever made.

    Raises ``BodyTooLargeError``, and ``MalformedBodyError`` unless ``body`` is one whole stream: to go on with more of
    them would copy the rest for each, of which there can be many.
    """
    inflater = zlib.decompressobj(EITHER)
    try:
        plain = inflater.decompress(body, most + 1)
    except zlib.error as error:
        raise MalformedBodyError(f"body: expected gzip or deflate, as content-encoding says: {error}") from None
    if len(plain) > most:
        raise BodyTooLargeError(f"body: expected at most {most} bytes when inflated, got more")
    if not inflater.eof or inflater.unused_data:
        found = "more after it" if inflater.eof else "its end missing"
        raise MalformedBodyError(f"body: expected one gzip or deflate stream, got {found}")
    return plain
