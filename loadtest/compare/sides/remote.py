"""Servers, asked over one connection. The client's share, JSON both ways, counts: every client has it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from loadtest.compare.side import Context, Floats, Side, Task
from loadtest.compare.sides.head import Head
from loadtest.compare.texts import Pair
from loadtest.harness.client import BlockingConnection, ConnectionLostError, Reply, post
from loadtest.harness.processes import serving
from training.data.files import NLI_LABELS

MOST_PAIRS = 256  # in a request
ROUTES = {"/similarity": ("sentence1", "sentence2"), "/entailment": ("premise", "hypothesis")}


class Client:
    """Asks a server that listens at ``host`` and ``port``, one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._connection = BlockingConnection(host, port)

    def ask(self, path: str, answer: str, pairs: Sequence[Pair]) -> list[Any]:
        """``answer`` for ``pairs``, in as many requests as the server's limits ask for.

        Raises ``RuntimeError`` where one is refused.
        """
        found: list[Any] = []
        for start in range(0, len(pairs), MOST_PAIRS):
            reply = self._send(post(path, body(path, pairs[start : start + MOST_PAIRS])))
            if reply.status != 200:
                raise RuntimeError(f"expected 200, got {reply.status}: {reply.body[:200]!r}")
            found += json.loads(reply.body)[answer]
        return found

    def close(self) -> None:
        """Leave."""
        self._connection.close()

    def _send(self, request: bytes) -> Reply:
        """The reply; while other sides had their turns the server may have closed the idle connection."""
        try:
            return self._connection.send(request)
        except ConnectionLostError:
            self._connection.close()
            self._connection = BlockingConnection(*self._address)
            return self._connection.send(request)

    def similarity(self, pairs: Sequence[Pair]) -> Floats:
        """Scores [P] of ``pairs``."""
        return np.array(self.ask("/similarity", "scores", pairs), np.float32)

    def entailment(self, pairs: Sequence[Pair]) -> Floats:
        """Probabilities [P, 3] of ``pairs``, in the order of ``NLI_LABELS``."""
        results = self.ask("/entailment", "results", pairs)
        return np.array([[result["scores"][label] for label in NLI_LABELS] for result in results], np.float32)


def body(path: str, pairs: Sequence[Pair]) -> dict[str, list[str]]:
    """What to send for ``pairs``."""
    return dict(zip(ROUTES[path], map(list, zip(*pairs, strict=True)), strict=True))


def open_service(context: Context) -> Side:
    """This service."""
    arguments = ["--bundle", str(context.bundle), "--threads", str(context.threads)]
    return _remote("cmow.service.serve.cli", arguments, frozenset({"similarity", "entailment"}))


def open_distilbert(context: Context) -> Side:
    """DistilBERT int8 behind the same HTTP layer."""
    folders = ["--bundle", str(context.bundle), "--models", str(context.models)]
    arguments = [*folders, "--threads", str(context.threads), "--precision", "int8"]
    return _remote("loadtest.compare.sides.distilbert_server", arguments, Head.read(context.models).trained)


def _remote(module: str, arguments: Sequence[str], trained: frozenset[Task]) -> Side:
    stack = ExitStack()
    server = stack.enter_context(serving(module, arguments))
    client = Client(server.host, server.port)
    stack.callback(client.close)
    return Side(
        similarity=client.similarity,
        entailment=client.entailment if "entailment" in trained else None,
        trained=trained,
        processes=lambda: server.workers,
        close=stack.close,
    )
