"""The start of every command: its options first, then the libraries that its work needs.

``python -m training.X`` is a module with the options of the command alone. The work is in a module of its own, imported
once the options are known to be right: PyTorch and transformers take seconds, and read how many threads they may have.
"""

from __future__ import annotations

from importlib import import_module
from typing import TypeVar

from training.command.threads import limit_threads
from training.errors import one_line_errors
from training.options import Threaded, parse_options

T = TypeVar("T", bound=Threaded)


def start(options: type[T], work: str) -> None:
    """Do the ``work`` of a command, a module whose ``main`` takes its ``options``; wrong ones end the process here."""
    start_with(parse_options(options), work)


def start_with(config: Threaded, work: str) -> None:
    """The same with options that are parsed already."""
    limit_threads(config.threads)
    with one_line_errors():
        import_module(work).main(config)
