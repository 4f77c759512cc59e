"""The start of every command: its options first, then the libraries that its work needs.

``python -m training.X`` is a module with the options of the command alone. The work is in a module of its own, imported
once the options are known to be right: PyTorch and transformers take seconds, and read how many threads they may have.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TypeVar

from training.command.threads import limit_threads
from training.errors import one_line_errors
from training.options import Threaded, parse_options

T = TypeVar("T", bound=Threaded)


def start(options: type[T], work: str) -> None:
    """Do the ``work`` of a command, "module:function", with what is given of its ``options``; exits on a wrong one."""
    start_with(partial(parse_options, options), work)


def start_with(read: Callable[[], Threaded], work: str) -> None:
    """The same with options that ``read`` gives."""
    module, _, function = work.partition(":")
    with one_line_errors():
        config = read()
        limit_threads(config.threads)
        getattr(import_module(module), function)(config)
