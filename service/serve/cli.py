"""``cmow-serve``: the service from the command line."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NoReturn

from pydantic import ValidationError

from cmow.service.errors import StartError
from cmow.service.machine.cpu import limit_tokenizer_threads
from cmow.service.observe.logs import configure_logging
from cmow.service.options.flags import add_flags
from cmow.service.options.settings import Settings, explain, setting_options
from cmow.service.serve.app import create_app
from cmow.service.serve.server import run_server
from cmow.service.serve.supervisor import Supervisor

logger = logging.getLogger(__name__)

EXIT_CODES = "Exit status: 0 when it was told to stop (SIGTERM, Ctrl-C), 2 where it could not start."
BACKLOG = 2048  # connections that the kernel holds until they are taken, as uvicorn has it


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Serve until SIGTERM or SIGINT; exit status 0 then, and 2 where it could not start."""
    options = vars(_parser().parse_args(arguments))
    try:
        settings = Settings(**options)
        # uvicorn raises the signal again once it has stopped; this makes it the end of the process and not its death.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        serve(settings)
    except ValidationError as error:
        _fail(explain(error))
    except (StartError, OSError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        pass
    sys.exit(0)


def serve(settings: Settings) -> None:
    """Load the bundle and serve it; raises ``StartError``, or ``OSError`` where the address is unavailable."""
    configure_logging(settings.log_level, settings.log_format)
    limit_tokenizer_threads(settings.threads)
    with _listen(settings.host, settings.port) as listener:
        app = create_app(settings)  # also before workers start: what is wrong is said here, once
        host, port = listener.getsockname()[:2]
        logger.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        if settings.workers == 1:
            run_server(app, settings, listener)
        else:
            del app
            Supervisor(settings, listener).run()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; ``OSError`` names the address."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as on_error:
            listener = on_error.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)  # from here on clients wait for the model instead of being refused
            on_error.pop_all()
            return listener
    except UnicodeError as error:
        raise OSError(f"cannot listen on {host} port {port}: expected a host name") from error
    except OSError as error:
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}") from error


def _parser() -> argparse.ArgumentParser:
    """One flag for each setting."""
    parser = argparse.ArgumentParser(
        "cmow-serve",
        description="Score sentence pairs over HTTP. Each flag is an environment variable too, in brackets; flags win.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_flags(parser, setting_options())
    return parser


def _fail(message: str) -> NoReturn:
    print(f"cmow-serve: error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
