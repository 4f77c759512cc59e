"""Every error of the service, and its HTTP status.

CmowError
├── StartError                  the service cannot start; the command line prints the message and exits with 2
│   ├── BundleError             the bundle is missing, damaged, or of another format
│   ├── KernelError             the fused kernel is required and unavailable
│   ├── ProviderError           the GPU is required and unavailable
│   ├── TracingError            traces are asked for and cannot be sent
│   └── WorkerError             the worker processes do not come up
├── BulkError                   a bulk run cannot go on; the command line prints the message and exits with 1
│   ├── UsageError              its options do not fit one another or what is there; exits with 2
│   └── BadRowError             a row of its input cannot be scored; exits with 3
├── ClosedError                 the model was closed before the call
├── InferenceError              the model gave what it never should
├── NotReadyError               the readiness check failed
├── DeadlineError               the answer did not come in time
├── ClientGoneError             the client closed the connection; nobody gets this
└── RequestError                the client's mistake, or more than the service takes
    ├── MalformedRequestError   not HTTP/1.1
    ├── StalledError            the rest of the request does not come
    ├── HeadTooLargeError       more bytes of headers than the limit
    ├── MalformedBodyError      not UTF-8, or not JSON
    ├── HeaderError             a header's value is not what it must be
    ├── UnauthorizedError       no API key, or an unknown one
    ├── OverloadedError         more work is waiting than the limit; comes with ``Retry-After``
    ├── ModelNotFoundError      another model than the one served
    ├── BaselineNotFoundError   no such baseline is configured, or none at all
    ├── BodyTooLargeError       more bytes than the limit
    ├── MediaTypeError          not application/json
    │   └── ContentEncodingError  compressed in another way than those that are read
    └── InvalidInputError       JSON, but not what the endpoint takes
        ├── SchemaError         a field is missing, unknown or of the wrong type
        ├── EmptyListError      a list without a sentence
        ├── LengthMismatchError two lists of different lengths
        ├── TooManyPairsError   more pairs than the limit
        ├── TooManyTextsError   more texts than the limit
        ├── TooManyTokensError  more tokens than the limit
        ├── EmptyTextError      a sentence without a token
        ├── TextTooLongError    a sentence of more characters than the limit
        ├── InvalidTextError    a sentence that is not Unicode text
        ├── UnknownTextError    a sentence of which the model knows no token, where that is refused
        └── InvalidStateError   a state that this model did not give
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


class CmowError(Exception):
    """Root of the tree. ``type`` is the name that clients see, ``param`` the field at fault, as in ``sentence2[3]``."""

    type: ClassVar[str] = "internal_error"

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class StartError(CmowError):
    """The service cannot start."""


class BundleError(StartError):
    """The bundle is missing, damaged, or of another format."""


class KernelError(StartError):
    """The fused kernel is required and unavailable."""


class ProviderError(StartError):
    """The GPU is required and unavailable."""


class TracingError(StartError):
    """Traces are asked for and cannot be sent."""


class WorkerError(StartError):
    """The worker processes do not come up."""


class BulkError(CmowError):
    """A bulk run cannot go on."""


class UsageError(BulkError):
    """The options of a bulk run do not fit one another or what is there."""


class BadRowError(BulkError):
    """A row of a bulk run's input cannot be scored; the message names file and line."""


class ClosedError(CmowError):
    """The model was closed before the call."""


class InferenceError(CmowError):
    """The model gave what it never should."""


class NotReadyError(CmowError):
    """The readiness check failed."""

    type = "not_ready"


class DeadlineError(CmowError):
    """The answer did not come in time."""

    type = "deadline_exceeded"


class ClientGoneError(CmowError):
    """The client closed the connection before its answer."""

    type = "client_gone"


class RequestError(CmowError):
    """The client's mistake, or more than the service takes."""


class MalformedRequestError(RequestError):
    """The request is not HTTP/1.1."""

    type = "malformed_request"


class StalledError(RequestError):
    """The rest of the request does not come."""

    type = "request_timeout"


class HeadTooLargeError(RequestError):
    """Request line and headers have more bytes than the limit."""

    type = "head_too_large"


class MalformedBodyError(RequestError):
    """The body is not UTF-8, or not JSON."""

    type = "malformed_body"


class HeaderError(RequestError):
    """A header's value is not what it must be."""

    type = "invalid_header"


class UnauthorizedError(RequestError):
    """No API key, or an unknown one."""

    type = "unauthorized"


class OverloadedError(RequestError):
    """More work is waiting than the limit."""

    type = "overloaded"


class ModelNotFoundError(RequestError):
    """The client asks for another model than the one served."""

    type = "model_not_found"


class BaselineNotFoundError(RequestError):
    """No such baseline is configured, or none at all."""

    type = "baseline_not_found"


class BodyTooLargeError(RequestError):
    """The body has more bytes than the limit."""

    type = "body_too_large"


class MediaTypeError(RequestError):
    """The body's content type is not application/json."""

    type = "unsupported_media_type"


class ContentEncodingError(MediaTypeError):
    """The body is compressed in another way than those that are read."""

    type = "unsupported_content_encoding"


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


class TooManyTokensError(InvalidInputError):
    """The request has more tokens than the limit."""

    type = "too_many_tokens"


class TooManyTextsError(InvalidInputError):
    """The request has more texts than the limit."""

    type = "too_many_texts"


class EmptyTextError(InvalidInputError):
    """A sentence has no token."""

    type = "empty_text"


class TextTooLongError(InvalidInputError):
    """A sentence has more characters than the limit."""

    type = "text_too_long"


class InvalidTextError(InvalidInputError):
    """A sentence is not Unicode text."""

    type = "invalid_text"


class UnknownTextError(InvalidInputError):
    """A sentence of which the model knows no token, where the request refuses such."""

    type = "unknown_text"


class InvalidStateError(InvalidInputError):
    """A state of a text is not one that this model gave."""

    type = "invalid_state"


HTTP_STATUS: dict[type[CmowError], int] = {
    MalformedRequestError: 400,
    MalformedBodyError: 400,
    HeaderError: 400,
    UnauthorizedError: 401,
    ModelNotFoundError: 404,
    BaselineNotFoundError: 404,
    StalledError: 408,
    BodyTooLargeError: 413,
    MediaTypeError: 415,
    InvalidInputError: 422,
    OverloadedError: 429,
    HeadTooLargeError: 431,
    ClientGoneError: 499,  # as nginx logs it; no client ever sees it
    CmowError: 500,
    NotReadyError: 503,
    DeadlineError: 504,
}

FRAMEWORK_ERRORS = {404: "not_found", 405: "method_not_allowed"}
OTHER_FRAMEWORK_ERROR = "http_error"


def status_of(kind: type[CmowError]) -> int:
    """HTTP status of the nearest class above ``kind`` in ``HTTP_STATUS``, or of itself."""
    return next(HTTP_STATUS[cls] for cls in kind.__mro__ if cls in HTTP_STATUS)


def error_types() -> dict[int, list[str]]:
    """Every ``type`` that a reply can have, by status, for the documentation."""
    types: dict[int, set[str]] = {}
    kinds: list[type[CmowError]] = [CmowError, NotReadyError, DeadlineError, *_below(RequestError)]
    for kind in kinds:
        if "type" in vars(kind):
            types.setdefault(status_of(kind), set()).add(kind.type)
    return {status: sorted(names) for status, names in sorted(types.items())}


def _below(kind: type[CmowError]) -> Iterator[type[CmowError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
