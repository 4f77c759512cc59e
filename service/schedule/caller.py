"""Who waits for an answer: one request, from its arrival to its reply."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

from starlette.types import Receive

from cmow.service.errors import ClientGoneError, DeadlineError

T = TypeVar("T")


@dataclass(slots=True)
class Timings:
    """Seconds that a request spent in each stage; 0 where it never came by."""

    tokenise: float = 0.0
    queue: float = 0.0
    inference: float = 0.0


@dataclass(slots=True)
class Caller:
    """One request. Without ``deadline`` (of ``perf_counter``) and ``receive`` it waits for as long as it takes.

    ``receive`` is the ASGI channel of a request whose body has been read: what comes next is that the client leaves.
    """

    request_id: str = "-"
    arrived: float = field(default_factory=perf_counter)
    deadline: float | None = None
    receive: Receive | None = None
    error: str | None = None  # type of the error that it got
    texts: Sequence[str] = ()  # what it asked about, for a log that is allowed to hold it
    timings: Timings = field(default_factory=Timings)

    def check_deadline(self) -> None:
        """Raise ``DeadlineError`` once the deadline has passed."""
        if self.deadline is not None and perf_counter() >= self.deadline:
            raise DeadlineError(f"expected an answer within {self._allowed_ms()} ms, which have passed")

    async def wait(self, answer: asyncio.Future[T]) -> T:
        """The result of ``answer``.

        Cancels it and raises ``DeadlineError`` or ``ClientGoneError`` where that comes first.
        """
        gone = None if self.receive is None else asyncio.ensure_future(_left(self.receive))
        watched: set[asyncio.Future[Any]] = {future for future in (answer, gone) if future is not None}
        left = None if self.deadline is None else max(0.0, self.deadline - perf_counter())
        try:
            await asyncio.wait(watched, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if gone is not None and gone.done():
                raise ClientGoneError("the client closed the connection before the answer")
            raise DeadlineError(f"expected an answer within {self._allowed_ms()} ms, which have passed")
        finally:
            for future in watched:
                future.cancel()

    def _allowed_ms(self) -> int:
        return 0 if self.deadline is None else round(1000 * (self.deadline - self.arrived))


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
