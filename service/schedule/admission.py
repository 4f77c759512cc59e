"""How much work may wait: pairs and tokens of all requests that have come in and have no answer yet."""

from __future__ import annotations

from types import TracebackType

from cmow.service.errors import OverloadedError, TooManyTokensError


class Admission:
    """Lets requests in while at most ``max_items`` pairs and ``max_tokens`` tokens are waiting or being scored.

    One rule for all: a request comes in if what is inside and the request together stay within the limits, or if it
    is alone inside. So a limit below the largest request makes that one wait until nothing else waits, and refuses
    nobody for good. ``max_request_tokens`` bounds each request by itself.
    """

    def __init__(self, max_items: int, max_tokens: int, max_request_tokens: int) -> None:
        self.max_items = max_items
        self.max_tokens = max_tokens
        self.max_request_tokens = max_request_tokens
        self.items = 0
        self.tokens = 0

    @property
    def full(self) -> bool:
        """Not even one pair more would come in."""
        return self.items >= self.max_items or self.tokens >= self.max_tokens

    def admit(self, items: int) -> Ticket:
        """A ticket for ``items`` pairs, to be used as a context manager; raises ``OverloadedError``."""
        if self.items and self.items + items > self.max_items:
            raise _overloaded("pairs", self.items, items, self.max_items)
        return Ticket(self, items)

    def no_room(self) -> OverloadedError:
        """What a request hears that comes while all places are taken."""
        if self.items >= self.max_items:
            return _overloaded("pairs", self.items, 1, self.max_items)
        return _overloaded("tokens", self.tokens, 1, self.max_tokens)


def _overloaded(what: str, inside: int, more: int, limit: int) -> OverloadedError:
    return OverloadedError(f"expected at most {limit} {what} waiting, got {more} beside {inside}; try again later")


class Ticket:
    """The place of one request; leaving the context gives it back."""

    __slots__ = ("_admission", "_items", "_tokens")

    def __init__(self, admission: Admission, items: int) -> None:
        self._admission = admission
        self._items = items
        self._tokens = 0

    def charge(self, tokens: int) -> None:
        """Add ``tokens`` once they are known; raises ``TooManyTokensError`` or ``OverloadedError``."""
        admission = self._admission
        if tokens > admission.max_request_tokens:
            raise TooManyTokensError(
                f"expected at most {admission.max_request_tokens} tokens in a request, got {tokens}"
            )
        if admission.tokens and admission.tokens + tokens > admission.max_tokens:
            raise _overloaded("tokens", admission.tokens, tokens, admission.max_tokens)
        admission.tokens += tokens
        self._tokens += tokens

    def __enter__(self) -> Ticket:
        self._admission.items += self._items
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.items -= self._items
        self._admission.tokens -= self._tokens
