"""``cmow-serve``: the service from the command line."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NoReturn

import uvicorn
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from service.app import create_app
from service.errors import StartError
from service.settings import ENV_PREFIX, Settings

logger = logging.getLogger(__name__)

GRACE_SECONDS = 20  # for requests that run when the stop signal comes


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Serve until SIGTERM or SIGINT; exit status 0 then, and 2 where it could not start."""
    options = vars(_parser().parse_args(arguments))
    try:
        settings = Settings(**options)
        # uvicorn raises the signal again once it has stopped; this makes it the end of the process and not its death.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        serve(settings)
    except ValidationError as error:
        _fail(_explain(error))
    except (StartError, OSError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        pass
    sys.exit(0)


def serve(settings: Settings) -> None:
    """Load the bundle and serve it; raises ``StartError``, or ``OSError`` where the address cannot be had."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    limit_tokenizer_threads(settings.threads)
    with _listen(settings.host, settings.port) as listener:
        config = uvicorn.Config(
            create_app(settings),
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level=settings.log_level,
            access_log=settings.access_log,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        host, port = listener.getsockname()[:2]
        logger.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        uvicorn.Server(config).run(sockets=[listener])


def limit_tokenizer_threads(threads: int) -> None:
    """Size the thread pool of ``tokenizers``, which reads these when it first works; values from outside win."""
    if threads:
        os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
        os.environ.setdefault("TOKENIZERS_PARALLELISM", str(threads > 1).lower())


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket; ``OSError`` names the address."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as on_error:
            listener = on_error.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            on_error.pop_all()
            return listener
    except OSError as error:
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}") from error


def _parser() -> argparse.ArgumentParser:
    """One flag for each setting; ``Settings`` checks the values, so that flags and environment follow the same rules"""
    parser = argparse.ArgumentParser("cmow-serve", description="Score sentence pairs over HTTP.", allow_abbrev=False)
    for name, field in Settings.model_fields.items():
        help_text = f"{field.description} [{_env_name(name, field)}; default: {field.default}]"
        flag, extra = f"--{name.replace('_', '-')}", _flag_options(field)
        parser.add_argument(flag, dest=name, default=argparse.SUPPRESS, help=help_text, **extra)
    return parser


def _flag_options(field: FieldInfo) -> dict[str, Any]:
    return {"action": argparse.BooleanOptionalAction} if field.annotation is bool else {"metavar": "VALUE"}


def _env_name(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    choices = getattr(alias, "choices", [ENV_PREFIX + name.upper()])
    return ", ".join(map(str, choices))


def _explain(error: ValidationError) -> str:
    """Each wrong setting in a line."""
    return "; ".join(
        f"{'.'.join(map(str, entry['loc'])).removeprefix(ENV_PREFIX).lower()}: {entry['msg']}, got {entry['input']!r}"
        for entry in error.errors(include_url=False)
    )


def _fail(message: str) -> NoReturn:
    print(f"cmow-serve: error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
