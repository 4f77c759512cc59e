"""Every error of the service, and its HTTP status.

ServiceError
├── StartError                  the service cannot start; the command line prints the message and exits with 2
│   ├── BundleError             the bundle is missing, damaged, or of another format
│   └── KernelError             the fused kernel is required and cannot be had
├── InferenceError              the model gave what it never should
├── NotReadyError               the readiness check failed
└── RequestError                the client's mistake
    ├── MalformedBodyError      not UTF-8, or not JSON
    ├── BodyTooLargeError       more bytes than the limit
    ├── MediaTypeError          not application/json
    └── InvalidInputError       JSON, but not what the endpoint takes
        ├── SchemaError         a field is missing, unknown or of the wrong type
        ├── EmptyListError      a list without a sentence
        ├── LengthMismatchError two lists of different lengths
        ├── TooManyPairsError   more pairs than the limit
        ├── EmptyTextError      a sentence without a token
        ├── TextTooLongError    a sentence of more characters than the limit
        └── InvalidTextError    a sentence that is not Unicode text
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


class ServiceError(Exception):
    """Root of the tree. ``type`` is the name that clients see, ``param`` the field at fault, as in ``sentence2[3]``."""

    type: ClassVar[str] = "internal_error"

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class StartError(ServiceError):
    """The service cannot start."""


class BundleError(StartError):
    """The bundle is missing, damaged, or of another format."""


class KernelError(StartError):
    """The fused kernel is required and cannot be had."""


class InferenceError(ServiceError):
    """The model gave what it never should."""


class NotReadyError(ServiceError):
    """The readiness check failed."""

    type = "not_ready"


class RequestError(ServiceError):
    """The client's mistake."""


class MalformedBodyError(RequestError):
    """The body is not UTF-8, or not JSON."""

    type = "malformed_body"


class BodyTooLargeError(RequestError):
    """The body has more bytes than the limit."""

    type = "body_too_large"


class MediaTypeError(RequestError):
    """The body's content type is not application/json."""

    type = "unsupported_media_type"


class InvalidInputError(RequestError):
    """The body is JSON, but not what the endpoint takes."""


class SchemaError(InvalidInputError):
    """A field is missing, unknown or of the wrong type."""

    type = "invalid_schema"


class EmptyListError(InvalidInputError):
    """A list has no sentence."""

    type = "empty_list"


class LengthMismatchError(InvalidInputError):
    """Two lists have different lengths."""

    type = "length_mismatch"


class TooManyPairsError(InvalidInputError):
    """The request has more pairs than the limit."""

    type = "too_many_pairs"


class EmptyTextError(InvalidInputError):
    """A sentence has no token."""

    type = "empty_text"


class TextTooLongError(InvalidInputError):
    """A sentence has more characters than the limit."""

    type = "text_too_long"


class InvalidTextError(InvalidInputError):
    """A sentence is not Unicode text."""

    type = "invalid_text"


HTTP_STATUS: dict[type[ServiceError], int] = {
    MalformedBodyError: 400,
    BodyTooLargeError: 413,
    MediaTypeError: 415,
    InvalidInputError: 422,
    ServiceError: 500,
    NotReadyError: 503,
}


def status_of(kind: type[ServiceError]) -> int:
    """HTTP status of the nearest class above ``kind`` in ``HTTP_STATUS``, or of itself."""
    return next(HTTP_STATUS[cls] for cls in kind.__mro__ if cls in HTTP_STATUS)


def error_types() -> dict[int, list[str]]:
    """Every ``type`` that a reply can have, by status, for the documentation."""
    types: dict[int, set[str]] = {}
    kinds: list[type[ServiceError]] = [ServiceError, NotReadyError, *_below(RequestError)]
    for kind in kinds:
        if "type" in vars(kind):
            types.setdefault(status_of(kind), set()).add(kind.type)
    return {status: sorted(names) for status, names in sorted(types.items())}


def _below(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
